//! Walking over encoded bytes by their schema, without building anything.
//!
//! postcard bounds neither how deep a recursive value nests nor how long a list of nothings is. Values
//! of such types are walked first: what passes here decodes within bounded stack and time.

use crate::cursor::Cursor;
use crate::error::DecodeReason;
use crate::limits::MAX_VALUE_DEPTH;
use crate::shape::{Body, Shape};
use crate::tree::{Scalar, SchemaTree, Type};

/// Checks that the bytes are one value of the schema and nothing more.
pub(crate) fn scan(tree: &SchemaTree, bytes: &[u8]) -> Result<(), DecodeReason> {
    let mut cursor = Cursor::new(bytes);
    skip(tree, &tree.root, &mut cursor, 0)?;
    cursor.finish()
}

/// Steps over one value.
pub(crate) fn skip(
    tree: &SchemaTree,
    ty: &Type,
    cursor: &mut Cursor<'_>,
    depth: usize,
) -> Result<(), DecodeReason> {
    if depth > MAX_VALUE_DEPTH {
        return Err(DecodeReason::TooDeep);
    }
    cursor.count()?;
    let depth = depth + 1;
    match ty {
        Type::Scalar(scalar) => skip_scalar(*scalar, cursor),
        Type::Option(item) => {
            if cursor.presence()? {
                skip(tree, item, cursor, depth)
            } else {
                Ok(())
            }
        }
        Type::Seq(item) | Type::Set(item) => {
            if matches!(**item, Type::Scalar(Scalar::U8 | Scalar::I8)) {
                let length = cursor.take::<u64>()?;
                return cursor.bytes(length).map(drop);
            }
            let length = cursor.take::<u64>()?;
            repeat(length, cursor, |cursor| skip(tree, item, cursor, depth))
        }
        Type::Map(key, value) => {
            let length = cursor.take::<u64>()?;
            repeat(length, cursor, |cursor| {
                skip(tree, key, cursor, depth)?;
                skip(tree, value, cursor, depth)
            })
        }
        Type::Array(item, length) => {
            repeat(*length, cursor, |cursor| skip(tree, item, cursor, depth))
        }
        Type::Tuple(items) => items.iter().try_for_each(|item| skip(tree, item, cursor, depth)),
        Type::Named(number) => match &tree.definition(*number).body {
            Body::Plain(shape) => skip_shape(tree, shape, cursor, depth),
            Body::Transparent(inner)
            | Body::Checked(inner)
            | Body::Reference { pid: inner, .. } => skip(tree, inner, cursor, depth),
            Body::Enum(variants) => {
                skip_shape(tree, &cursor.variant(variants)?.shape, cursor, depth)
            }
        },
    }
}

/// Steps over the fields of a struct or variant.
pub(crate) fn skip_shape(
    tree: &SchemaTree,
    shape: &Shape<Type>,
    cursor: &mut Cursor<'_>,
    depth: usize,
) -> Result<(), DecodeReason> {
    match shape {
        Shape::Unit => Ok(()),
        Shape::Newtype(inner) => skip(tree, inner, cursor, depth),
        Shape::Tuple(items) => items.iter().try_for_each(|item| skip(tree, item, cursor, depth)),
        Shape::Struct { fields, .. } => {
            fields.iter().try_for_each(|field| skip(tree, &field.ty, cursor, depth))
        }
    }
}

/// Runs a step so many times; the cursor's count of values bounds it.
fn repeat<'de>(
    length: u64,
    cursor: &mut Cursor<'de>,
    mut step: impl FnMut(&mut Cursor<'de>) -> Result<(), DecodeReason>,
) -> Result<(), DecodeReason> {
    (0..length).try_for_each(|_| step(cursor))
}

fn skip_scalar(scalar: Scalar, cursor: &mut Cursor<'_>) -> Result<(), DecodeReason> {
    match scalar {
        Scalar::Unit => Ok(()),
        Scalar::Bool => cursor.take::<bool>().map(drop),
        Scalar::I8 => cursor.take::<i8>().map(drop),
        Scalar::I16 => cursor.take::<i16>().map(drop),
        Scalar::I32 => cursor.take::<i32>().map(drop),
        Scalar::I64 => cursor.take::<i64>().map(drop),
        Scalar::I128 => cursor.take::<i128>().map(drop),
        Scalar::U8 => cursor.take::<u8>().map(drop),
        Scalar::U16 => cursor.take::<u16>().map(drop),
        Scalar::U32 => cursor.take::<u32>().map(drop),
        Scalar::U64 => cursor.take::<u64>().map(drop),
        Scalar::U128 => cursor.take::<u128>().map(drop),
        Scalar::F32 => cursor.take::<f32>().map(drop),
        Scalar::F64 => cursor.take::<f64>().map(drop),
        Scalar::Char => cursor.take::<char>().map(drop),
        Scalar::String => cursor.take::<&str>().map(drop),
    }
}
