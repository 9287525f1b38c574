//! Why a value could not be encoded or bytes could not be decoded.

use std::error::Error;
use std::fmt;

use crate::Mismatch;

/// A value could not be encoded. The buffer is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The message's type, as `name@version`.
    pub type_name: String,
    /// What the type's `Serialize` complained of, or which bound the value passes.
    pub reason: String,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be encoded: {}", self.type_name, self.reason)
    }
}

impl Error for EncodeError {}

/// Bytes are not a value of the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The message's type, as `name@version`.
    pub type_name: String,
    /// Where in the value, when that is known; empty for the whole.
    pub field_path: String,
    /// What is wrong.
    pub reason: DecodeReason,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be decoded: ", self.type_name)?;
        if !self.field_path.is_empty() {
            write!(f, "field `{}`: ", self.field_path)?;
        }
        write!(f, "{}", self.reason)
    }
}

impl Error for DecodeError {}

/// What is wrong with bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeReason {
    /// They stop in the middle of the value.
    EndOfBytes,
    /// So many are left after the value.
    LeftOver(usize),
    /// The value nests deeper than [`MAX_VALUE_DEPTH`](crate::MAX_VALUE_DEPTH).
    TooDeep,
    /// It claims more values than its size allows: see [`MAX_FREE_VALUES`](crate::MAX_FREE_VALUES).
    TooManyValues,
    /// An enum's number is not one of the writer's.
    UnknownVariant(u32),
    /// A primitive value is encoded wrongly.
    Malformed(&'static str),
    /// A number does not fit.
    OutOfRange {
        /// The number.
        value: String,
        /// The reader's type.
        ours: &'static str,
    },
    /// The value is absent, and the reader needs one.
    Absent,
    /// The value is of another kind than the reader asks for.
    Kind {
        /// The writer's type.
        theirs: String,
        /// What the reader asks for.
        ours: &'static str,
    },
    /// A list has another length than the reader asks for.
    Length {
        /// The writer's length.
        theirs: u64,
        /// The reader's.
        ours: u64,
    },
    /// The writer's type cannot be read as this one at all.
    Incompatible(Box<Mismatch>),
    /// A conversion between two versions refused the value.
    NotConverted {
        /// The version it had.
        from: u32,
        /// The version it would have got.
        to: u32,
        /// What the conversion says.
        why: String,
    },
    /// The type's own `Deserialize` refused the value.
    Refused(String),
}

impl fmt::Display for DecodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndOfBytes => f.write_str("the bytes end too early"),
            Self::LeftOver(count) => write!(f, "{count} bytes are left over"),
            Self::TooDeep => write!(f, "it nests deeper than {}", crate::MAX_VALUE_DEPTH),
            Self::TooManyValues => f.write_str("it claims more values than its size allows"),
            Self::UnknownVariant(index) => write!(f, "there is no variant number {index}"),
            Self::Malformed(what) => f.write_str(what),
            Self::OutOfRange { value, ours } => write!(f, "{value} does not fit into {ours}"),
            Self::Absent => f.write_str("theirs is absent, ours is not optional"),
            Self::Kind { theirs, ours } => write!(f, "theirs is {theirs}, ours is {ours}"),
            Self::Length { theirs, ours } => {
                write!(f, "theirs has {theirs} elements, ours has {ours}")
            }
            Self::Incompatible(mismatch) => fmt::Display::fmt(mismatch, f),
            Self::NotConverted { from, to, why } => {
                write!(f, "the conversion from version {from} to {to} refused it: {why}")
            }
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl From<postcard::Error> for DecodeReason {
    fn from(error: postcard::Error) -> Self {
        use postcard::Error as E;
        match error {
            E::DeserializeUnexpectedEnd => Self::EndOfBytes,
            E::DeserializeBadVarint => Self::Malformed("a number is too large for its type"),
            E::DeserializeBadBool => Self::Malformed("a bool is neither false nor true"),
            E::DeserializeBadChar => Self::Malformed("a char is not one"),
            E::DeserializeBadUtf8 => Self::Malformed("a string is not UTF-8"),
            E::DeserializeBadOption => Self::Malformed("an option is neither absent nor present"),
            E::DeserializeBadEnum => Self::Malformed("a variant's number is out of range"),
            E::SerdeDeCustom => Self::Refused("the type refused the value".to_owned()),
            other => Self::Refused(other.to_string()),
        }
    }
}
