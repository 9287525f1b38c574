//! Bundles from real crates: built, checked, probed, loaded, and their states converted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod async_handlers;
mod building;
mod bundles;
mod checks;
mod conversions;
mod effects;
mod fixtures;
mod forms;
mod loops;
mod probing;
mod signatures;
mod storing;
mod testkit;
mod updates;
