//! Dynamic software updating: what is in a bundle, whether it may run, and running it.
//!
//! Bottom up: [`bundle`] is the file and [`signature`] who vouches for it; [`check`] says from the
//! bytes alone whether it may run; [`store`] keeps it; [`probe`] tries it in a child process;
//! [`library`] loads it. All code, loaded or [`compiled`](compiled::compiled) in, is a
//! [`Code`](code::Code) behind the seam of [`code`]. [`builder`] makes bundles of crates.
//!
//! Bytes of others never panic in here and never run before all checks have passed. Code that runs in
//! the node has the node's full trust: a signature is what stands between.

pub mod builder;
pub mod bundle;
pub mod check;
pub mod code;
pub mod code_server;
pub mod committed;
pub mod compare;
pub mod compiled;
pub mod control;
pub mod convert;
pub mod hash;
pub mod history;
pub mod hosted;
mod incoming;
pub mod keys;
pub mod library;
mod native;
pub mod policy;
pub mod probe;
pub mod protocol;
pub mod releases;
pub mod relocation;
pub mod rollout;
mod sealed;
pub mod signature;
pub mod store;
pub mod switch;
#[cfg(feature = "test")]
pub mod testkit;
mod unlike;
pub mod versions;
pub mod voting;
