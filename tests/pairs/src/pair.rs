//! A pair of Rust types as functions, so that little is compiled for each.

use std::fmt::{self, Debug};

use midflight_message::{
    DecodeError, Message, Resolution, TypeInfo, decode, decode_resolved, encode, resolve,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

type Written = (Vec<u8>, Json);
type Read = dyn Fn(&[u8], &Resolution, Json) -> Outcome;

/// Two types, of which the one is written and the other read.
pub struct Pair {
    pub(crate) theirs: &'static TypeInfo,
    pub(crate) ours: &'static TypeInfo,
    pub(crate) resolution: Resolution,
    /// The value that JSON says: its bytes, and what serde makes of it in JSON.
    pub(crate) write: fn(&Json) -> Option<Written>,
    pub(crate) read: Box<Read>,
}

impl Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.theirs.schema(), self.ours.schema())
    }
}

/// What came of reading, from the bytes and from JSON.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Both ways the same value.
    Same,
    /// Two values, or one where the other is none.
    Differ(String),
    /// An error; and what JSON gave, if it gave something.
    Refused(DecodeError, Option<String>),
}

/// The pair of `W` and `R`. What serde reads from JSON is an `O`, of which `R` is made.
#[must_use]
pub fn pair<W, R, O>(make: fn(O) -> Result<R, String>) -> Pair
where
    W: Message,
    R: Message + PartialEq + Debug,
    O: DeserializeOwned + 'static,
{
    let read = move |bytes: &[u8], resolution: &Resolution, json| {
        let judge = serde_json::from_value::<O>(json).ok().and_then(|of| make(of).ok());
        match (decode_resolved::<R>(bytes, resolution), judge) {
            (Ok(read), Some(judge)) if read == judge => Outcome::Same,
            (Ok(read), judge) => Outcome::Differ(format!("{read:?}, not {judge:?}")),
            (Err(error), judge) => Outcome::Refused(error, judge.map(|judge| format!("{judge:?}"))),
        }
    };
    Pair {
        theirs: W::type_info(),
        ours: R::type_info(),
        resolution: resolve(W::type_info(), R::type_info()),
        write: write::<W>,
        read: Box::new(read),
    }
}

/// What the type does not take cannot be written; what was written is read again the same.
fn write<W: Message>(json: &Json) -> Option<Written> {
    let value = serde_json::from_value::<W>(json.clone()).ok()?;
    let mut bytes = Vec::new();
    encode(&value, &mut bytes).expect("it can be written");
    let again = decode::<W>(&bytes).expect("what was written is read");
    let mut twice = Vec::new();
    encode(&again, &mut twice).expect("it can be written again");
    assert_eq!(bytes, twice, "{json}");
    Some((bytes, serde_json::to_value(&value).expect("JSON takes it")))
}

/// A conversion that refuses what has a negative number in it.
///
/// # Errors
///
/// Then.
pub fn not_negative<T: Serialize>(of: T) -> Result<T, String> {
    fn negative(json: &Json) -> bool {
        match json {
            Json::Number(number) => number.as_f64().is_some_and(|number| number < 0.0),
            Json::Array(items) => items.iter().any(negative),
            Json::Object(items) => items.values().any(negative),
            _ => false,
        }
    }
    let json = serde_json::to_value(&of).map_err(|error| error.to_string())?;
    if negative(&json) { Err("negative".to_owned()) } else { Ok(of) }
}
