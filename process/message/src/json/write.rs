//! From JSON to bytes.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{is_key, is_pid};
use crate::Pid;
use crate::limits::MAX_VALUE_DEPTH;
use crate::path::{MAX_TEXT_BYTES, Step, shorten};
use crate::shape::{Body, Field, Shape, Variant};
use crate::tree::{Scalar, SchemaTree, Type};

/// The bytes so far; after an error, the path says where it was.
pub(super) struct Writer<'a> {
    tree: &'a SchemaTree,
    pub(super) bytes: Vec<u8>,
    pub(super) path: Vec<Step>,
}

/// Done, or why not.
type Done = Result<(), String>;

impl<'a> Writer<'a> {
    pub(super) const fn new(tree: &'a SchemaTree) -> Self {
        Self { tree, bytes: Vec::new(), path: Vec::new() }
    }

    pub(super) fn value(&mut self, ty: &Type, value: &Value, depth: usize) -> Done {
        if depth > MAX_VALUE_DEPTH {
            return Err(format!("it nests deeper than {MAX_VALUE_DEPTH}"));
        }
        let depth = depth + 1;
        match ty {
            Type::Scalar(scalar) => self.scalar(*scalar, value),
            Type::Option(_) if value.is_null() => self.put(&false),
            Type::Option(inner) => {
                self.put(&true)?;
                self.value(inner, value, depth)
            }
            Type::Seq(item) | Type::Set(item) => {
                let items = list(value)?;
                self.put(&items.len())?;
                self.items(items, |_| item, depth)
            }
            Type::Map(key, item) => self.map((key, item), value, depth),
            Type::Array(item, length) => {
                let items = list(value)?;
                wanted(*length, items.len())?;
                self.items(items, |_| item, depth)
            }
            Type::Tuple(types) => self.tuple(types, value, depth),
            Type::Named(number) => self.named(*number, value, depth),
        }
    }

    fn named(&mut self, number: usize, value: &Value, depth: usize) -> Done {
        let tree = self.tree;
        let definition = tree.definition(number);
        if let Value::String(text) = value
            && is_pid(definition)
        {
            let pid: Pid = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
            return self.put(&pid);
        }
        match &definition.body {
            Body::Plain(shape) => self.shape(shape, value, depth),
            Body::Transparent(inner)
            | Body::Checked(inner)
            | Body::Reference { pid: inner, .. } => self.value(inner, value, depth),
            Body::Enum(variants) => self.variant(variants, value, depth),
        }
    }

    fn shape(&mut self, shape: &Shape<Type>, value: &Value, depth: usize) -> Done {
        match shape {
            Shape::Unit => match value {
                Value::Null => Ok(()),
                Value::Object(fields) if fields.is_empty() => Ok(()),
                other => Err(not("null", other)),
            },
            Shape::Newtype(inner) => self.value(inner, value, depth),
            Shape::Tuple(types) => self.tuple(types, value, depth),
            Shape::Struct { fields, .. } => {
                let given = value.as_object().ok_or_else(|| not("an object", value))?;
                self.fields(fields, given, depth)
            }
        }
    }

    fn fields(&mut self, fields: &[Field<Type>], given: &Map<String, Value>, depth: usize) -> Done {
        let is_known = |name: &String| fields.iter().any(|field| field.answers_to(name));
        if let Some(other) = given.keys().find(|name| !is_known(name)) {
            let known = fields.iter().map(|field| &*field.name);
            return Err(format!("there is no field `{}`: it has {}", cut(other), names(known)));
        }
        for field in fields {
            let mut its = given.iter().filter(|(name, _)| field.answers_to(name));
            let value = its.next().map(|(_, value)| value);
            self.step(Step::Name(field.name.clone()), |writer| match value {
                _ if its.next().is_some() => Err("it is there twice, under two names".into()),
                Some(value) => writer.value(&field.ty, value, depth),
                None if matches!(writer.tree.unwrapped(&field.ty), Type::Option(_)) => {
                    writer.value(&field.ty, &Value::Null, depth)
                }
                None => Err("it is missing".into()),
            })?;
        }
        Ok(())
    }

    fn variant(&mut self, variants: &[Variant<Type>], value: &Value, depth: usize) -> Done {
        let (name, inside) = match value {
            Value::String(name) => (name, &Value::Null),
            Value::Object(one) if one.len() == 1 => match one.iter().next() {
                Some(both) => both,
                None => return Err(not("a variant", value)),
            },
            other => return Err(not("a variant's name, or an object of it alone", other)),
        };
        let Some((index, variant)) = (0_u32..).zip(variants).find(|(_, it)| it.answers_to(name))
        else {
            let known = variants.iter().map(|variant| &*variant.name);
            return Err(format!("there is no variant `{}`: it has {}", cut(name), names(known)));
        };
        self.put(&index)?;
        self.step(Step::Name(variant.name.clone()), |writer| {
            writer.shape(&variant.shape, inside, depth)
        })
    }

    fn tuple(&mut self, types: &[Type], value: &Value, depth: usize) -> Done {
        let items = list(value)?;
        wanted(types.len() as u64, items.len())?;
        self.items(items, |index| &types[index], depth)
    }

    fn items<'t>(&mut self, items: &[Value], ty: impl Fn(usize) -> &'t Type, depth: usize) -> Done {
        for (index, item) in items.iter().enumerate() {
            self.step(Step::Index(index), |writer| writer.value(ty(index), item, depth))?;
        }
        Ok(())
    }

    fn map(&mut self, (key, item): (&Type, &Type), value: &Value, depth: usize) -> Done {
        let Value::Object(entries) = value else {
            let pairs = list(value)?;
            self.put(&pairs.len())?;
            let pair = Type::Tuple(vec![key.clone(), item.clone()]);
            return self.items(pairs, |_| &pair, depth);
        };
        if !is_key(self.tree, key) {
            return Err("its keys are no text: a list of pairs is wanted".into());
        }
        self.put(&entries.len())?;
        for (name, value) in entries {
            self.step(Step::Name(name.clone()), |writer| {
                writer.key(key, name, depth)?;
                writer.value(item, value, depth)
            })?;
        }
        Ok(())
    }

    /// A key, which stands in JSON as text whatever it is.
    fn key(&mut self, ty: &Type, text: &str, depth: usize) -> Done {
        let value = match self.tree.unwrapped(ty) {
            Type::Scalar(Scalar::String | Scalar::Char) => Value::from(text),
            _ => serde_json::from_str(text).unwrap_or_else(|_no_number| Value::from(text)),
        };
        self.value(ty, &value, depth)
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) -> Done {
        let no = || not(&article(scalar), value);
        match scalar {
            Scalar::Unit if value.is_null() => Ok(()),
            Scalar::Unit => Err(not("null", value)),
            Scalar::Bool => self.put(&value.as_bool().ok_or_else(no)?),
            Scalar::I8 => self.put(&integer::<i8>(value).ok_or_else(no)?),
            Scalar::I16 => self.put(&integer::<i16>(value).ok_or_else(no)?),
            Scalar::I32 => self.put(&integer::<i32>(value).ok_or_else(no)?),
            Scalar::I64 => self.put(&integer::<i64>(value).ok_or_else(no)?),
            Scalar::I128 => self.put(&large::<i128>(value).ok_or_else(no)?),
            Scalar::U8 => self.put(&integer::<u8>(value).ok_or_else(no)?),
            Scalar::U16 => self.put(&integer::<u16>(value).ok_or_else(no)?),
            Scalar::U32 => self.put(&integer::<u32>(value).ok_or_else(no)?),
            Scalar::U64 => self.put(&integer::<u64>(value).ok_or_else(no)?),
            Scalar::U128 => self.put(&large::<u128>(value).ok_or_else(no)?),
            #[expect(clippy::cast_possible_truncation, reason = "what an f32 can hold of it")]
            Scalar::F32 => self.put(&(float(value).ok_or_else(no)? as f32)),
            Scalar::F64 => self.put(&float(value).ok_or_else(no)?),
            Scalar::Char => {
                let mut letters = value.as_str().ok_or_else(no)?.chars();
                match (letters.next(), letters.next()) {
                    (Some(letter), None) => self.put(&letter),
                    _ => Err(no()),
                }
            }
            Scalar::String => self.put(value.as_str().ok_or_else(no)?),
        }
    }

    /// Goes on at a place further in.
    fn step(&mut self, step: Step, then: impl FnOnce(&mut Self) -> Done) -> Done {
        self.path.push(step);
        then(self)?;
        // After an error it stays, for the report.
        self.path.pop();
        Ok(())
    }

    /// Appends a value as postcard has it.
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(value, bytes).map_err(|error| error.to_string())?;
        Ok(())
    }
}

fn list(value: &Value) -> Result<&[Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| not("a list", value))
}

fn wanted(wanted: u64, given: usize) -> Done {
    if wanted == given as u64 {
        return Ok(());
    }
    Err(format!("{wanted} values are wanted, not {given}"))
}

fn integer<T: TryFrom<i64> + TryFrom<u64>>(value: &Value) -> Option<T> {
    match value.as_i64() {
        Some(number) => T::try_from(number).ok(),
        None => T::try_from(value.as_u64()?).ok(),
    }
}

/// A number for which JSON may have no room: then it is text.
fn large<T: From<u64> + TryFrom<i128> + FromStr>(value: &Value) -> Option<T> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => match other.as_u64() {
            Some(number) => Some(number.into()),
            None => T::try_from(other.as_i64()?.into()).ok(),
        },
    }
}

/// Of what is no number in JSON, such as infinity, there is the text.
fn float(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn article(scalar: Scalar) -> String {
    let name = scalar.name();
    if name.starts_with(['i', 'f']) { format!("an {name}") } else { format!("a {name}") }
}

fn not(wanted: &str, given: &Value) -> String {
    format!("{wanted} is wanted, not {}", cut(&given))
}

fn cut(text: &impl Display) -> String {
    shorten(text.to_string(), MAX_TEXT_BYTES)
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let all: Vec<_> = names.collect();
    if all.is_empty() { "none".into() } else { shorten(all.join(", "), MAX_TEXT_BYTES) }
}
