//! What the cross-crate tests share: simulated clusters, and bundles without files.

pub mod clerk_v3;
pub mod compiled_format;
pub mod errands;
pub mod real;
pub mod recorder;
mod renumbered;
pub mod steps;
pub mod teller;
pub mod world;
