//! A writer's value under a reader's hand: bytes and the writer's schema, walked together.
//!
//! postcard's bytes carry neither names nor types, but the writer's schema does. Walking bytes and
//! schema together gives serde what a self-describing format would: structs as maps by field name,
//! enums by variant name. So the reader's derived code applies defaults, aliases and unknown fields
//! by itself. Where a conversion lies in the way, it is run, and the reader sees what it has made.

use std::any::Any;
use std::fmt::Display;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::chain::{Chain, Ours};
use crate::conversion::{Conversion, Passing};
use crate::cursor::Cursor;
use crate::decode_parts::{Elements, Fields, OurParts, Pairs, VariantOf};
use crate::error::DecodeReason;
use crate::failure::Failure;
use crate::limits::MAX_VALUE_DEPTH;
use crate::path::{MAX_TEXT_BYTES, shorten};
use crate::resolve_parts::{Fixed, Parts};
use crate::scan::skip;
use crate::tree::{Scalar, SchemaTree, Type};

/// One value of the writer's, about to be read.
pub(crate) struct Driven<'p, 'b> {
    cursor: &'p mut Cursor<'b>,
    tree: &'p SchemaTree,
    /// The type with its wrappers,
    whole: &'p Type,
    /// and without them.
    ty: &'p Type,
    depth: usize,
    /// The reader's side, where conversions may lie.
    ours: Option<Ours<'p>>,
    /// The conversions to be run on this value.
    pub(crate) chain: Option<&'p Chain>,
}

impl<'p, 'b> Driven<'p, 'b> {
    pub(crate) fn new(
        cursor: &'p mut Cursor<'b>,
        tree: &'p SchemaTree,
        whole: &'p Type,
        depth: usize,
        ours: Option<Ours<'p>>,
    ) -> Result<Self, Failure> {
        cursor.count()?;
        if depth > MAX_VALUE_DEPTH {
            return Err(DecodeReason::TooDeep.into());
        }
        let ty = tree.unwrapped(whole);
        let mut driven = Self { cursor, tree, whole, ty, depth, ours, chain: None };
        if let Some((chain, from)) = ours.and_then(|ours| ours.chain(tree, whole)) {
            driven.chain = Some(chain);
            driven.whole = from;
        }
        Ok(driven)
    }

    /// Goes on to the value that the reader asks for: through options that it does not have, and
    /// through conversions.
    fn settled<R>(
        mut self,
        then: impl FnOnce(Driven<'_, '_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        loop {
            if self.chain.is_some() {
                return self.converted(|made| made.settled(then));
            }
            let Type::Option(inner) = self.ty else {
                return then(self);
            };
            if !self.cursor.presence()? {
                return Err(DecodeReason::Absent.into());
            }
            self = Self::new(self.cursor, self.tree, inner, self.depth + 1, self.ours)?;
        }
    }

    /// Converts the value, if it has to be, and goes on with what has come of it.
    fn converted<R>(
        self,
        then: impl FnOnce(Driven<'_, '_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let depth = self.depth;
        match self.chain {
            Some(chain) => {
                let (made, last) = self.run(chain)?;
                last.read_back(&*made, depth, then)
            }
            None => then(self),
        }
    }

    /// Reads the value as the old type and takes it along the chain.
    pub(crate) fn run(self, chain: &'p Chain) -> Result<(Passing, &'p Conversion), Failure> {
        let ours = self.ours.map(|ours| ours.start(chain));
        let (first, last) = chain.ends();
        // A step further in, so that conversions within conversions are bounded.
        let old = Self::new(self.cursor, self.tree, self.whole, self.depth + 1, ours)?;
        let old = first.read(old)?;
        let made = chain.steps.iter().try_fold(old, |value, step| step.convert(value))?;
        Ok((made, last))
    }

    fn differ(&self, ours: &'static str) -> Failure {
        let theirs = shorten(self.tree.brief(self.ty), MAX_TEXT_BYTES);
        DecodeReason::Kind { theirs, ours }.into()
    }

    /// Reads the primitive that the writer must have, too.
    fn exactly<T: DeserializeOwned>(self, scalar: Scalar) -> Result<T, Failure> {
        self.settled(|it| it.scalar(scalar))
    }

    fn scalar<T: de::Deserialize<'b>>(self, scalar: Scalar) -> Result<T, Failure> {
        if *self.ty == Type::Scalar(scalar) {
            Ok(self.cursor.take()?)
        } else {
            Err(self.differ(scalar.name()))
        }
    }

    fn integer<T: TryFrom<i128> + TryFrom<u128>>(self, ours: &'static str) -> Result<T, Failure> {
        let cursor = &mut *self.cursor;
        let signed = match self.ty {
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
            _ => return Err(self.differ(ours)),
        };
        T::try_from(signed).ok().ok_or_else(|| out_of_range(&signed, ours))
    }

    /// Values that follow each other: so many of one type, or as many as there are types.
    fn elements<'de, V: Visitor<'de>>(
        self,
        items: Fixed<'p>,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let ours = OurParts::of(self.ours);
        Elements::new(self.cursor, self.tree, items, self.depth, ours).visit(visitor)
    }

    /// What the reader takes apart by position, with a number of parts that it knows.
    fn positions<'de, V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let ours = count as u64;
        if let Type::Seq(item) | Type::Set(item) = self.ty {
            let theirs = self.cursor.take::<u64>()?;
            if theirs != ours {
                return Err(DecodeReason::Length { theirs, ours }.into());
            }
            return self.elements(Fixed::Array(item, theirs), visitor);
        }
        match self.tree.parts(self.ty) {
            Parts::Fixed(items) if items.len() == ours => self.elements(items, visitor),
            Parts::Fixed(items) => Err(DecodeReason::Length { theirs: items.len(), ours }.into()),
            _ => Err(self.differ("a tuple")),
        }
    }
}

impl Conversion {
    /// Reads what this conversion has made, as the reader does.
    pub(crate) fn read_back<R>(
        &self,
        made: &dyn Any,
        depth: usize,
        then: impl FnOnce(Driven<'_, '_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let bytes = self.write(made)?;
        let tree = self.to.tree();
        let mut cursor = Cursor::new(&bytes);
        let read = then(Driven::new(&mut cursor, tree, &tree.root, depth, None)?)?;
        cursor.finish()?;
        Ok(read)
    }
}

fn out_of_range(value: &dyn Display, ours: &'static str) -> Failure {
    DecodeReason::OutOfRange { value: value.to_string(), ours }.into()
}

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(self.settled(|it| it.integer::<$ty>(stringify!($ty)))?)
        }
    )*};
}

/// Nothing is lent to the reader: what was converted does not outlive the step, and messages own what
/// they hold.
impl<'de> Deserializer<'de> for Driven<'_, '_> {
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
        visitor.visit_f64(self.settled(|it| match it.ty {
            Type::Scalar(Scalar::F32) => Ok(it.cursor.take::<f32>()?.into()),
            _ => it.scalar(Scalar::F64),
        })?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_char(self.exactly(Scalar::Char)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.settled(|it| visitor.visit_str(it.scalar(Scalar::String)?))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.settled(|it| match it.ty {
            Type::Seq(item) if **item == Type::Scalar(Scalar::U8) => {
                let length = it.cursor.take()?;
                visitor.visit_bytes(it.cursor.bytes(length)?)
            }
            _ => Err(it.differ("bytes")),
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.converted(|it| {
            let inner = match it.ty {
                Type::Option(inner) if it.cursor.presence()? => inner,
                Type::Option(_) => return visitor.visit_none(),
                _ => it.whole,
            };
            let ours = it.ours.map(Ours::inside);
            visitor.visit_some(Driven::new(it.cursor, it.tree, inner, it.depth + 1, ours)?)
        })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.settled(|it| match it.tree.parts(it.ty) {
            Parts::Unit => visitor.visit_unit(),
            _ => Err(it.differ("unit")),
        })
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
        self.settled(|it| {
            if let Type::Seq(item) | Type::Set(item) = it.ty {
                let length = it.cursor.take()?;
                return it.elements(Fixed::Array(item, length), visitor);
            }
            match it.tree.parts(it.ty) {
                Parts::Fixed(items) => it.elements(items, visitor),
                _ => Err(it.differ("a list")),
            }
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.settled(|it| it.positions(count, visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.settled(|it| it.positions(count, visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.settled(|it| {
            let Type::Map(key, value) = it.ty else {
                return Err(it.differ("a map"));
            };
            let length = it.cursor.take()?;
            let ours = it.ours.and_then(Ours::pair);
            Pairs::new(it.cursor, it.tree, (key, value), length, it.depth, ours).visit(visitor)
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.settled(|it| match it.tree.parts(it.ty) {
            Parts::Struct { fields, .. } => {
                let ours = it.ours.and_then(Ours::fields);
                Fields::new(it.cursor, it.tree, fields, it.depth, ours).visit(visitor)
            }
            _ => Err(it.differ(name)),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.settled(|it| {
            let Parts::Enum(variants) = it.tree.parts(it.ty) else {
                return Err(it.differ(name));
            };
            let variant = it.cursor.variant(variants)?;
            visitor.visit_enum(VariantOf {
                ours: it.ours.and_then(|ours| ours.variant(&variant.name)),
                cursor: it.cursor,
                tree: it.tree,
                variant,
                depth: it.depth + 1,
            })
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
