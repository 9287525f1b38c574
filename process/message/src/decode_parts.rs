//! The parts of a value that is decoded by its writer's schema: lists, maps, fields and variants.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use crate::chain::{OurFields, OurVariant, Ours};
use crate::cursor::Cursor;
use crate::driven::{Driven, name_of};
use crate::error::DecodeReason;
use crate::failure::Failure;
use crate::path::Step;
use crate::resolve_parts::Fixed;
use crate::scan::skip;
use crate::shape::{Field, Shape, Variant};
use crate::tree::{SchemaTree, Type};

/// The reader's side of values that follow each other.
#[derive(Clone, Copy)]
pub(crate) enum OurParts<'p> {
    /// Nothing is converted in there.
    None,
    Of(Ours<'p>),
    OfVariant(OurVariant<'p>),
}

impl<'p> OurParts<'p> {
    pub(crate) fn of(ours: Option<Ours<'p>>) -> Self {
        ours.map_or(Self::None, Self::Of)
    }

    fn element(self, index: usize) -> Option<Ours<'p>> {
        match self {
            Self::None => None,
            Self::Of(ours) => ours.element(index),
            Self::OfVariant(ours) => ours.element(index),
        }
    }
}

/// Values that follow each other.
pub(crate) struct Elements<'p, 'b> {
    cursor: &'p mut Cursor<'b>,
    tree: &'p SchemaTree,
    items: Fixed<'p>,
    next: usize,
    left: u64,
    depth: usize,
    ours: OurParts<'p>,
}

impl<'p, 'b> Elements<'p, 'b> {
    pub(crate) const fn new(
        cursor: &'p mut Cursor<'b>,
        tree: &'p SchemaTree,
        items: Fixed<'p>,
        depth: usize,
        ours: OurParts<'p>,
    ) -> Self {
        Self { cursor, tree, items, next: 0, left: items.len(), depth: depth + 1, ours }
    }

    /// Shows them all; a reader that stops early has another length in mind.
    pub(crate) fn visit<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Failure> {
        let theirs = self.items.len();
        let value = visitor.visit_seq(&mut self)?;
        if self.left == 0 {
            Ok(value)
        } else {
            Err(DecodeReason::Length { theirs, ours: theirs - self.left }.into())
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some(item) = self.items.get(self.next).filter(|_| self.left > 0) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        self.left -= 1;
        let ours = self.ours.element(index);
        Driven::new(self.cursor, self.tree, item, self.depth, ours)
            .and_then(|driven| seed.deserialize(driven))
            .map(Some)
            .map_err(|failure| failure.within(self.items.step(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        // More elements than bytes is either a mistake or a list of nothings.
        usize::try_from(self.left).ok().map(|left| left.min(self.cursor.len()))
    }
}

/// Keys and values that follow each other.
pub(crate) struct Pairs<'p, 'b> {
    cursor: &'p mut Cursor<'b>,
    tree: &'p SchemaTree,
    pair: (&'p Type, &'p Type),
    left: u64,
    depth: usize,
    ours: Option<(Ours<'p>, Ours<'p>)>,
}

impl<'p, 'b> Pairs<'p, 'b> {
    pub(crate) const fn new(
        cursor: &'p mut Cursor<'b>,
        tree: &'p SchemaTree,
        pair: (&'p Type, &'p Type),
        length: u64,
        depth: usize,
        ours: Option<(Ours<'p>, Ours<'p>)>,
    ) -> Self {
        Self { cursor, tree, pair, left: length, depth: depth + 1, ours }
    }

    pub(crate) fn visit<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Failure> {
        let theirs = self.left;
        let value = visitor.visit_map(&mut self)?;
        if self.left == 0 {
            Ok(value)
        } else {
            Err(DecodeReason::Length { theirs, ours: theirs - self.left }.into())
        }
    }
}

impl<'de> MapAccess<'de> for Pairs<'_, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let ours = self.ours.map(|(key, _)| key);
        Driven::new(self.cursor, self.tree, self.pair.0, self.depth, ours)
            .and_then(|driven| seed.deserialize(driven))
            .map(Some)
            .map_err(|failure| failure.within(Step::Key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let ours = self.ours.map(|(_, value)| value);
        Driven::new(self.cursor, self.tree, self.pair.1, self.depth, ours)
            .and_then(|driven| seed.deserialize(driven))
            .map_err(|failure| failure.within(Step::Value))
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok().map(|left| left.min(self.cursor.len()))
    }
}

/// The fields of a struct, shown as a map by name.
pub(crate) struct Fields<'p, 'b> {
    cursor: &'p mut Cursor<'b>,
    tree: &'p SchemaTree,
    fields: &'p [Field<Type>],
    depth: usize,
    ours: Option<OurFields<'p>>,
}

impl<'p, 'b> Fields<'p, 'b> {
    pub(crate) const fn new(
        cursor: &'p mut Cursor<'b>,
        tree: &'p SchemaTree,
        fields: &'p [Field<Type>],
        depth: usize,
        ours: Option<OurFields<'p>>,
    ) -> Self {
        Self { cursor, tree, fields, depth: depth + 1, ours }
    }

    /// Shows them all, and walks over those that the reader leaves.
    pub(crate) fn visit<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Failure> {
        let value = visitor.visit_map(&mut self)?;
        for field in self.fields {
            skip(self.tree, &field.ty, self.cursor, self.depth)
                .map_err(|reason| Failure::from(reason).within(Step::Name(field.name.clone())))?;
        }
        Ok(value)
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some(field) = self.fields.first() else {
            return Ok(None);
        };
        seed.deserialize(name_of(&field.name))
            .map(Some)
            .map_err(|failure| failure.within(Step::Name(field.name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some((field, rest)) = self.fields.split_first() else {
            return Err(serde::de::Error::custom("a value was asked for before its key"));
        };
        self.fields = rest;
        let ours = self.ours.and_then(|ours| ours.field(&field.name));
        Driven::new(self.cursor, self.tree, &field.ty, self.depth, ours)
            .and_then(|driven| seed.deserialize(driven))
            .map_err(|failure| failure.within(Step::Name(field.name.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// The variant that is there.
pub(crate) struct VariantOf<'p, 'b> {
    pub(crate) cursor: &'p mut Cursor<'b>,
    pub(crate) tree: &'p SchemaTree,
    pub(crate) variant: &'p Variant<Type>,
    pub(crate) depth: usize,
    pub(crate) ours: Option<OurVariant<'p>>,
}

impl VariantOf<'_, '_> {
    fn differ<T>(&self, ours: &'static str) -> Result<T, Failure> {
        let theirs = self.variant.shape.brief();
        Err(DecodeReason::Kind { theirs, ours }.into())
    }
}

impl<'de> EnumAccess<'de> for VariantOf<'_, '_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        Ok((seed.deserialize(name_of(&self.variant.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for VariantOf<'_, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        let step = Step::Name(self.variant.name.clone());
        match self.variant.shape {
            Shape::Unit => Ok(()),
            _ => self.differ("a variant without fields"),
        }
        .map_err(|failure: Failure| failure.within(step))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        let name = &self.variant.name;
        match &self.variant.shape {
            Shape::Newtype(inner) => {
                let ours = self.ours.and_then(OurVariant::newtype);
                Driven::new(self.cursor, self.tree, inner, self.depth, ours)
                    .and_then(|driven| seed.deserialize(driven))
            }
            _ => self.differ("a variant of one unnamed field"),
        }
        .map_err(|failure| failure.within(Step::Name(name.clone())))
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Failure> {
        let name = &self.variant.name;
        match &self.variant.shape {
            Shape::Tuple(items) if items.len() == count => {
                let ours = self.ours.map_or(OurParts::None, OurParts::OfVariant);
                Elements::new(self.cursor, self.tree, Fixed::Items(items), self.depth, ours)
                    .visit(visitor)
            }
            _ => self.differ("a variant of another number of unnamed fields"),
        }
        .map_err(|failure| failure.within(Step::Name(name.clone())))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let name = &self.variant.name;
        match &self.variant.shape {
            Shape::Struct { fields, .. } => {
                let ours = self.ours.and_then(OurVariant::fields);
                Fields::new(self.cursor, self.tree, fields, self.depth, ours).visit(visitor)
            }
            _ => self.differ("a variant with named fields"),
        }
        .map_err(|failure| failure.within(Step::Name(name.clone())))
    }
}
