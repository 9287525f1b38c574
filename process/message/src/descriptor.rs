//! How a Rust type describes itself: one node, which names its parts by function pointer.
//!
//! Functions instead of values make recursive types possible: nobody calls them until the schema is
//! built, and the builder calls each named type's once.

use std::any::TypeId;

use crate::shape::{Body, Definition, Field, Shape, Variant};
use crate::{Conversion, Scalar, Schema};

/// A function that describes one type.
pub type DescriptorFn = fn() -> Descriptor;

/// A function that tells the conversions to one type.
pub type ConversionsFn = fn() -> Vec<Conversion>;

/// What values of one type look like on the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Descriptor {
    /// A value without parts.
    Scalar(Scalar),
    /// A value that may be absent.
    Option(DescriptorFn),
    /// Any number of values, in order.
    Seq(DescriptorFn),
    /// Any number of different values.
    Set(DescriptorFn),
    /// Keys and values.
    Map(DescriptorFn, DescriptorFn),
    /// A fixed number of values of one type.
    Array(DescriptorFn, usize),
    /// A fixed number of values.
    Tuple(Vec<DescriptorFn>),
    /// A struct or an enum. The identity tells apart types of one name, and finds recursion.
    Named(TypeId, Definition<DescriptorFn>, ConversionsFn),
}

impl Descriptor {
    /// The function that describes `S`.
    #[must_use]
    pub const fn function<S: Schema + ?Sized>() -> DescriptorFn {
        S::descriptor
    }

    /// A struct or enum `S`.
    #[must_use]
    pub fn named<S: Schema>(name: &str, version: Option<u32>, body: Body<DescriptorFn>) -> Self {
        let definition = Definition { name: name.to_owned(), version, body };
        Self::Named(TypeId::of::<S>(), definition, S::conversions)
    }
}

impl Field<DescriptorFn> {
    /// A field of type `S`.
    #[must_use]
    pub fn new<S: Schema>(name: &str, default: bool, aliases: &[&str]) -> Self {
        Self { name: name.to_owned(), ty: S::descriptor, default, aliases: sorted(aliases) }
    }
}

impl Variant<DescriptorFn> {
    /// A variant.
    #[must_use]
    pub fn new(name: &str, aliases: &[&str], shape: Shape<DescriptorFn>) -> Self {
        Self { name: name.to_owned(), aliases: sorted(aliases), shape, other: false }
    }

    /// The same as a reader's catch-all.
    #[must_use]
    pub fn other(self) -> Self {
        Self { other: true, ..self }
    }
}

fn sorted(aliases: &[&str]) -> Vec<String> {
    let mut aliases: Vec<String> = aliases.iter().map(|&alias| alias.to_owned()).collect();
    aliases.sort();
    aliases.dedup();
    aliases
}
