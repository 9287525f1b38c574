//! What a link tells its sink.

use std::fmt;

use bytes::Bytes;

use crate::LinkLoss;

/// One incarnation of a link. Never reused by an endpoint: a link made after a break has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A lightweight one-way connection, numbered by the side that opened it, for one link.
///
/// The two directions number independently: our connection 3 and the peer's are unrelated.
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
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent<'a> {
    /// The peer opened a connection towards us.
    Opened(ConnectionId),
    /// A whole message came on a connection that the peer had opened.
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
    /// The link is gone, and with it all its connections both ways. The last event of the link,
    /// told exactly once; no event of a later link to the same peer comes before it.
    Lost(LinkLoss),
}
