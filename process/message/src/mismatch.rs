//! Why one type cannot be read as another, in words that fit into a notice.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Schema;
use crate::descriptor::Descriptor;
use crate::limits::MAX_NAME_BYTES;
use crate::path::{MAX_PATH_BYTES, MAX_TEXT_BYTES, shorten};
use crate::shape::{Body, Field, Shape};

/// Two types of which the one can never be read as the other.
///
/// All texts are bounded, also when they come from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Mismatch {
    /// The message's name.
    pub type_name: String,
    /// The way to the part that differs, such as `Add.amount`; empty for the whole.
    pub field_path: String,
    /// What the writer has there.
    pub theirs: String,
    /// What the reader has there.
    pub ours: String,
    /// What sort of difference it is.
    pub why: MismatchReason,
}

/// What sort of difference makes two types incompatible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum MismatchReason {
    /// They have different names, so they are different things.
    Name,
    /// The author says that the meaning changed; only a conversion can bridge it.
    Version,
    /// The kinds of value differ, such as a number and a text.
    Kind,
    /// The reader needs a field that the writer does not send.
    FieldMissing,
    /// The writer sends a field that the reader refuses.
    FieldUnknown,
    /// Two of the writer's fields would be the same of the reader's.
    FieldTwice,
    /// The numbers of parts without names differ.
    Length,
    /// The reader knows none of the writer's variants.
    Variants,
    /// They are too large or too deep to compare.
    TooComplex,
}

impl Mismatch {
    /// Puts a mismatch together, and cuts texts that are too long.
    #[must_use]
    pub fn new(
        type_name: &str,
        field_path: String,
        theirs: String,
        ours: String,
        why: MismatchReason,
    ) -> Self {
        Self {
            type_name: shorten(type_name.to_owned(), MAX_NAME_BYTES),
            field_path: shorten(field_path, MAX_PATH_BYTES),
            theirs: shorten(theirs, MAX_TEXT_BYTES),
            ours: shorten(ours, MAX_TEXT_BYTES),
            why,
        }
    }
}

impl Mismatch {
    /// The reader's version of the message, where it can be told: `writer` is the writer's, and the reader has
    /// no conversions.
    #[must_use]
    pub fn reader_version(&self, writer: u32) -> Option<u32> {
        match (self.why, self.field_path.is_empty()) {
            (MismatchReason::Name, true) => None,
            (MismatchReason::Version, true) => {
                self.ours.strip_prefix(VERSION).and_then(|number| number.parse().ok())
            }
            // Parts are compared only where the whole has the same version.
            _ => Some(writer),
        }
    }
}

/// Before a version's number.
const VERSION: &str = "version ";

/// A whole message's version, as one side's idea of it.
pub(crate) fn version_text(version: u32) -> String {
    format!("{VERSION}{version}")
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.type_name)?;
        if !self.field_path.is_empty() {
            write!(f, "field `{}`: ", self.field_path)?;
        }
        write!(f, "theirs is {}, ours is {}", self.theirs, self.ours)
    }
}

impl Error for Mismatch {}

impl Schema for Mismatch {
    fn descriptor() -> Descriptor {
        let fields = vec![
            Field::new::<String>("type_name", false, &[]),
            Field::new::<String>("field_path", false, &[]),
            Field::new::<String>("theirs", false, &[]),
            Field::new::<String>("ours", false, &[]),
            Field::new::<MismatchReason>("why", false, &[]),
        ];
        let shape = Shape::Struct { closed: false, fields };
        Descriptor::named::<Self>("Mismatch", None, Body::Plain(shape))
    }
}

/// A mismatch from a peer, before its bounds are checked.
#[derive(Deserialize)]
struct Unchecked {
    type_name: String,
    field_path: String,
    theirs: String,
    ours: String,
    why: MismatchReason,
}

impl TryFrom<Unchecked> for Mismatch {
    type Error = &'static str;

    fn try_from(unchecked: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { type_name, field_path, theirs, ours, why } = unchecked;
        let within = type_name.len() <= MAX_NAME_BYTES
            && field_path.len() <= MAX_PATH_BYTES
            && theirs.len() <= MAX_TEXT_BYTES
            && ours.len() <= MAX_TEXT_BYTES;
        if within {
            Ok(Self { type_name, field_path, theirs, ours, why })
        } else {
            Err("a text in a mismatch is too long")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mismatch, MismatchReason};

    #[test]
    fn says_where_and_what() {
        let at = |path: &str| {
            let [theirs, ours] = ["string", "i64"].map(str::to_owned);
            Mismatch::new("counter.Add", path.to_owned(), theirs, ours, MismatchReason::Kind)
        };
        let text = at("amount").to_string();
        assert_eq!(text, "counter.Add: field `amount`: theirs is string, ours is i64");
        assert_eq!(at("").to_string(), "counter.Add: theirs is string, ours is i64");
    }

    #[test]
    fn says_which_version_the_reader_has() {
        let of = |path: &str, ours: &str, why| {
            let ours = ours.to_owned();
            Mismatch::new("shop.Order", path.to_owned(), "x".into(), ours, why).reader_version(4)
        };
        assert_eq!(of("", "version 7", MismatchReason::Version), Some(7));
        assert_eq!(of("", "version x", MismatchReason::Version), None);
        assert_eq!(of("part", "version 7", MismatchReason::Version), Some(4));
        assert_eq!(of("part", "u64", MismatchReason::Kind), Some(4));
        assert_eq!(of("", "shop.Other", MismatchReason::Name), None);
    }

    #[test]
    fn texts_are_bounded_on_both_ways() {
        let long = || "ü".repeat(100_000);
        let cut = Mismatch::new(&long(), long(), long(), long(), MismatchReason::Kind);
        let bytes = postcard::to_stdvec(&cut).unwrap();
        assert!(bytes.len() < 1300, "{}", bytes.len());
        assert_eq!(postcard::from_bytes::<Mismatch>(&bytes).unwrap(), cut);

        let hostile = postcard::to_stdvec(&Mismatch { theirs: long(), ..cut }).unwrap();
        assert!(postcard::from_bytes::<Mismatch>(&hostile).is_err());
    }
}
