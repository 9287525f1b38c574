//! Decoding driven by the writer's schema.
//!
//! postcard's bytes carry neither names nor types, but the writer's schema does. Walking bytes and
//! schema together gives serde what a self-describing format would: structs as maps by field name,
//! enums by variant name. So the reader's derived code applies defaults, aliases and unknown fields
//! by itself.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::codec::decode_reason;
use crate::cursor::Cursor;
use crate::decode_parts::{Elements, Fields, Pairs, VariantOf};
use crate::error::{DecodeError, DecodeReason};
use crate::failure::Failure;
use crate::limits::MAX_VALUE_DEPTH;
use crate::path::{MAX_TEXT_BYTES, shorten};
use crate::resolve_parts::{Fixed, Parts};
use crate::scan::skip;
use crate::tree::{Scalar, SchemaTree, Type};
use crate::{Message, Resolution};

/// Decodes a message as its resolution says. The message must fill the bytes.
///
/// # Errors
///
/// When the types are incompatible, when a risk of the plan came true, or when the bytes are not
/// exactly one value of the writer's type.
pub fn decode_resolved<M: Message>(
    bytes: &[u8],
    resolution: &Resolution,
) -> Result<M, DecodeError> {
    let done = match resolution {
        Resolution::Same => decode_reason(bytes).map_err(Failure::from),
        Resolution::Structural(plan) if plan.reader != M::type_info().fingerprint() => {
            Err(DecodeReason::Refused("the plan is for another type".to_owned()).into())
        }
        Resolution::Structural(plan) if plan.verbatim => {
            decode_reason(bytes).map_err(Failure::from)
        }
        Resolution::Structural(plan) => follow(&plan.writer, bytes, PhantomData),
        Resolution::Incompatible(mismatch) => {
            Err(DecodeReason::Incompatible(Box::new(mismatch.clone())).into())
        }
    };
    done.map_err(|failure: Failure| DecodeError {
        type_name: M::type_info().to_string(),
        field_path: failure.path(),
        reason: failure.reason,
    })
}

/// Walks bytes and schema together.
pub(crate) fn follow<'de, S: DeserializeSeed<'de>>(
    writer: &SchemaTree,
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value, Failure> {
    let mut cursor = Cursor::new(bytes);
    let value = seed.deserialize(Driven::new(&mut cursor, writer, &writer.root, 0)?)?;
    cursor.finish()?;
    Ok(value)
}

/// One value of the writer's, about to be read.
pub(crate) struct Driven<'p, 'de> {
    cursor: &'p mut Cursor<'de>,
    tree: &'p SchemaTree,
    ty: &'p Type,
    depth: usize,
}

impl<'p, 'de> Driven<'p, 'de> {
    pub(crate) fn new(
        cursor: &'p mut Cursor<'de>,
        tree: &'p SchemaTree,
        ty: &'p Type,
        depth: usize,
    ) -> Result<Self, Failure> {
        cursor.count()?;
        if depth > MAX_VALUE_DEPTH {
            return Err(DecodeReason::TooDeep.into());
        }
        Ok(Self { cursor, tree, ty: tree.unwrapped(ty), depth })
    }

    /// Goes through options that the reader does not have.
    fn present(mut self) -> Result<Self, Failure> {
        while let Type::Option(inner) = self.ty {
            if !self.cursor.presence()? {
                return Err(DecodeReason::Absent.into());
            }
            self = Self::new(self.cursor, self.tree, inner, self.depth + 1)?;
        }
        Ok(self)
    }

    fn differ(&self, ours: &'static str) -> Failure {
        let theirs = shorten(self.tree.brief(self.ty), MAX_TEXT_BYTES);
        DecodeReason::Kind { theirs, ours }.into()
    }

    /// Reads the primitive that the writer must have, too.
    fn exactly<T: de::Deserialize<'de>>(self, scalar: Scalar) -> Result<T, Failure> {
        let present = self.present()?;
        if *present.ty == Type::Scalar(scalar) {
            Ok(present.cursor.take()?)
        } else {
            Err(present.differ(scalar.name()))
        }
    }

    fn integer<T: TryFrom<i128> + TryFrom<u128>>(self, ours: &'static str) -> Result<T, Failure> {
        let present = self.present()?;
        let cursor = &mut *present.cursor;
        let signed = match present.ty {
            Type::Scalar(Scalar::I8) => i128::from(cursor.take::<i8>()?),
            Type::Scalar(Scalar::I16) => i128::from(cursor.take::<i16>()?),
            Type::Scalar(Scalar::I32) => i128::from(cursor.take::<i32>()?),
            Type::Scalar(Scalar::I64) => i128::from(cursor.take::<i64>()?),
            Type::Scalar(Scalar::I128) => cursor.take::<i128>()?,
            Type::Scalar(Scalar::U8) => i128::from(cursor.take::<u8>()?),
            Type::Scalar(Scalar::U16) => i128::from(cursor.take::<u16>()?),
            Type::Scalar(Scalar::U32) => i128::from(cursor.take::<u32>()?),
            Type::Scalar(Scalar::U64) => i128::from(cursor.take::<u64>()?),
            Type::Scalar(Scalar::U128) => {
                let value = cursor.take::<u128>()?;
                let fitting = T::try_from(value).ok();
                return fitting.ok_or_else(|| out_of_range(&value, ours));
            }
            _ => return Err(present.differ(ours)),
        };
        T::try_from(signed).ok().ok_or_else(|| out_of_range(&signed, ours))
    }

    fn fixed<V: Visitor<'de>>(self, items: Fixed<'p>, visitor: V) -> Result<V::Value, Failure> {
        Elements::fixed(self.cursor, self.tree, items, self.depth).visit(visitor)
    }

    fn list<V: Visitor<'de>>(
        self,
        item: &'p Type,
        length: u64,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        Elements::list(self.cursor, self.tree, item, length, self.depth).visit(visitor)
    }

    /// What the reader takes apart by position, with a number of parts that it knows.
    fn positions<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Failure> {
        let ours = count as u64;
        let present = self.present()?;
        if let Type::Seq(item) | Type::Set(item) = present.ty {
            let theirs = present.cursor.take::<u64>()?;
            if theirs != ours {
                return Err(DecodeReason::Length { theirs, ours }.into());
            }
            return present.list(item, theirs, visitor);
        }
        match present.tree.parts(present.ty) {
            Parts::Fixed(items) if items.len() == ours => present.fixed(items, visitor),
            Parts::Fixed(items) => Err(DecodeReason::Length { theirs: items.len(), ours }.into()),
            _ => Err(present.differ("a tuple")),
        }
    }
}

fn out_of_range(value: &dyn Display, ours: &'static str) -> Failure {
    DecodeReason::OutOfRange { value: value.to_string(), ours }.into()
}

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(self.integer::<$ty>(stringify!($ty))?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Driven<'_, 'de> {
    type Error = Failure;

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(de::Error::custom("messages cannot hold types that ask for any value, as postcard"))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_bool(self.exactly(Scalar::Bool)?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_f32(self.exactly(Scalar::F32)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let present = self.present()?;
        if *present.ty == Type::Scalar(Scalar::F32) {
            visitor.visit_f64(present.cursor.take::<f32>()?.into())
        } else {
            visitor.visit_f64(present.exactly(Scalar::F64)?)
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_char(self.exactly(Scalar::Char)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.exactly(Scalar::String)?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let present = self.present()?;
        match present.ty {
            Type::Seq(item) if **item == Type::Scalar(Scalar::U8) => {
                let length = present.cursor.take()?;
                visitor.visit_borrowed_bytes(present.cursor.bytes(length)?)
            }
            _ => Err(present.differ("bytes")),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let inner = match self.ty {
            Type::Option(inner) if self.cursor.presence()? => inner,
            Type::Option(_) => return visitor.visit_none(),
            certain => certain,
        };
        visitor.visit_some(Self::new(self.cursor, self.tree, inner, self.depth + 1)?)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let present = self.present()?;
        match present.tree.parts(present.ty) {
            Parts::Unit => visitor.visit_unit(),
            _ => Err(present.differ("unit")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    /// The writer's wrappers are gone already, so the reader's are put on whatever is there.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let present = self.present()?;
        if let Type::Seq(item) | Type::Set(item) = present.ty {
            let length = present.cursor.take()?;
            return present.list(item, length, visitor);
        }
        match present.tree.parts(present.ty) {
            Parts::Fixed(items) => present.fixed(items, visitor),
            _ => Err(present.differ("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.positions(count, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.positions(count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let present = self.present()?;
        let Type::Map(key, value) = present.ty else {
            return Err(present.differ("a map"));
        };
        let length = present.cursor.take()?;
        Pairs::new(present.cursor, present.tree, (key, value), length, present.depth).visit(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let present = self.present()?;
        match present.tree.parts(present.ty) {
            Parts::Struct { fields, .. } => {
                Fields::new(present.cursor, present.tree, fields, present.depth).visit(visitor)
            }
            _ => Err(present.differ(name)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let present = self.present()?;
        let Parts::Enum(variants) = present.tree.parts(present.ty) else {
            return Err(present.differ(name));
        };
        let index = present.cursor.take::<u32>()?;
        let variant = variants.get(index as usize).ok_or(DecodeReason::UnknownVariant(index))?;
        visitor.visit_enum(VariantOf {
            cursor: present.cursor,
            tree: present.tree,
            variant,
            depth: present.depth + 1,
        })
    }

    /// What the reader does not know is walked over.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        skip(self.tree, self.ty, self.cursor, self.depth)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { identifier }
}

/// A name of the writer's, as serde takes names.
pub(crate) fn name_of(name: &str) -> StrDeserializer<'_, Failure> {
    StrDeserializer::new(name)
}
