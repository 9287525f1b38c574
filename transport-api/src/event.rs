//! What a link tells its sink.

use std::fmt;

use bytes::Bytes;

use crate::LinkLoss;

/// One incarnation of a link. Never reused by an endpoint: a link made after a break has another, and
/// a greater one. The two ends number independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A lightweight one-way connection, numbered by the side that opened it, for one link.
///
/// The two directions number independently: our connection 3 and the peer's are unrelated. A number is
/// not used again on the same link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The bytes of one message.
///
/// A message that came in one piece is lent from the read buffer, so that a small one can be
/// copied to where it belongs without pinning a whole buffer; one that was put together from
/// fragments is given.
#[derive(Debug)]
pub enum Payload<'a> {
    /// Lent for the call.
    Lent(&'a [u8]),
    /// Given.
    Given(Bytes),
}

impl Payload<'_> {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Given(bytes) => bytes,
        }
    }

    /// The bytes to keep: copied when they were lent.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Lent(bytes) => Bytes::copy_from_slice(bytes),
            Self::Given(bytes) => bytes,
        }
    }
}

/// What happened on a link, in the order in which it happened.
///
/// Of a connection that is [`Opened`](Self::Opened), then any number of [`Received`](Self::Received),
/// then [`Closed`](Self::Closed), unless the loss of the link comes first. What is told of different
/// connections may come in any order, as what was sent on them may.
///
/// # For implementers of backends
/// [`Incoming`](crate::Incoming) makes all of them but `Lost`, and refuses a peer that does not keep
/// to this.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent<'a> {
    /// The peer opened a connection towards us.
    Opened(ConnectionId),
    /// A whole message came on a connection that the peer had opened: never a part of one.
    Received {
        /// On which connection.
        connection: ConnectionId,
        /// The message.
        payload: Payload<'a>,
        /// The frame's extensions in their encoded form (see [`frame::extensions`](crate::frame)),
        /// empty when it had none.
        extensions: &'a [u8],
    },
    /// The peer closed a connection; everything sent on it before has been given.
    Closed(ConnectionId),
    /// The link is gone, and with it all its connections both ways; they are not told closed one by
    /// one. The last event of the link, told exactly once; no event of a later link to the same peer
    /// comes before it.
    ///
    /// What it says about messages that were sent and not answered:
    ///
    /// | kind | |
    /// |---|---|
    /// | [`Closed`](crate::LossKind::Closed) | both sides agreed: all that was sent has come |
    /// | [`Cut`](crate::LossKind::Cut) | this side did it, or the close took too long: any number of the last may not have come |
    /// | [`Broken`](crate::LossKind::Broken) | the path or the peer has gone: the same |
    /// | [`Silent`](crate::LossKind::Silent) | nothing was heard for the heartbeat's bound: the same; the peer may live and think the same of this side |
    /// | [`Violation`](crate::LossKind::Violation) | the peer does not keep to the protocol: the same; to connect again is to get more of it |
    Lost(LinkLoss),
}
