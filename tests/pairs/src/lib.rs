//! What is checked of a pair of Rust types: that the schema is what serde writes, and that what is
//! predicted of the two is what decoding does, and what serde does with JSON.
//!
//! The types themselves are written by the build script.

pub mod as_text;
mod check;
mod defaults;
mod pair;

#[path = "../../../process/message/src/prediction/chance.rs"]
#[allow(dead_code, reason = "shared with the property test of the messages")]
mod chance;
#[path = "../../../process/message/src/prediction/value.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the property test of the messages")]
mod value;
#[path = "../../../process/message/src/prediction/vary.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the property test of the messages")]
mod vary;

use midflight_message::{Body, SchemaTree, Type};

pub use check::{Class, Sure, check};
pub use defaults::*;
pub use pair::{Pair, not_negative, pair};

/// What a named type is made of.
fn body_of<'a>(tree: &'a SchemaTree, ty: &Type) -> Option<&'a Body<Type>> {
    match ty {
        Type::Named(number) => Some(&tree.definitions()[*number].body),
        _ => None,
    }
}
