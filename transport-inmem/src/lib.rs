//! Midflight's network in memory: a value with a seed, with faults, and fit for virtual time.
//!
//! A [`Hub`] is the network; endpoints that were opened through the same hub reach each other at
//! addresses `mem:NAME`, and no others. There are no globals. It carries streams of bytes as a
//! network of sockets does, and everything above them, handshake, frames, heartbeats and bounds, is
//! the code that runs over TCP. Under the simulator the same seeds give the same run, byte for byte.

#![forbid(unsafe_code)]

mod carrier;
mod faults;
mod hub;
mod pipe;
mod shuffle;
mod transport;

pub use hub::Hub;
pub use transport::InMemory;
