//! What can be set of links.

use std::time::Duration;

use midflight_transport_api::Limits;

use crate::handshake::VERSIONS;

/// The settings of every link of a transport. Take the default and change fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkConfig {
    /// A peer of which nothing was heard for so long is lost. At least 50 ms.
    pub heartbeat: Duration,
    /// How long a handshake may take, dialled or accepted.
    pub handshake_deadline: Duration,
    /// How long a polite close may take before the link is cut.
    pub drain_deadline: Duration,
    /// How many accepted streams may be in their handshake at once. One more ends the one that has
    /// been in it for longest: who means it needs a few round trips, who does not takes for ever.
    pub half_open_max: usize,
    /// How many links an endpoint may have.
    pub links_max: usize,
    /// The longest message, and what one link holds at the most before it is written.
    pub limits: Limits,
    /// Bytes read at once; at least enough for the longest frame.
    pub read_buffer: usize,
    /// Lowest and highest version of the protocol to speak, for tests of the negotiation. What is
    /// implemented is the default.
    #[doc(hidden)]
    pub versions: (u16, u16),
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            handshake_deadline: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(5),
            half_open_max: 256,
            links_max: 4096,
            limits: Limits::default(),
            read_buffer: 128 * 1024,
            versions: VERSIONS,
        }
    }
}
