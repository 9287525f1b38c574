//! What can be set.

use std::time::Duration;

use midflight_transport_stream::LinkConfig;

/// The settings of a transport over TCP sockets. Take the default and change fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TcpConfig {
    /// What is the same for links over any stream: heartbeat, deadlines, bounds.
    pub links: LinkConfig,
    /// Whether small writes leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// How much may lie unsent in the socket (`TCP_NOTSENT_LOWAT`, Linux), so that a large message
    /// does not hold up small ones there. None: as the system has it.
    pub unsent_max: Option<u32>,
    /// After how long without traffic the system probes the peer (`SO_KEEPALIVE`). The links'
    /// heartbeats make it needless; some middleboxes look for it. None: never.
    pub keepalive: Option<Duration>,
    /// How long what was sent may stay unacknowledged before the system gives the socket up
    /// (`TCP_USER_TIMEOUT`, Linux). None: the heartbeat decides.
    pub user_timeout: Option<Duration>,
    /// Bytes of the socket's buffer for sending (`SO_SNDBUF`). None: the system tunes it, which is
    /// faster on most networks.
    pub send_buffer: Option<usize>,
    /// Bytes of the socket's buffer for receiving (`SO_RCVBUF`). None: the system tunes it, and on the
    /// loopback it is 128 KiB.
    pub receive_buffer: Option<usize>,
    /// How many sockets may wait to be accepted; the system has a bound of its own.
    pub backlog: u32,
    /// Whether an endpoint that listens at an IPv6 address leaves IPv4 alone (`IPV6_V6ONLY`). If
    /// not, one at `[::]` takes both.
    pub v6_only: bool,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            links: LinkConfig::default(),
            nodelay: true,
            unsent_max: Some(64 * 1024),
            keepalive: None,
            user_timeout: None,
            send_buffer: None,
            receive_buffer: None,
            backlog: 1024,
            v6_only: false,
        }
    }
}
