//! From Rust types to a schema tree, and the checks every tree passes.

use std::any::TypeId;
use std::collections::{BTreeMap, VecDeque};

use crate::descriptor::{ConversionsFn, Descriptor, DescriptorFn};
use crate::limits::{MAX_DEFINITIONS, MAX_SCHEMA_BYTES, MAX_TYPE_DEPTH};
use crate::shape::{Body, Definition};
use crate::tree::{Scalar, SchemaError, SchemaTree, Type};

/// Builds the tree of what a function describes, with the conversions to each of its named types.
pub(crate) fn build(root: DescriptorFn) -> Result<(SchemaTree, Vec<ConversionsFn>), SchemaError> {
    let mut builder = Builder::default();
    let root = builder.visit(root, 0)?;
    let mut definitions = Vec::new();
    while let Some(Definition { name, version, body }) = builder.waiting.pop_front() {
        let body = body.try_map(&mut |ty| builder.visit(ty, 0))?;
        definitions.push(Definition { name, version, body });
    }
    let tree = finish(root, definitions)?;
    if tree.to_string().len() > MAX_SCHEMA_BYTES {
        Err(SchemaError::TooLarge)
    } else {
        Ok((tree, builder.conversions))
    }
}

/// Checks definitions whose numbers are all good, and makes the tree.
pub(crate) fn finish(
    root: Type,
    definitions: Vec<Definition<Type>>,
) -> Result<SchemaTree, SchemaError> {
    refuse_endless(&definitions)?;
    let needs_scan = is_recursive(&definitions) || has_widthless_list(&root, &definitions);
    Ok(SchemaTree { root, definitions, needs_scan })
}

/// Named types are described in the order in which they are met, so numbers follow the text.
#[derive(Default)]
struct Builder {
    numbers: BTreeMap<TypeId, usize>,
    waiting: VecDeque<Definition<DescriptorFn>>,
    conversions: Vec<ConversionsFn>,
}

impl Builder {
    fn visit(&mut self, describe: DescriptorFn, depth: usize) -> Result<Type, SchemaError> {
        if depth > MAX_TYPE_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let mut inner = |describe| self.visit(describe, depth + 1);
        Ok(match describe() {
            Descriptor::Scalar(scalar) => Type::Scalar(scalar),
            Descriptor::Option(item) => Type::Option(Box::new(inner(item)?)),
            Descriptor::Seq(item) => Type::Seq(Box::new(inner(item)?)),
            Descriptor::Set(item) => Type::Set(Box::new(inner(item)?)),
            Descriptor::Map(key, value) => {
                Type::Map(Box::new(inner(key)?), Box::new(inner(value)?))
            }
            Descriptor::Array(item, length) => Type::Array(Box::new(inner(item)?), length as u64),
            Descriptor::Tuple(items) => {
                Type::Tuple(items.into_iter().map(inner).collect::<Result<_, _>>()?)
            }
            Descriptor::Named(identity, definition, conversions) => {
                self.number(identity, definition, conversions)?
            }
        })
    }

    fn number(
        &mut self,
        identity: TypeId,
        definition: Definition<DescriptorFn>,
        conversions: ConversionsFn,
    ) -> Result<Type, SchemaError> {
        if let Some(&known) = self.numbers.get(&identity) {
            return Ok(Type::Named(known));
        }
        let number = self.numbers.len();
        if number == MAX_DEFINITIONS {
            return Err(SchemaError::TooManyDefinitions);
        }
        self.numbers.insert(identity, number);
        self.waiting.push_back(definition);
        self.conversions.push(conversions);
        Ok(Type::Named(number))
    }
}

/// A newtype of itself would send everyone who unwraps it round in circles.
fn refuse_endless(definitions: &[Definition<Type>]) -> Result<(), SchemaError> {
    for definition in definitions {
        let mut at = definition.body.wrapped();
        let mut steps = 0;
        while let Some(Type::Named(next)) = at {
            steps += 1;
            if steps > definitions.len() {
                return Err(SchemaError::Endless(definition.name.clone()));
            }
            at = definitions[*next].body.wrapped();
        }
    }
    Ok(())
}

/// Takes away definitions that refer to none that are left; what stays goes round in circles.
fn is_recursive(definitions: &[Definition<Type>]) -> bool {
    let mut used_by = vec![Vec::new(); definitions.len()];
    let mut open = vec![0_usize; definitions.len()];
    for (user, definition) in definitions.iter().enumerate() {
        for ty in definition.body.types() {
            ty.each_named(&mut |used| {
                used_by[used].push(user);
                open[user] += 1;
            });
        }
    }
    let mut done: Vec<usize> = (0..open.len()).filter(|&number| open[number] == 0).collect();
    let mut taken = 0;
    while let Some(used) = done.pop() {
        taken += 1;
        for &user in &used_by[used] {
            open[user] -= 1;
            if open[user] == 0 {
                done.push(user);
            }
        }
    }
    taken < definitions.len()
}

/// Whether somewhere a list or map may have elements that take no bytes.
fn has_widthless_list(root: &Type, definitions: &[Definition<Type>]) -> bool {
    let wide = wide(definitions);
    let all = definitions.iter().flat_map(|definition| definition.body.types());
    std::iter::once(root).chain(all).any(|ty| ty.has_widthless_list(&wide))
}

/// Which definitions' values all take at least a byte: those with a part that does.
fn wide(definitions: &[Definition<Type>]) -> Vec<bool> {
    let mut wide = vec![false; definitions.len()];
    let mut used_by = vec![Vec::new(); definitions.len()];
    let mut found = Vec::new();
    for (user, definition) in definitions.iter().enumerate() {
        if definition.body.is_wide() {
            wide[user] = true;
            found.push(user);
        }
        for ty in definition.body.types() {
            ty.each_direct(&mut |used| used_by[used].push(user));
        }
    }
    while let Some(used) = found.pop() {
        for &user in &used_by[used] {
            if !std::mem::replace(&mut wide[user], true) {
                found.push(user);
            }
        }
    }
    wide
}

impl Body<Type> {
    /// Whether every value takes a byte, whatever named types take.
    fn is_wide(&self) -> bool {
        matches!(self, Self::Enum(_)) || self.types().into_iter().any(|ty| ty.is_wide(&[]))
    }
}

impl Type {
    /// Calls back with every named type in here.
    fn each_named(&self, found: &mut impl FnMut(usize)) {
        match self {
            Self::Scalar(_) => {}
            Self::Option(item) | Self::Seq(item) | Self::Set(item) | Self::Array(item, _) => {
                item.each_named(found);
            }
            Self::Map(key, value) => {
                key.each_named(found);
                value.each_named(found);
            }
            Self::Tuple(items) => items.iter().for_each(|item| item.each_named(found)),
            Self::Named(number) => found(*number),
        }
    }

    /// Calls back with the named types of which every value in here has one.
    fn each_direct(&self, found: &mut impl FnMut(usize)) {
        match self {
            Self::Array(item, 1..) => item.each_direct(found),
            Self::Tuple(items) => items.iter().for_each(|item| item.each_direct(found)),
            Self::Named(number) => found(*number),
            _ => {}
        }
    }

    /// Whether every value takes at least a byte; named types do where they are marked.
    fn is_wide(&self, wide: &[bool]) -> bool {
        match self {
            Self::Scalar(scalar) => *scalar != Scalar::Unit,
            Self::Option(_) | Self::Seq(_) | Self::Set(_) | Self::Map(..) => true,
            Self::Array(item, length) => *length > 0 && item.is_wide(wide),
            Self::Tuple(items) => items.iter().any(|item| item.is_wide(wide)),
            Self::Named(number) => wide.get(*number).copied().unwrap_or_default(),
        }
    }

    fn has_widthless_list(&self, wide: &[bool]) -> bool {
        match self {
            Self::Scalar(_) | Self::Named(_) => false,
            Self::Option(item) => item.has_widthless_list(wide),
            Self::Seq(item) | Self::Set(item) | Self::Array(item, _) => {
                !item.is_wide(wide) || item.has_widthless_list(wide)
            }
            Self::Map(key, value) => {
                !(key.is_wide(wide) || value.is_wide(wide))
                    || key.has_widthless_list(wide)
                    || value.has_widthless_list(wide)
            }
            Self::Tuple(items) => items.iter().any(|item| item.has_widthless_list(wide)),
        }
    }
}
