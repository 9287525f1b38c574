//! Values of a schema: drawn at random or to cover it, written as bytes and as JSON.

use midflight_message::{Body, Scalar, SchemaTree, Shape, Type};
use serde_json::{Value as Json, json};

use super::body_of;
use super::chance::Chance;

/// A value, as a reader sees it: newtypes have left no trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Unit,
    Bool(bool),
    Int(i128),
    Float(f64),
    Char(char),
    Text(String),
    Absent,
    Present(Box<Self>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Struct(Vec<(String, Self)>),
    Variant(String, Box<Self>),
    /// What a reader put in by itself.
    Default,
}

fn put<T: serde::Serialize>(value: T, out: &mut Vec<u8>) {
    out.extend(postcard::to_stdvec(&value).unwrap());
}

impl Value {
    /// Writes it as the derived code of its type would with postcard.
    pub(crate) fn write(&self, tree: &SchemaTree, ty: &Type, out: &mut Vec<u8>) {
        match (ty, self) {
            (Type::Scalar(scalar), _) => self.write_scalar(*scalar, out),
            (Type::Option(_), Self::Absent) => out.push(0),
            (Type::Option(item), Self::Present(value)) => {
                out.push(1);
                value.write(tree, item, out);
            }
            (Type::Seq(item) | Type::Set(item), Self::List(values)) => {
                put(values.len() as u64, out);
                values.iter().for_each(|value| value.write(tree, item, out));
            }
            (Type::Array(item, _), Self::List(values)) => {
                values.iter().for_each(|value| value.write(tree, item, out));
            }
            (Type::Tuple(items), Self::List(values)) => {
                values.iter().zip(items).for_each(|(value, item)| value.write(tree, item, out));
            }
            (Type::Map(key, item), Self::Map(pairs)) => {
                put(pairs.len() as u64, out);
                for (name, value) in pairs {
                    name.write(tree, key, out);
                    value.write(tree, item, out);
                }
            }
            (Type::Named(_), _) => match (body_of(tree, ty).unwrap(), self) {
                (Body::Plain(shape), _) => self.write_shape(tree, shape, out),
                (Body::Transparent(inner) | Body::Checked(inner), _) => {
                    self.write(tree, inner, out);
                }
                (Body::Enum(variants), Self::Variant(name, value)) => {
                    let index = variants.iter().position(|one| one.name == *name).unwrap();
                    put(index as u32, out);
                    value.write_shape(tree, &variants[index].shape, out);
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn write_shape(&self, tree: &SchemaTree, shape: &Shape<Type>, out: &mut Vec<u8>) {
        match (shape, self) {
            (Shape::Unit, _) => {}
            (Shape::Newtype(inner), _) => self.write(tree, inner, out),
            (Shape::Tuple(items), Self::List(values)) => {
                values.iter().zip(items).for_each(|(value, item)| value.write(tree, item, out));
            }
            (Shape::Struct { fields, .. }, Self::Struct(values)) => {
                let pairs = values.iter().zip(fields);
                pairs.for_each(|((_, value), field)| value.write(tree, &field.ty, out));
            }
            other => panic!("{other:?}"),
        }
    }

    fn write_scalar(&self, scalar: Scalar, out: &mut Vec<u8>) {
        match (scalar, self) {
            (Scalar::Unit, _) => {}
            (Scalar::Bool, Self::Bool(value)) => put(value, out),
            (Scalar::I8, Self::Int(value)) => put(*value as i8, out),
            (Scalar::I16, Self::Int(value)) => put(*value as i16, out),
            (Scalar::I32, Self::Int(value)) => put(*value as i32, out),
            (Scalar::I64, Self::Int(value)) => put(*value as i64, out),
            (Scalar::I128, Self::Int(value)) => put(*value, out),
            (Scalar::U8, Self::Int(value)) => put(*value as u8, out),
            (Scalar::U16, Self::Int(value)) => put(*value as u16, out),
            (Scalar::U32, Self::Int(value)) => put(*value as u32, out),
            (Scalar::U64, Self::Int(value)) => put(*value as u64, out),
            (Scalar::U128, Self::Int(value)) => put(*value as u128, out),
            (Scalar::F32, Self::Float(value)) => put(*value as f32, out),
            (Scalar::F64, Self::Float(value)) => put(value, out),
            (Scalar::Char, Self::Char(value)) => put(value, out),
            (Scalar::String, Self::Text(value)) => put(value, out),
            other => panic!("{other:?}"),
        }
    }

    /// Writes it as the derived code of its type would with JSON.
    pub(crate) fn json(&self, tree: &SchemaTree, ty: &Type) -> Json {
        match (ty, self) {
            (Type::Named(_), _) => match (body_of(tree, ty).unwrap(), self) {
                (Body::Plain(shape), _) => self.json_shape(tree, shape),
                (Body::Transparent(inner) | Body::Checked(inner), _) => self.json(tree, inner),
                (Body::Enum(variants), Self::Variant(name, value)) => {
                    let variant = variants.iter().find(|one| one.name == *name).unwrap();
                    match &variant.shape {
                        Shape::Unit => json!(name),
                        shape => json!({ name: value.json_shape(tree, shape) }),
                    }
                }
                other => panic!("{other:?}"),
            },
            (Type::Option(item), Self::Present(value)) => value.json(tree, item),
            (Type::Seq(item) | Type::Set(item) | Type::Array(item, _), Self::List(values)) => {
                values.iter().map(|value| value.json(tree, item)).collect()
            }
            (Type::Tuple(items), Self::List(values)) => {
                values.iter().zip(items).map(|(value, item)| value.json(tree, item)).collect()
            }
            (Type::Map(_, item), Self::Map(pairs)) => {
                let pairs = pairs.iter().map(|(name, value)| {
                    let name = match name {
                        Self::Text(name) => name.clone(),
                        Self::Int(number) => number.to_string(),
                        other => panic!("{other:?}"),
                    };
                    (name, value.json(tree, item))
                });
                Json::Object(pairs.collect())
            }
            (_, Self::Unit | Self::Absent) => Json::Null,
            (_, Self::Bool(value)) => json!(value),
            (_, Self::Int(value)) => json!(value),
            (_, Self::Float(value)) => json!(value),
            (_, Self::Char(value)) => json!(value),
            (_, Self::Text(value)) => json!(value),
            other => panic!("{other:?}"),
        }
    }

    fn json_shape(&self, tree: &SchemaTree, shape: &Shape<Type>) -> Json {
        match (shape, self) {
            (Shape::Unit, _) => Json::Null,
            (Shape::Newtype(inner), _) => self.json(tree, inner),
            (Shape::Tuple(items), Self::List(values)) => {
                values.iter().zip(items).map(|(value, item)| value.json(tree, item)).collect()
            }
            (Shape::Struct { fields, .. }, Self::Struct(values)) => {
                let pairs = values.iter().zip(fields);
                let json =
                    |((name, value), field): (&(String, Self), &midflight_message::Field<Type>)| {
                        (name.clone(), value.json(tree, &field.ty))
                    };
                Json::Object(pairs.map(json).collect())
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Any value of a type.
pub(crate) fn random(tree: &SchemaTree, ty: &Type, chance: &mut Chance) -> Value {
    let many = |bound, item: &Type, chance: &mut Chance| {
        let count = chance.below(bound);
        (0..count).map(|_| random(tree, item, chance)).collect::<Vec<_>>()
    };
    match ty {
        Type::Scalar(scalar) => chance.pick(&samples(*scalar)),
        Type::Option(_) if chance.below(3) == 0 => Value::Absent,
        Type::Option(item) => Value::Present(Box::new(random(tree, item, chance))),
        Type::Seq(item) => Value::List(many(4, item, chance)),
        // A set of at most one has no order to lose.
        Type::Set(item) => Value::List(many(2, item, chance)),
        Type::Array(item, length) => {
            Value::List((0..*length).map(|_| random(tree, item, chance)).collect())
        }
        Type::Tuple(items) => {
            Value::List(items.iter().map(|item| random(tree, item, chance)).collect())
        }
        Type::Map(key, item) => {
            let mut pairs: Vec<(Value, Value)> = Vec::new();
            for _ in 0..chance.below(4) {
                let name = random(tree, key, chance);
                if !pairs.iter().any(|(other, _)| *other == name) {
                    pairs.push((name, random(tree, item, chance)));
                }
            }
            Value::Map(pairs)
        }
        Type::Named(_) => match body_of(tree, ty).unwrap() {
            Body::Plain(shape) => random_shape(tree, shape, chance),
            Body::Transparent(inner)
            | Body::Checked(inner)
            | Body::Reference { pid: inner, .. } => random(tree, inner, chance),
            Body::Enum(variants) => {
                let variant = &variants[chance.below(variants.len())];
                let value = random_shape(tree, &variant.shape, chance);
                Value::Variant(variant.name.clone(), Box::new(value))
            }
        },
    }
}

fn random_shape(tree: &SchemaTree, shape: &Shape<Type>, chance: &mut Chance) -> Value {
    match shape {
        Shape::Unit => Value::Unit,
        Shape::Newtype(inner) => random(tree, inner, chance),
        Shape::Tuple(items) => {
            Value::List(items.iter().map(|item| random(tree, item, chance)).collect())
        }
        Shape::Struct { fields, .. } => {
            let value = |field: &midflight_message::Field<Type>, chance: &mut Chance| {
                (field.name.clone(), random(tree, &field.ty, chance))
            };
            Value::Struct(fields.iter().map(|field| value(field, chance)).collect())
        }
    }
}

/// Values in which, together, every part of the type occurs.
pub(crate) fn covering(tree: &SchemaTree, ty: &Type) -> Vec<Value> {
    let each = |item: &Type, wrap: &dyn Fn(Value) -> Value| {
        covering(tree, item).into_iter().map(wrap).collect()
    };
    match ty {
        Type::Scalar(scalar) => samples(*scalar)[..1].to_vec(),
        Type::Option(item) => each(item, &|value| Value::Present(Box::new(value))),
        Type::Seq(item) | Type::Set(item) => each(item, &|value| Value::List(vec![value])),
        Type::Array(item, length) => {
            each(item, &|value| Value::List(vec![value; *length as usize]))
        }
        Type::Map(key, item) => {
            let name = covering(tree, key).swap_remove(0);
            each(item, &|value| Value::Map(vec![(name.clone(), value)]))
        }
        Type::Tuple(items) => product(tree, items.iter()).into_iter().map(Value::List).collect(),
        Type::Named(_) => match body_of(tree, ty).unwrap() {
            Body::Plain(shape) => covering_shape(tree, shape),
            Body::Transparent(inner)
            | Body::Checked(inner)
            | Body::Reference { pid: inner, .. } => covering(tree, inner),
            Body::Enum(variants) => variants
                .iter()
                .flat_map(|variant| {
                    let values = covering_shape(tree, &variant.shape).into_iter();
                    values.map(|value| Value::Variant(variant.name.clone(), Box::new(value)))
                })
                .collect(),
        },
    }
}

fn covering_shape(tree: &SchemaTree, shape: &Shape<Type>) -> Vec<Value> {
    match shape {
        Shape::Unit => vec![Value::Unit],
        Shape::Newtype(inner) => covering(tree, inner),
        Shape::Tuple(items) => product(tree, items.iter()).into_iter().map(Value::List).collect(),
        Shape::Struct { fields, .. } => {
            let name = |values: Vec<Value>| {
                let names = fields.iter().map(|field| field.name.clone());
                Value::Struct(names.zip(values).collect())
            };
            product(tree, fields.iter().map(|field| &field.ty)).into_iter().map(name).collect()
        }
    }
}

/// As many lists as the part with the most values needs.
fn product<'a>(tree: &SchemaTree, types: impl Iterator<Item = &'a Type>) -> Vec<Vec<Value>> {
    let parts: Vec<_> = types.map(|ty| covering(tree, ty)).collect();
    let count = parts.iter().map(Vec::len).max().unwrap_or(1);
    let at = |index: usize| {
        parts.iter().map(|values| values[index % values.len()].clone()).collect::<Vec<_>>()
    };
    (0..count).map(at).collect()
}

/// Values that JSON keeps exactly, the extremes among them.
pub(crate) fn samples(scalar: Scalar) -> Vec<Value> {
    let ints = |values: &[i128]| values.iter().copied().map(Value::Int).collect();
    match scalar {
        Scalar::Unit => vec![Value::Unit],
        Scalar::Bool => vec![Value::Bool(true), Value::Bool(false)],
        Scalar::I8 => ints(&[1, i8::MIN.into(), i8::MAX.into()]),
        Scalar::I16 => ints(&[1, i16::MIN.into(), i16::MAX.into(), -1]),
        Scalar::I32 => ints(&[1, i32::MIN.into(), i32::MAX.into(), 200]),
        Scalar::I64 | Scalar::I128 => ints(&[1, i64::MIN.into(), i64::MAX.into(), -200]),
        Scalar::U8 => ints(&[1, 0, u8::MAX.into()]),
        Scalar::U16 => ints(&[1, u16::MAX.into(), 200]),
        Scalar::U32 => ints(&[1, u32::MAX.into(), 40_000]),
        Scalar::U64 | Scalar::U128 => ints(&[1, u64::MAX.into(), 1 << 40]),
        Scalar::F32 | Scalar::F64 => [0.5, -3.0, 1e6].map(Value::Float).to_vec(),
        Scalar::Char => vec![Value::Char('a'), Value::Char('é')],
        Scalar::String => ["", "a", "längs"].map(|text| Value::Text(text.to_owned())).to_vec(),
    }
}
