//! Links over any stream of bytes.
//!
//! A backend that can listen, dial and hand over a reliable, ordered stream of bytes implements
//! [`Carrier`], some hundred lines, and has a whole [`Transport`](midflight_transport_api::Transport)
//! in [`StreamTransport`]: the handshake with its versions, one link between two endpoints however
//! they dial, fair batches, heartbeats, polite closing, and bounds for all of it. TCP, TLS and the
//! network in memory are carriers.
//!
//! The decisions are pure and stand in [`handshake`] and `table`, the codec and the batch in
//! [`midflight_transport_api`]. For each endpoint there is one task that accepts, for each link a
//! reader, a writer and a heartbeat.

#![forbid(unsafe_code)]

mod accept;
mod carrier;
mod complaints;
mod config;
mod dial;
mod endpoint;
mod greeting;
mod half_open;
pub mod handshake;
mod heartbeat;
mod link;
mod reader;
mod shared;
mod table;
mod transport;
mod turn;
mod writer;

pub use carrier::{Arrival, Carrier, Listener, Proven, Stream, handshake_failure};
pub use config::LinkConfig;
pub use transport::StreamTransport;
