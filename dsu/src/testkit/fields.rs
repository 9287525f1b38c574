//! The fields of an encoded value, by their paths: what two values of any two forms are compared by.
//!
//! Bytes alone do not do: a `HashMap` is written in any order, and what is told of a difference is its field.

use std::collections::BTreeMap;

use midflight_message::{Body, MAX_VALUE_DEPTH, Scalar, SchemaTree, Shape, Type, TypeInfo};
use serde::Deserialize;

/// The most fields of one value that are compared.
const FIELDS_MAX: usize = 1 << 20;
/// Bytes of a text or a list of bytes that are shown; of longer ones the rest is told by a hash.
const SHOWN_MAX: usize = 64;

/// What is at each path, as text: `lines[2].price`, `counts{"a"}`.
pub(super) type Fields = BTreeMap<String, String>;

/// The fields of a value that was written as `form`.
///
/// # Errors
/// Why the bytes are not such a value, in words.
pub(super) fn fields(form: &TypeInfo, bytes: &[u8]) -> Result<Fields, String> {
    let mut walk = Walk::new(form.tree(), bytes);
    let whole = walk.value(form.tree().root(), 0);
    let whole = whole.and_then(|()| match walk.rest.len() {
        0 => Ok(()),
        more => Err(format!("{more} bytes too many")),
    });
    whole.map_err(|why| format!("{} bytes are no {form}: {why}", bytes.len()))?;
    Ok(walk.fields)
}

/// Whether `path` is the field called `name` or in it. In `name` an index or a key may be left out: `lines[].price`.
pub(super) fn is_in(path: &str, name: &str) -> bool {
    let within = |path: &str| {
        path.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
    };
    within(path) || within(&without_indexes(path))
}

/// `lines[2].price` as `lines[].price`, `counts{"a"}` as `counts{}`.
fn without_indexes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut until = None;
    for char in path.chars() {
        match until {
            Some(end) if char != end => continue,
            Some(_) => until = None,
            None if char == '[' => until = Some(']'),
            None if char == '{' => until = Some('}'),
            None => {}
        }
        out.push(char);
    }
    out
}

struct Walk<'a> {
    tree: &'a SchemaTree,
    rest: &'a [u8],
    fields: Fields,
    path: String,
    /// In how many options the next value is.
    somes: usize,
}

impl<'a> Walk<'a> {
    const fn new(tree: &'a SchemaTree, rest: &'a [u8]) -> Self {
        Self { tree, rest, fields: Fields::new(), path: String::new(), somes: 0 }
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Result<(), String> {
        if depth > MAX_VALUE_DEPTH {
            return Err("it nests too deep".into());
        }
        let depth = depth + 1;
        match ty {
            Type::Scalar(scalar) => {
                let text = self.scalar(*scalar)?;
                self.put(&text)
            }
            Type::Option(item) => match self.take::<u8>()? {
                0 => self.put("None"),
                1 => {
                    self.somes += 1;
                    self.value(item, depth)
                }
                other => Err(format!("an option is neither absent nor present but {other}")),
            },
            Type::Seq(item) if matches!(**item, Type::Scalar(Scalar::U8)) => self.byte_list(),
            Type::Seq(item) => {
                let length = self.take::<u64>()?;
                self.put(&format!("{length} of them"))?;
                self.list(length, |walk| walk.value(item, depth))
            }
            Type::Set(item) => {
                let length = self.take::<u64>()?;
                self.put(&format!("{length} of them"))?;
                (0..length).try_for_each(|_| self.keyed(item, depth, |walk| walk.put("there")))
            }
            Type::Map(key, value) => {
                let length = self.take::<u64>()?;
                self.put(&format!("{length} of them"))?;
                let each = |walk: &mut Self| walk.value(value, depth);
                (0..length).try_for_each(|_| self.keyed(key, depth, each))
            }
            Type::Array(item, length) => {
                self.compound()?;
                self.list(*length, |walk| walk.value(item, depth))
            }
            Type::Tuple(items) => {
                self.compound()?;
                self.tuple(items, depth)
            }
            Type::Named(number) => self.named(*number, depth),
        }
    }

    fn named(&mut self, number: usize, depth: usize) -> Result<(), String> {
        let tree = self.tree;
        match &tree.definitions()[number].body {
            Body::Plain(shape) => self.shape(shape, depth),
            Body::Transparent(inner)
            | Body::Checked(inner)
            | Body::Reference { pid: inner, .. } => self.value(inner, depth),
            Body::Enum(variants) => {
                let index = self.take::<u32>()?;
                let variant = variants.get(index as usize);
                let variant = variant.ok_or_else(|| format!("there is no variant {index}"))?;
                self.put(&variant.name)?;
                self.within(&format!(".{}", variant.name), |walk| walk.shape(&variant.shape, depth))
            }
        }
    }

    fn shape(&mut self, shape: &Shape<Type>, depth: usize) -> Result<(), String> {
        match shape {
            Shape::Unit => self.compound(),
            Shape::Newtype(inner) => self.value(inner, depth),
            Shape::Tuple(items) => {
                self.compound()?;
                self.tuple(items, depth)
            }
            Shape::Struct { fields, .. } => {
                self.compound()?;
                fields.iter().try_for_each(|field| {
                    self.within(&format!(".{}", field.name), |walk| walk.value(&field.ty, depth))
                })
            }
        }
    }

    fn tuple(&mut self, items: &[Type], depth: usize) -> Result<(), String> {
        (0..).zip(items).try_for_each(|(index, item): (usize, _)| {
            self.within(&format!(".{index}"), |walk| walk.value(item, depth))
        })
    }

    fn list(
        &mut self,
        length: u64,
        mut each: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        (0..length).try_for_each(|index| self.within(&format!("[{index}]"), &mut each))
    }

    /// What is under a key, or the key alone.
    fn keyed(
        &mut self,
        key: &Type,
        depth: usize,
        each: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut apart = Walk::new(self.tree, self.rest);
        apart.value(key, depth)?;
        self.rest = apart.rest;
        let texts: Vec<_> = apart.fields.into_values().collect();
        self.within(&format!("{{{}}}", texts.join(", ")), each)
    }

    fn within(
        &mut self,
        step: &str,
        each: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let (length, somes) = (self.path.len(), std::mem::take(&mut self.somes));
        self.path.push_str(if length == 0 { step.trim_start_matches('.') } else { step });
        each(self)?;
        self.path.truncate(length);
        self.somes = somes;
        Ok(())
    }

    /// A value with parts shows only where it might be absent.
    fn compound(&mut self) -> Result<(), String> {
        if self.somes > 0 { self.put("…") } else { self.room() }
    }

    fn put(&mut self, text: &str) -> Result<(), String> {
        self.room()?;
        let somes = std::mem::take(&mut self.somes);
        let text = format!("{}{text}{}", "Some(".repeat(somes), ")".repeat(somes));
        self.fields.insert(self.path.clone(), text);
        Ok(())
    }

    fn room(&self) -> Result<(), String> {
        if self.fields.len() < FIELDS_MAX {
            return Ok(());
        }
        Err(format!("it has more than {FIELDS_MAX} fields"))
    }

    fn byte_list(&mut self) -> Result<(), String> {
        let length = self.take::<u64>()?;
        let split = usize::try_from(length).ok().and_then(|at| self.rest.split_at_checked(at));
        let (bytes, rest) = split.ok_or("it ends too early")?;
        self.rest = rest;
        let shown = hex::encode(&bytes[..bytes.len().min(SHOWN_MAX)]);
        self.put(&shortened(&format!("0x{shown}"), bytes, bytes.len() > SHOWN_MAX))
    }

    fn scalar(&mut self, scalar: Scalar) -> Result<String, String> {
        Ok(match scalar {
            Scalar::Unit => "()".to_owned(),
            Scalar::Bool => self.take::<bool>()?.to_string(),
            Scalar::I8 => self.take::<i8>()?.to_string(),
            Scalar::I16 => self.take::<i16>()?.to_string(),
            Scalar::I32 => self.take::<i32>()?.to_string(),
            Scalar::I64 => self.take::<i64>()?.to_string(),
            Scalar::I128 => self.take::<i128>()?.to_string(),
            Scalar::U8 => self.take::<u8>()?.to_string(),
            Scalar::U16 => self.take::<u16>()?.to_string(),
            Scalar::U32 => self.take::<u32>()?.to_string(),
            Scalar::U64 => self.take::<u64>()?.to_string(),
            Scalar::U128 => self.take::<u128>()?.to_string(),
            Scalar::F32 => format!("{:?}", self.take::<f32>()?),
            Scalar::F64 => format!("{:?}", self.take::<f64>()?),
            Scalar::Char => format!("{:?}", self.take::<char>()?),
            Scalar::String => {
                let text = self.take::<&str>()?;
                let shown = &text[..text.floor_char_boundary(SHOWN_MAX)];
                shortened(&format!("{shown:?}"), text.as_bytes(), shown.len() < text.len())
            }
        })
    }

    fn take<T: Deserialize<'a>>(&mut self) -> Result<T, String> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|e| e.to_string())?;
        self.rest = rest;
        Ok(value)
    }
}

fn shortened(shown: &str, bytes: &[u8], is_cut: bool) -> String {
    if !is_cut {
        return shown.to_owned();
    }
    let hash = blake3::hash(bytes).to_hex();
    format!("{shown}… ({} bytes, BLAKE3 {})", bytes.len(), &hash[..16])
}
