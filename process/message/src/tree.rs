//! A whole schema: one type and every named type it reaches.

use std::error::Error;
use std::fmt;

use crate::shape::{Body, Definition, Shape};
use crate::{Schema, builder};

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is called as the Rust type is")]
pub enum Scalar {
    Unit,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    String,
}

/// A type as it occurs in a schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A value without parts.
    Scalar(Scalar),
    /// A value that may be absent.
    Option(Box<Self>),
    /// Any number of values, in order.
    Seq(Box<Self>),
    /// Any number of different values.
    Set(Box<Self>),
    /// Keys and values.
    Map(Box<Self>, Box<Self>),
    /// A fixed number of values of one type.
    Array(Box<Self>, u64),
    /// A fixed number of values.
    Tuple(Vec<Self>),
    /// A struct or enum, by its number among the tree's definitions.
    Named(usize),
}

/// A type and every named type it reaches, numbered in the order in which they are first met.
///
/// `to_string` gives the canonical text, and [`SchemaTree::parse`] takes back exactly that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaTree {
    pub(crate) root: Type,
    pub(crate) definitions: Vec<Definition<Type>>,
    /// Whether values must be walked before they are decoded; see [`crate::scan`].
    pub(crate) needs_scan: bool,
}

impl SchemaTree {
    /// The schema of a Rust type.
    ///
    /// # Errors
    ///
    /// When it is too large, nests too deep or contains itself without end.
    pub fn of<S: Schema + ?Sized>() -> Result<Self, SchemaError> {
        builder::build(S::descriptor).map(|(tree, _)| tree)
    }

    /// What the schema describes.
    #[must_use]
    pub const fn root(&self) -> &Type {
        &self.root
    }

    /// The named types.
    #[must_use]
    pub fn definitions(&self) -> &[Definition<Type>] {
        &self.definitions
    }

    /// The definition of that number. Trees are only made with every number defined.
    pub(crate) fn definition(&self, number: usize) -> &Definition<Type> {
        &self.definitions[number]
    }

    /// What a type is once the wrappers are gone that leave no trace on the wire.
    pub(crate) fn unwrapped<'a>(&'a self, mut ty: &'a Type) -> &'a Type {
        while let Type::Named(number) = ty {
            match self.definition(*number).body.wrapped() {
                Some(inner) => ty = inner,
                None => break,
            }
        }
        ty
    }
}

impl Body<Type> {
    /// What a newtype, a transparent or checked type or a process reference holds.
    pub(crate) const fn wrapped(&self) -> Option<&Type> {
        match self {
            Self::Plain(Shape::Newtype(inner))
            | Self::Transparent(inner)
            | Self::Checked(inner)
            | Self::Reference { pid: inner, .. } => Some(inner),
            _ => None,
        }
    }
}

/// Why a schema was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is longer than [`MAX_SCHEMA_BYTES`](crate::MAX_SCHEMA_BYTES).
    TooLarge,
    /// There are more than [`MAX_DEFINITIONS`](crate::MAX_DEFINITIONS) named types.
    TooManyDefinitions,
    /// Types nest deeper than [`MAX_TYPE_DEPTH`](crate::MAX_TYPE_DEPTH).
    TooDeep,
    /// A type wraps itself and nothing else.
    Endless(String),
    /// The text is not a schema.
    Syntax {
        /// Where, in bytes.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The text is a schema, but not written the one canonical way.
    NotCanonical,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(f, "the schema is longer than {} bytes", crate::MAX_SCHEMA_BYTES)
            }
            Self::TooManyDefinitions => {
                write!(f, "the schema has more than {} named types", crate::MAX_DEFINITIONS)
            }
            Self::TooDeep => write!(f, "types nest deeper than {}", crate::MAX_TYPE_DEPTH),
            Self::Endless(name) => write!(f, "`{name}` contains itself without end"),
            Self::Syntax { at, expected } => {
                write!(f, "the schema is broken at byte {at}: {expected} expected")
            }
            Self::NotCanonical => f.write_str("the schema is not in canonical form"),
        }
    }
}

impl Error for SchemaError {}
