//! From bytes to JSON.

use serde_json::{Map, Number, Value};

use super::{is_key, is_pid};
use crate::Pid;
use crate::cursor::Cursor;
use crate::error::DecodeReason;
use crate::limits::MAX_VALUE_DEPTH;
use crate::shape::{Body, Field, Shape};
use crate::tree::{Scalar, SchemaTree, Type};

/// How many values JSON may have beyond [`VALUES_PER_BYTE`] of the message's size: each takes far more memory than most messages'
/// own values do.
const FREE_VALUES: usize = 16_384;
/// How many values, parts included, each byte may stand for.
const VALUES_PER_BYTE: usize = 8;

/// What is left of the bytes, and of the values they may hold.
pub(super) struct Reader<'a> {
    tree: &'a SchemaTree,
    pub(super) cursor: Cursor<'a>,
    values: usize,
}

type Read<T = Value> = Result<T, DecodeReason>;

impl<'a> Reader<'a> {
    pub(super) const fn new(tree: &'a SchemaTree, bytes: &'a [u8]) -> Self {
        let values = bytes.len().saturating_mul(VALUES_PER_BYTE).saturating_add(FREE_VALUES);
        Self { tree, cursor: Cursor::new(bytes), values }
    }

    pub(super) fn value(&mut self, ty: &Type, depth: usize) -> Read {
        if depth > MAX_VALUE_DEPTH {
            return Err(DecodeReason::TooDeep);
        }
        self.values = self.values.checked_sub(1).ok_or(DecodeReason::TooManyValues)?;
        let depth = depth + 1;
        match ty {
            Type::Scalar(scalar) => self.scalar(*scalar),
            Type::Option(item) => {
                if self.cursor.presence()? {
                    self.value(item, depth)
                } else {
                    Ok(Value::Null)
                }
            }
            Type::Seq(item) | Type::Set(item) => {
                let length = self.cursor.take::<u64>()?;
                self.list(length, |reader| reader.value(item, depth))
            }
            Type::Map(key, item) => self.map(key, item, depth),
            Type::Array(item, length) => self.list(*length, |reader| reader.value(item, depth)),
            Type::Tuple(items) => self.tuple(items, depth),
            Type::Named(number) => self.named(*number, depth),
        }
    }

    fn named(&mut self, number: usize, depth: usize) -> Read {
        let tree = self.tree;
        let definition = tree.definition(number);
        match &definition.body {
            Body::Plain(_) if is_pid(definition) => {
                Ok(self.cursor.take::<Pid>()?.to_string().into())
            }
            Body::Plain(shape) => self.shape(shape, depth),
            Body::Transparent(inner)
            | Body::Checked(inner)
            | Body::Reference { pid: inner, .. } => self.value(inner, depth),
            Body::Enum(variants) => {
                let variant = self.cursor.variant(variants)?;
                let name = variant.name.clone();
                if matches!(variant.shape, Shape::Unit) {
                    return Ok(name.into());
                }
                let inside = self.shape(&variant.shape, depth)?;
                Ok(Map::from_iter([(name, inside)]).into())
            }
        }
    }

    fn shape(&mut self, shape: &Shape<Type>, depth: usize) -> Read {
        match shape {
            Shape::Unit => Ok(Value::Null),
            Shape::Newtype(inner) => self.value(inner, depth),
            Shape::Tuple(items) => self.tuple(items, depth),
            Shape::Struct { fields, .. } => self.fields(fields, depth),
        }
    }

    fn fields(&mut self, fields: &[Field<Type>], depth: usize) -> Read {
        let mut field = |field: &Field<Type>| {
            let value = self.value(&field.ty, depth)?;
            Ok((field.name.clone(), value))
        };
        fields.iter().map(&mut field).collect::<Read<Map<_, _>>>().map(Value::from)
    }

    fn tuple(&mut self, items: &[Type], depth: usize) -> Read {
        let values = items.iter().map(|item| self.value(item, depth));
        values.collect::<Read<Vec<_>>>().map(Value::from)
    }

    fn map(&mut self, key: &Type, item: &Type, depth: usize) -> Read {
        let length = self.cursor.take::<u64>()?;
        if !is_key(self.tree, key) {
            return self.list(length, |reader| {
                let (key, value) = (reader.value(key, depth)?, reader.value(item, depth)?);
                Ok(vec![key, value].into())
            });
        }
        let mut entries = Map::new();
        for _ in 0..length {
            let key = match self.value(key, depth)? {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let value = self.value(item, depth)?;
            entries.insert(key, value);
        }
        Ok(entries.into())
    }

    /// So many values; the cursor's count of values bounds them.
    fn list(&mut self, length: u64, mut item: impl FnMut(&mut Self) -> Read) -> Read {
        (0..length).map(|_| item(self)).collect::<Read<Vec<_>>>().map(Value::from)
    }

    fn scalar(&mut self, scalar: Scalar) -> Read {
        let cursor = &mut self.cursor;
        Ok(match scalar {
            Scalar::Unit => Value::Null,
            Scalar::Bool => cursor.take::<bool>()?.into(),
            Scalar::I8 => cursor.take::<i8>()?.into(),
            Scalar::I16 => cursor.take::<i16>()?.into(),
            Scalar::I32 => cursor.take::<i32>()?.into(),
            Scalar::I64 => cursor.take::<i64>()?.into(),
            Scalar::I128 => large(cursor.take::<i128>()?),
            Scalar::U8 => cursor.take::<u8>()?.into(),
            Scalar::U16 => cursor.take::<u16>()?.into(),
            Scalar::U32 => cursor.take::<u32>()?.into(),
            Scalar::U64 => cursor.take::<u64>()?.into(),
            Scalar::U128 => large(cursor.take::<u128>()?),
            Scalar::F32 => float(cursor.take::<f32>()?.into()),
            Scalar::F64 => float(cursor.take::<f64>()?),
            Scalar::Char => cursor.take::<char>()?.to_string().into(),
            Scalar::String => cursor.take::<&str>()?.into(),
        })
    }
}

/// A number for which JSON may have no room: then it is text.
fn large<T: Copy + ToString + TryInto<i64> + TryInto<u64>>(number: T) -> Value {
    match (number.try_into(), number.try_into()) {
        (Ok(small), _) => <Value as From<i64>>::from(small),
        (_, Ok(large)) => <Value as From<u64>>::from(large),
        _ => number.to_string().into(),
    }
}

/// What is no number in JSON, such as infinity, is text.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}
