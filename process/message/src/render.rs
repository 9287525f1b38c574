//! An encoded message as text for people, by its writer's schema: for dead letters and traces.

use std::fmt::{self, Write as _};

use crate::TypeInfo;
use crate::cursor::Cursor;
use crate::error::DecodeReason;
use crate::limits::MAX_VALUE_DEPTH;
use crate::shape::{Body, Shape};
use crate::tree::{Scalar, SchemaTree, Type};

/// The most bytes of text; what is longer is cut.
const TEXT_MAX: usize = 64 * 1_024;
/// Bytes of one that are shown as such before the rest is only counted.
const BYTES_SHOWN: usize = 64;

/// An encoded message whose text is its fields, one on a line. Any bytes may be in it: where they are
/// not what the schema says, the text ends with that.
#[derive(Debug, Clone, Copy)]
pub struct Render<'a> {
    tree: &'a SchemaTree,
    bytes: &'a [u8],
}

impl<'a> Render<'a> {
    /// Bytes that a writer of this type has written.
    #[must_use]
    pub fn new(writer: &'a TypeInfo, bytes: &'a [u8]) -> Self {
        Self { tree: writer.tree(), bytes }
    }
}

impl fmt::Display for Render<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cursor = Cursor::new(self.bytes);
        let mut dump = Dump { tree: self.tree, cursor, out: String::new(), indent: 0 };
        let whole =
            dump.value(&self.tree.root, 0).and_then(|()| dump.cursor.finish().map_err(Stop::Bad));
        f.write_str(&dump.out)?;
        match whole {
            Ok(()) => Ok(()),
            Err(Stop::Long) => f.write_str(" … (cut)"),
            Err(Stop::Bad(reason)) => {
                let at = self.bytes.len() - dump.cursor.len();
                write!(f, " … (not as the schema says at byte {at}: {reason})")
            }
        }
    }
}

/// Why the text ends before the message does.
enum Stop {
    Bad(DecodeReason),
    Long,
}

impl From<DecodeReason> for Stop {
    fn from(reason: DecodeReason) -> Self {
        Self::Bad(reason)
    }
}

struct Dump<'a> {
    tree: &'a SchemaTree,
    cursor: Cursor<'a>,
    out: String,
    indent: usize,
}

impl<'a> Dump<'a> {
    fn value(&mut self, ty: &Type, depth: usize) -> Result<(), Stop> {
        if depth > MAX_VALUE_DEPTH {
            return Err(DecodeReason::TooDeep.into());
        }
        if self.out.len() > TEXT_MAX {
            return Err(Stop::Long);
        }
        self.cursor.count()?;
        let depth = depth + 1;
        match ty {
            Type::Scalar(scalar) => self.scalar(*scalar),
            Type::Option(item) => {
                if !self.cursor.presence()? {
                    self.out.push_str("None");
                    return Ok(());
                }
                self.out.push_str("Some(");
                self.value(item, depth)?;
                self.out.push(')');
                Ok(())
            }
            Type::Seq(item) | Type::Set(item) => {
                let length = self.cursor.take::<u64>()?;
                if matches!(**item, Type::Scalar(Scalar::U8)) {
                    return self.bytes(length);
                }
                self.list('[', ']', length, |dump| dump.value(item, depth))
            }
            Type::Map(key, value) => {
                let length = self.cursor.take::<u64>()?;
                self.list('{', '}', length, |dump| {
                    dump.value(key, depth)?;
                    dump.out.push_str(": ");
                    dump.value(value, depth)
                })
            }
            Type::Array(item, length) => {
                self.list('[', ']', *length, |dump| dump.value(item, depth))
            }
            Type::Tuple(items) => self.tuple(items, depth),
            Type::Named(number) => self.named(*number, depth),
        }
    }

    fn named(&mut self, number: usize, depth: usize) -> Result<(), Stop> {
        let tree = self.tree;
        let definition = tree.definition(number);
        match &definition.body {
            Body::Plain(shape) => {
                self.out.push_str(&definition.name);
                self.shape(shape, depth)
            }
            Body::Transparent(inner)
            | Body::Checked(inner)
            | Body::Reference { pid: inner, .. } => self.value(inner, depth),
            Body::Enum(variants) => {
                let variant = self.cursor.variant(variants)?;
                let _ = write!(self.out, "{}::{}", definition.name, variant.name);
                self.shape(&variant.shape, depth)
            }
        }
    }

    fn shape(&mut self, shape: &Shape<Type>, depth: usize) -> Result<(), Stop> {
        match shape {
            Shape::Unit => Ok(()),
            Shape::Newtype(inner) => self.tuple(std::slice::from_ref(inner), depth),
            Shape::Tuple(items) => self.tuple(items, depth),
            Shape::Struct { fields, .. } => {
                self.out.push_str(" {");
                self.indent += 1;
                for field in fields {
                    self.line();
                    self.out.push_str(&field.name);
                    self.out.push_str(": ");
                    self.value(&field.ty, depth)?;
                    self.out.push(',');
                }
                self.indent -= 1;
                if !fields.is_empty() {
                    self.line();
                }
                self.out.push('}');
                Ok(())
            }
        }
    }

    fn tuple(&mut self, items: &[Type], depth: usize) -> Result<(), Stop> {
        let mut items = items.iter();
        self.list('(', ')', items.len() as u64, |dump| {
            items.next().map_or(Ok(()), |item| dump.value(item, depth))
        })
    }

    /// Values on one line, between brackets.
    fn list(
        &mut self,
        open: char,
        close: char,
        length: u64,
        mut item: impl FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.out.push(open);
        for number in 0..length {
            if number > 0 {
                self.out.push_str(", ");
            }
            item(self)?;
        }
        self.out.push(close);
        Ok(())
    }

    fn bytes(&mut self, length: u64) -> Result<(), Stop> {
        let bytes = self.cursor.bytes(length)?;
        self.out.push_str("0x");
        for byte in bytes.iter().take(BYTES_SHOWN) {
            let _ = write!(self.out, "{byte:02x}");
        }
        if bytes.len() > BYTES_SHOWN {
            let _ = write!(self.out, "… ({} bytes)", bytes.len());
        }
        Ok(())
    }

    fn line(&mut self) {
        self.out.push('\n');
        (0..self.indent).for_each(|_| self.out.push_str("    "));
    }

    fn scalar(&mut self, scalar: Scalar) -> Result<(), Stop> {
        // A String takes all that is written to it.
        let out = &mut self.out;
        let cursor = &mut self.cursor;
        let _ = match scalar {
            Scalar::Unit => write!(out, "()"),
            Scalar::Bool => write!(out, "{}", cursor.take::<bool>()?),
            Scalar::I8 => write!(out, "{}", cursor.take::<i8>()?),
            Scalar::I16 => write!(out, "{}", cursor.take::<i16>()?),
            Scalar::I32 => write!(out, "{}", cursor.take::<i32>()?),
            Scalar::I64 => write!(out, "{}", cursor.take::<i64>()?),
            Scalar::I128 => write!(out, "{}", cursor.take::<i128>()?),
            Scalar::U8 => write!(out, "{}", cursor.take::<u8>()?),
            Scalar::U16 => write!(out, "{}", cursor.take::<u16>()?),
            Scalar::U32 => write!(out, "{}", cursor.take::<u32>()?),
            Scalar::U64 => write!(out, "{}", cursor.take::<u64>()?),
            Scalar::U128 => write!(out, "{}", cursor.take::<u128>()?),
            Scalar::F32 => write!(out, "{:?}", cursor.take::<f32>()?),
            Scalar::F64 => write!(out, "{:?}", cursor.take::<f64>()?),
            Scalar::Char => write!(out, "{:?}", cursor.take::<char>()?),
            Scalar::String => {
                let text = cursor.take::<&str>()?;
                let shown = text.floor_char_boundary(TEXT_MAX.saturating_sub(out.len()));
                let cut = if shown < text.len() { "…" } else { "" };
                write!(out, "{:?}{cut}", &text[..shown])
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Message, Schema, encode};

    #[derive(Serialize, Deserialize, Schema)]
    enum Kind {
        Plain,
        Priced { cents: u64, tax: Option<f32> },
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "shop.Order", version = 1)]
    struct Order {
        id: u64,
        note: String,
        kinds: Vec<Kind>,
        raw: Vec<u8>,
        pair: (char, bool),
        counts: BTreeMap<String, i32>,
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "shop.Lists", version = 1)]
    struct Lists {
        long: Vec<String>,
        none: Vec<()>,
    }

    fn order() -> Vec<u8> {
        let order = Order {
            id: 7,
            note: "two \"lines\"\n".into(),
            kinds: vec![Kind::Plain, Kind::Priced { cents: 12, tax: Some(0.5) }],
            raw: vec![0xab; 70],
            pair: ('x', true),
            counts: BTreeMap::from([("a".into(), -1)]),
        };
        let mut bytes = Vec::new();
        encode(&order, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn shows_every_field() {
        let text = Render::new(Order::type_info(), &order()).to_string();
        let ab = "ab".repeat(BYTES_SHOWN);
        let expected = format!(
            "shop.Order {{\n    id: 7,\n    note: \"two \\\"lines\\\"\\n\",\n    kinds: [Kind::Plain, \
             Kind::Priced {{\n        cents: 12,\n        tax: Some(0.5),\n    }}],\n    raw: 0x{ab}… \
             (70 bytes),\n    pair: ('x', true),\n    counts: {{\"a\": -1}},\n}}"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn says_where_bytes_are_not_what_the_schema_says() {
        let bytes = order();
        for end in 0..bytes.len() {
            let text = Render::new(Order::type_info(), &bytes[..end]).to_string();
            assert!(text.contains("not as the schema says at byte"), "{text}");
        }
        let text = Render::new(u64::type_info(), &[1, 2]).to_string();
        assert!(text.starts_with("1 …"), "{text}");
    }

    #[test]
    fn text_is_bounded() {
        let mut bytes = Vec::new();
        encode(&Lists { long: vec!["long".into(); 100_000], none: Vec::new() }, &mut bytes)
            .unwrap();
        let text = Render::new(Lists::type_info(), &bytes).to_string();
        assert!(text.len() < TEXT_MAX + 200 && text.ends_with("(cut)"), "{}", text.len());
        // A length of nothings costs nothing either.
        let text = Render::new(Lists::type_info(), &[0, 255, 255, 255, 255, 15]).to_string();
        assert!(text.len() < TEXT_MAX + 200, "{}", text.len());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8.., 0..256)) {
            let _ = Render::new(Order::type_info(), &bytes).to_string();
        }
    }
}
