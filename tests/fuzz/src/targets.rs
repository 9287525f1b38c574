//! The targets: one for each decoder that meets the network.

#![allow(
    clippy::missing_panics_doc,
    reason = "a target panics when something is wrong: it is its answer"
)]

pub mod driven;
pub mod extensions;
pub mod frame;
pub mod gossip;
pub mod handshake;
pub mod incoming;
pub mod message;
pub mod node;
pub mod records;
pub mod schema;
