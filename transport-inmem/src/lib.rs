//! Midflight's network in memory: a value with a seed, with faults, and fit for virtual time.
//!
//! A [`Hub`] is the network; endpoints that were opened through the same hub reach each other at
//! addresses `mem:NAME`, and no others. There are no globals. Frames and bounds are those of the
//! wire: the bytes of a batch are handed to the peer's reader and decoded there. Under the simulator
//! the same seeds give the same run.

#![forbid(unsafe_code)]

mod endpoint;
mod hub;
mod link;
mod tasks;
mod transport;
mod wire;

pub use hub::Hub;
pub use transport::InMemory;
