//! What an author gives for reading another version: an ordinary function from the one type to the
//! other.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::{self, Display};
use std::sync::Arc;

use crate::codec::encode;
use crate::driven::Driven;
use crate::error::{DecodeReason, EncodeError};
use crate::failure::Failure;
use crate::path::{MAX_TEXT_BYTES, shorten};
use crate::{Message, TypeInfo};

/// A value between two steps of a chain.
pub(crate) type Passing = Box<dyn Any>;

type Convert = dyn Fn(Passing) -> Result<Passing, String> + Send + Sync;

/// A function by which values of one version of a message become values of another.
///
/// `#[message(version = 2, from(AddV1 = Add::from_v1))]` registers one with the type that it makes.
/// A message of a version for which there is none is taken step by step, along as few functions as
/// will do. The older side may have some, too: `from` does not ask which of the numbers is higher.
///
/// ```
/// use midflight_message::{Message, decode_resolved, encode, resolve};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Message)]
/// #[message(name = "counter.Add", version = 1)]
/// struct AddV1 {
///     amount: i64,
/// }
///
/// #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
/// #[message(name = "counter.Add", version = 2, from(AddV1 = Add::from_v1))]
/// struct Add {
///     cents: i64,
/// }
///
/// impl Add {
///     fn from_v1(old: AddV1) -> Self {
///         Self { cents: old.amount * 100 }
///     }
/// }
///
/// let mut bytes = Vec::new();
/// encode(&AddV1 { amount: 3 }, &mut bytes).unwrap();
/// let resolution = resolve(AddV1::type_info(), Add::type_info());
/// assert_eq!(decode_resolved::<Add>(&bytes, &resolution).unwrap(), Add { cents: 300 });
/// ```
#[derive(Clone)]
pub struct Conversion {
    pub(crate) from: TypeInfo,
    pub(crate) to: TypeInfo,
    pub(crate) may_fail: bool,
    work: Work,
}

/// What a conversion does.
#[derive(Clone)]
enum Work {
    Here(Functions),
    /// The functions are somebody else's: what comes of them can be foreseen, not done.
    Elsewhere,
}

#[derive(Clone)]
struct Functions {
    earlier: fn() -> Vec<Conversion>,
    read: fn(Driven<'_, '_>) -> Result<Passing, Failure>,
    convert: Arc<Convert>,
    write: fn(&dyn Any, &mut Vec<u8>) -> Result<(), EncodeError>,
}

impl Conversion {
    /// One that converts every value.
    #[must_use]
    pub fn always<Old: Message, New: Message>(function: fn(Old) -> New) -> Self {
        Self::new::<Old, New>(false, move |old| Ok(function(old)))
    }

    /// One that may refuse a value; the error's text becomes the reason.
    #[must_use]
    pub fn checked<Old: Message, New: Message, E: Display + 'static>(
        function: fn(Old) -> Result<New, E>,
    ) -> Self {
        Self::new::<Old, New>(true, move |old| function(old).map_err(|error| error.to_string()))
    }

    fn new<Old: Message, New: Message>(
        may_fail: bool,
        function: impl Fn(Old) -> Result<New, String> + Send + Sync + 'static,
    ) -> Self {
        let functions = Functions {
            earlier: Old::conversions,
            read: |driven| Ok(Box::new(Old::deserialize(driven)?)),
            convert: Arc::new(move |old| match old.downcast::<Old>() {
                Ok(old) => function(*old).map(|new| Box::new(new) as Passing),
                Err(_other) => Err("the chain was put together wrongly".to_owned()),
            }),
            write: |new, buffer| match new.downcast_ref::<New>() {
                Some(new) => encode(new, buffer),
                None => Err(EncodeError {
                    type_name: New::type_info().to_string(),
                    reason: "the chain was put together wrongly".to_owned(),
                }),
            },
        };
        let [from, to] = [Old::type_info(), New::type_info()].map(TypeInfo::clone);
        Self { from, to, may_fail, work: Work::Here(functions) }
    }

    /// One whose function is somebody else's.
    pub(crate) const fn told(from: TypeInfo, to: TypeInfo, may_fail: bool) -> Self {
        Self { from, to, may_fail, work: Work::Elsewhere }
    }

    /// Fails to compile where the two are not versions of one message; the derive calls it.
    ///
    /// ```compile_fail,E0080
    /// # use midflight_message::Message; use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(name = "counter.Sub", version = 1)]
    /// struct Sub(u8);
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(name = "counter.Add", version = 2, from(Sub))] // another message
    /// struct Add(u8);
    ///
    /// impl From<Sub> for Add {
    ///     fn from(old: Sub) -> Self {
    ///         Self(old.0)
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// In a constant, which is where it is called: then the program does not compile.
    pub const fn check<Old: Message, New: Message>() {
        assert!(
            same(Old::NAME, New::NAME),
            "a conversion is from another version of the same message: the names differ"
        );
        assert!(
            Old::VERSION != New::VERSION,
            "a conversion is from another version of the message: these are the same"
        );
    }

    /// The type that it takes.
    #[must_use]
    pub const fn from(&self) -> &TypeInfo {
        &self.from
    }

    /// The type that it makes.
    #[must_use]
    pub const fn to(&self) -> &TypeInfo {
        &self.to
    }

    /// Whether it may refuse a value.
    #[must_use]
    pub const fn may_fail(&self) -> bool {
        self.may_fail
    }

    /// The conversions to the type that it takes.
    fn earlier(&self) -> Vec<Self> {
        match &self.work {
            Work::Here(functions) => (functions.earlier)(),
            Work::Elsewhere => {
                let mut claims = self.from.tree().claims(&self.from.tree().root);
                claims.next().map_or_else(Vec::new, |claim| self.from.conversions(claim.number))
            }
        }
    }

    fn functions(&self) -> Result<&Functions, DecodeReason> {
        match &self.work {
            Work::Here(functions) => Ok(functions),
            Work::Elsewhere => {
                Err(DecodeReason::Refused("the conversion's function is not here".to_owned()))
            }
        }
    }

    /// Reads the old value.
    pub(crate) fn read(&self, driven: Driven<'_, '_>) -> Result<Passing, Failure> {
        (self.functions()?.read)(driven)
    }

    pub(crate) fn convert(&self, old: Passing) -> Result<Passing, DecodeReason> {
        (self.functions()?.convert)(old).map_err(|why| DecodeReason::NotConverted {
            from: self.from.version(),
            to: self.to.version(),
            why: shorten(why, MAX_TEXT_BYTES),
        })
    }

    /// Writes the new value in its own form.
    pub(crate) fn write(&self, new: &dyn Any) -> Result<Vec<u8>, DecodeReason> {
        let mut bytes = Vec::new();
        (self.functions()?.write)(new, &mut bytes)
            .map_err(|error| DecodeReason::Refused(shorten(error.to_string(), MAX_TEXT_BYTES)))?;
        Ok(bytes)
    }
}

impl fmt::Debug for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conversion({} to {})", self.from, self.to)
    }
}

/// The fewest steps from a version to the type with these conversions, in the order in which they
/// are taken.
pub(crate) fn route(conversions: Vec<Conversion>, version: u32) -> Option<Vec<Conversion>> {
    let mut met = BTreeSet::new();
    // Each way from a version to the type, the first step first.
    let mut ways: VecDeque<Vec<Conversion>> =
        conversions.into_iter().map(|one| vec![one]).collect();
    while let Some(way) = ways.pop_front() {
        let first = &way[0];
        if first.from.version() == version {
            return Some(way);
        }
        if !met.insert(first.from.version()) {
            continue;
        }
        for earlier in first.earlier() {
            ways.push_back(std::iter::once(earlier).chain(way.iter().cloned()).collect());
        }
    }
    None
}

/// Whether two texts are equal, at compile time.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
