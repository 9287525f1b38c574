//! Midflight over TCP, bare or under TLS.
//!
//! Both are carriers of [`midflight_transport_stream`], where links, handshake and heartbeats are:
//! [`TcpTransport`] hands over sockets as they are, [`TlsTransport`] those on which both sides have
//! proven who they are. [`TcpConfig`] is what can be set of either.

#![forbid(unsafe_code)]

mod address;
mod config;
mod socket;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

pub use config::TcpConfig;
pub use midflight_transport_stream::LinkConfig;
pub use tcp::TcpTransport;
#[cfg(feature = "tls")]
#[doc(hidden)]
pub use tls::fuzz;
#[cfg(feature = "tls")]
pub use tls::{Credentials, CredentialsError, TlsTransport};
