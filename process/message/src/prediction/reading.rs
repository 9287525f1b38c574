//! A reader of any schema that asks of serde just what derived code asks.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::body_of;
use super::value::Value;
use crate::{Body, Field, Scalar, SchemaTree, Shape, Type, Variant};

/// A type to be read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) tree: &'a SchemaTree,
    pub(super) ty: &'a Type,
}

impl<'a> Reading<'a> {
    const fn of(self, ty: &'a Type) -> Self {
        Self { ty, ..self }
    }

    fn scalar<'de, D: Deserializer<'de>>(scalar: Scalar, from: D) -> Result<Value, D::Error> {
        Ok(match scalar {
            Scalar::Unit => <()>::deserialize(from).map(|()| Value::Unit)?,
            Scalar::Bool => Value::Bool(bool::deserialize(from)?),
            Scalar::I8 => Value::Int(i8::deserialize(from)?.into()),
            Scalar::I16 => Value::Int(i16::deserialize(from)?.into()),
            Scalar::I32 => Value::Int(i32::deserialize(from)?.into()),
            Scalar::I64 => Value::Int(i64::deserialize(from)?.into()),
            Scalar::I128 => Value::Int(i128::deserialize(from)?),
            Scalar::U8 => Value::Int(u8::deserialize(from)?.into()),
            Scalar::U16 => Value::Int(u16::deserialize(from)?.into()),
            Scalar::U32 => Value::Int(u32::deserialize(from)?.into()),
            Scalar::U64 => Value::Int(u64::deserialize(from)?.into()),
            Scalar::U128 => Value::Int(u128::deserialize(from)? as i128),
            Scalar::F32 => Value::Float(f32::deserialize(from)?.into()),
            Scalar::F64 => Value::Float(f64::deserialize(from)?),
            Scalar::Char => Value::Char(char::deserialize(from)?),
            Scalar::String => Value::Text(String::deserialize(from)?),
        })
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        match self.ty {
            Type::Scalar(scalar) => Self::scalar(*scalar, from),
            Type::Option(item) => from.deserialize_option(Optional(self.of(item))),
            Type::Seq(item) | Type::Set(item) => from.deserialize_seq(Listed(self.of(item))),
            Type::Map(key, item) => from.deserialize_map(Mapped(self.of(key), self.of(item))),
            Type::Array(item, length) => {
                let items = vec![&**item; *length as usize];
                from.deserialize_tuple(items.len(), Positions(self, items))
            }
            Type::Tuple(items) => {
                from.deserialize_tuple(items.len(), Positions(self, items.iter().collect()))
            }
            Type::Named(_) => match body_of(self.tree, self.ty).unwrap() {
                Body::Transparent(inner) | Body::Reference { pid: inner, .. } => {
                    self.of(inner).deserialize(from)
                }
                Body::Checked(inner) => checked(self.of(inner).deserialize(from)?),
                Body::Enum(variants) => from.deserialize_enum("N", &[], OneOf(self, variants)),
                Body::Plain(Shape::Unit) => from.deserialize_unit_struct("N", Nothing),
                Body::Plain(Shape::Newtype(inner)) => {
                    from.deserialize_newtype_struct("N", Wrapped(self.of(inner)))
                }
                Body::Plain(Shape::Tuple(items)) => {
                    let positions = Positions(self, items.iter().collect());
                    from.deserialize_tuple_struct("N", items.len(), positions)
                }
                Body::Plain(Shape::Struct { closed, fields }) => {
                    from.deserialize_struct("N", &[], Named(self, *closed, fields))
                }
            },
        }
    }
}

macro_rules! expecting {
    () => {
        type Value = Value;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value of the reader's type")
        }
    };
}

struct Optional<'a>(Reading<'a>);

impl<'de> Visitor<'de> for Optional<'_> {
    expecting!();

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Absent)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Ok(Value::Present(Box::new(self.0.deserialize(from)?)))
    }
}

struct Nothing;

impl Visitor<'_> for Nothing {
    expecting!();

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Unit)
    }
}

struct Wrapped<'a>(Reading<'a>);

impl<'de> Visitor<'de> for Wrapped<'_> {
    expecting!();

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.0.deserialize(from)
    }
}

struct Listed<'a>(Reading<'a>);

impl<'de> Visitor<'de> for Listed<'_> {
    expecting!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = from.next_element_seed(self.0)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }
}

struct Mapped<'a>(Reading<'a>, Reading<'a>);

impl<'de> Visitor<'de> for Mapped<'_> {
    expecting!();

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = from.next_entry_seed(self.0, self.1)? {
            pairs.push(pair);
        }
        // JSON sorts its keys.
        pairs.sort_by_key(|(key, _)| format!("{key:?}"));
        Ok(Value::Map(pairs))
    }
}

struct Positions<'a>(Reading<'a>, Vec<&'a Type>);

impl<'de> Visitor<'de> for Positions<'_> {
    expecting!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        for ty in self.1 {
            let value = from.next_element_seed(self.0.of(ty))?;
            values.push(value.ok_or_else(|| A::Error::custom("too short"))?);
        }
        Ok(Value::List(values))
    }
}

struct Named<'a>(Reading<'a>, bool, &'a [Field<Type>]);

impl<'de> Visitor<'de> for Named<'_> {
    expecting!();

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut values = vec![None; self.2.len()];
        while let Some(name) = from.next_key_seed(Identifier)? {
            match self.2.iter().position(|field| field.answers_to(&name)) {
                Some(at) if values[at].is_some() => return Err(A::Error::custom("twice")),
                Some(at) => values[at] = Some(from.next_value_seed(self.0.of(&self.2[at].ty))?),
                None if self.1 => return Err(A::Error::custom("unknown field")),
                None => drop(from.next_value::<IgnoredAny>()?),
            }
        }
        let mut named = Vec::new();
        for (field, value) in self.2.iter().zip(values) {
            let value = match value {
                Some(value) => value,
                None if field.default => Value::Default,
                None => missing(self.0.of(&field.ty))?,
            };
            named.push((field.name.clone(), value));
        }
        Ok(Value::Struct(named))
    }
}

/// A type that refuses what has a negative number in it.
fn checked<E: Error>(value: Value) -> Result<Value, E> {
    if format!("{value:?}").contains('-') { Err(E::custom("refused")) } else { Ok(value) }
}

/// serde lets a type that asks for an option right away be absent.
fn missing<E: Error>(reading: Reading<'_>) -> Result<Value, E> {
    match (reading.ty, body_of(reading.tree, reading.ty)) {
        (Type::Option(_), _) => Ok(Value::Absent),
        (_, Some(Body::Transparent(inner))) => missing(reading.of(inner)),
        (_, Some(Body::Checked(inner))) => missing(reading.of(inner)).and_then(checked),
        _ => Err(E::custom("missing field")),
    }
}

struct Identifier;

impl<'de> DeserializeSeed<'de> for Identifier {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Identifier {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<String, E> {
        Ok(name.to_owned())
    }
}

struct OneOf<'a>(Reading<'a>, &'a [Variant<Type>]);

impl<'de> Visitor<'de> for OneOf<'_> {
    expecting!();

    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<Value, A::Error> {
        let (found, content) = from.variant_seed(Known(self.1))?;
        let value = match &found.shape {
            Shape::Unit => content.unit_variant().map(|()| Value::Unit),
            Shape::Newtype(inner) => content.newtype_variant_seed(self.0.of(inner)),
            Shape::Tuple(items) => {
                content.tuple_variant(items.len(), Positions(self.0, items.iter().collect()))
            }
            Shape::Struct { closed, fields } => {
                content.struct_variant(&[], Named(self.0, *closed, fields))
            }
        }?;
        Ok(Value::Variant(found.name.clone(), Box::new(value)))
    }
}

struct Known<'a>(&'a [Variant<Type>]);

impl<'de, 'a> DeserializeSeed<'de> for Known<'a> {
    type Value = &'a Variant<Type>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        let name = from.deserialize_identifier(Identifier)?;
        let named = self.0.iter().find(|variant| variant.answers_to(&name));
        let found = named.or_else(|| self.0.iter().find(|variant| variant.other));
        found.ok_or_else(|| D::Error::custom("unknown variant"))
    }
}
