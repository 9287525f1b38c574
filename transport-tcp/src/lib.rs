//! Midflight over TCP.
//!
//! One accept task for an endpoint; for each link a reader, a writer and a heartbeat. The decisions
//! are pure and stand in `handshake` and `table`, the codec and the batch in
//! [`midflight_transport_api`]; the rest carries bytes.

#![forbid(unsafe_code)]

mod accept;
mod config;
mod dial;
mod endpoint;
mod handshake;
mod heartbeat;
mod link;
mod reader;
mod shared;
mod socket;
mod table;
mod transport;
mod writer;

pub use config::TcpConfig;
pub use transport::TcpTransport;
