//! What meets the bytes of others, as plain functions over bytes; and a fuzzer for them.
//!
//! Each [target](targets) takes any bytes and panics when what it is about does not hold of them. It
//! leaves a [`Trail`] of what it came by, so that the fuzzer ([`hunt`]) knows inputs that reach
//! something new without a compiler that counts branches. With such a compiler the same functions run
//! under cargo-fuzz, in the folder of that name.

#![forbid(unsafe_code)]

mod chance;
pub mod corpus;
mod hunt;
mod mutate;
pub mod seeds;
mod target;
pub mod targets;

pub use hunt::{Fault, Finding, Options, Report, hunt, judge};
pub use target::{TARGETS, Target, Trail, target};
