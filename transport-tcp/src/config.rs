//! What can be set.

use std::time::Duration;

use midflight_transport_api::Limits;

/// The settings of a [`TcpTransport`](crate::TcpTransport). Take the default and change fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TcpConfig {
    /// A peer of which nothing was heard for so long is lost. At least 50 ms.
    pub heartbeat: Duration,
    /// How long a handshake may take, dialled or accepted.
    pub handshake_deadline: Duration,
    /// How long a polite close may take before the link is cut.
    pub drain_deadline: Duration,
    /// How many accepted sockets may be in their handshake at once; more are dropped.
    pub half_open_max: usize,
    /// How many links an endpoint may have.
    pub links_max: usize,
    /// The longest message, and what one link holds at the most before it is written.
    pub limits: Limits,
    /// Bytes read at once; at least enough for the longest frame.
    pub read_buffer: usize,
    /// Whether small writes leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// How much may lie unsent in the socket (`TCP_NOTSENT_LOWAT`, Linux), so that a large message
    /// does not hold up small ones there. None: as the system has it.
    pub unsent_max: Option<u32>,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            handshake_deadline: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(5),
            half_open_max: 256,
            links_max: 4096,
            limits: Limits::default(),
            read_buffer: 128 * 1024,
            nodelay: true,
            unsent_max: Some(128 * 1024),
        }
    }
}
