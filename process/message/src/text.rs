//! The canonical text of a schema; `docs/schemas.md` has its grammar.
//!
//! The first line is the root type, each further line a definition:
//!
//! ```text
//! #0
//! #0 = counter.Add@1: struct { amount: i64, note: option<string> default alias text }
//! ```

use std::fmt::{self, Display, Formatter, Write};

use crate::shape::{Body, Definition, Field, Shape, Variant};
use crate::tree::{Scalar, SchemaTree, Type};

impl Scalar {
    pub(crate) const ALL: [Self; 16] = [
        Self::Unit,
        Self::Bool,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::I128,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::U128,
        Self::F32,
        Self::F64,
        Self::Char,
        Self::String,
    ];

    /// What the canonical text calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Bool => "bool",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
        }
    }
}

/// Whether a name is written as it is; others are quoted.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_plain_byte)
}

pub(crate) const fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// A name, quoted where it must be.
pub(crate) struct Name<'a>(pub(crate) &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_plain(self.0) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                '\n' => f.write_str("\\n")?,
                _ => f.write_char(letter)?,
            }
        }
        f.write_char('"')
    }
}

impl Display for SchemaTree {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.root)?;
        for (number, definition) in self.definitions.iter().enumerate() {
            writeln!(f, "#{number} = {definition}")?;
        }
        Ok(())
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => f.write_str(scalar.name()),
            Self::Option(item) => write!(f, "option<{item}>"),
            Self::Seq(item) => write!(f, "seq<{item}>"),
            Self::Set(item) => write!(f, "set<{item}>"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Array(item, length) => write!(f, "array<{item}, {length}>"),
            Self::Tuple(items) => tuple(f, items),
            Self::Named(number) => write!(f, "#{number}"),
        }
    }
}

impl Display for Definition<Type> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&Name(&self.name), f)?;
        if let Some(version) = self.version {
            write!(f, "@{version}")?;
        }
        write!(f, ": {}", self.body)
    }
}

impl Display for Body<Type> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(shape) => Display::fmt(shape, f),
            Self::Transparent(inner) => write!(f, "transparent({inner})"),
            Self::Checked(inner) => write!(f, "checked({inner})"),
            Self::Enum(variants) => braces(f, "enum", variants),
            Self::Reference { name, version, pid } => {
                write!(f, "reference({}@{version}, {pid})", Name(name))
            }
        }
    }
}

impl Display for Shape<Type> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("unit"),
            Self::Newtype(inner) => write!(f, "newtype({inner})"),
            Self::Tuple(items) => tuple(f, items),
            Self::Struct { closed: false, fields } => braces(f, "struct", fields),
            Self::Struct { closed: true, fields } => braces(f, "closed struct", fields),
        }
    }
}

impl Display for Field<Type> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Name(&self.name), self.ty)?;
        if self.default {
            f.write_str(" default")?;
        }
        aliases(f, &self.aliases)
    }
}

impl Display for Variant<Type> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Name(&self.name), self.shape)?;
        if self.other {
            f.write_str(" other")?;
        }
        aliases(f, &self.aliases)
    }
}

fn aliases(f: &mut Formatter<'_>, aliases: &[String]) -> fmt::Result {
    aliases.iter().try_for_each(|alias| write!(f, " alias {}", Name(alias)))
}

fn tuple(f: &mut Formatter<'_>, items: &[Type]) -> fmt::Result {
    f.write_str("tuple(")?;
    separated(f, items)?;
    f.write_char(')')
}

fn braces(f: &mut Formatter<'_>, word: &str, items: &[impl Display]) -> fmt::Result {
    if items.is_empty() {
        return write!(f, "{word} {{}}");
    }
    write!(f, "{word} {{ ")?;
    separated(f, items)?;
    f.write_str(" }")
}

fn separated(f: &mut Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        Display::fmt(item, f)?;
    }
    Ok(())
}
