//! What a transport can do, as data.

/// What an endpoint offers. A request beyond it is refused, never ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The longest message, in bytes. A longer one is refused with
    /// [`SendErrorKind::TooLarge`](crate::SendErrorKind::TooLarge).
    pub max_message: usize,
    /// Whether what is on the wire is unreadable to others.
    pub encrypted: bool,
    /// Whether [`Peer::identity`](crate::Peer::identity) is proven by the transport itself.
    pub peer_identity: bool,
    /// Whether a link can reach another operating-system process.
    pub crosses_processes: bool,
}

impl Capabilities {
    /// The least a transport offers: nothing but messages of at most `max_message` bytes.
    #[must_use]
    pub const fn new(max_message: usize) -> Self {
        Self { max_message, encrypted: false, peer_identity: false, crosses_processes: false }
    }
}
