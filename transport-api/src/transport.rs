//! The traits a backend implements. All are object-safe: the layers above never name a backend.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;

use crate::{
    Address, Capabilities, ConnectError, ConnectionId, LinkEvent, LinkId, OpenError, Outgoing,
    SendError,
};

/// Opens endpoints. One value may open several.
#[async_trait]
pub trait Transport: Debug + Send + Sync {
    /// The scheme of this backend's addresses, such as `tcp`.
    fn scheme(&self) -> &'static str;

    /// What endpoints of this transport offer.
    fn capabilities(&self) -> Capabilities;

    /// Opens an endpoint; every link it ever has, dialled or accepted, is shown to `acceptor`.
    ///
    /// # Errors
    /// See [`OpenErrorKind`](crate::OpenErrorKind).
    ///
    /// # Cancel safety
    /// Dropping the future leaves no endpoint behind.
    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError>;
}

/// How an endpoint can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bind {
    /// It listens at `listen` (port 0: the system chooses) and tells others to dial `advertise`
    /// (default: where it listens).
    Listen {
        /// Where to listen.
        listen: Address,
        /// What others dial.
        advertise: Option<Address>,
    },
    /// It only dials. Its address is made up, unique, and cannot be dialled by others.
    DialOnly,
}

/// A place from which links are made and at which they arrive.
#[async_trait]
pub trait EndPoint: Debug + Send + Sync {
    /// What others dial.
    fn address(&self) -> &Address;

    /// What this endpoint offers.
    fn capabilities(&self) -> Capabilities;

    /// The link to `peer`: the living one, or a new one. When both sides connect at once, both get
    /// the same single link. While an old link is being closed or its loss is still to be told, this
    /// waits for that. An endpoint has no link to itself.
    ///
    /// # Errors
    /// See [`ConnectErrorKind`](crate::ConnectErrorKind); `BadAddress` for the own address.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a link that nobody asked for, shown to the acceptor like any
    /// other.
    async fn connect(&self, peer: &Address) -> Result<Arc<dyn Link>, ConnectError>;

    /// Cuts the link to `peer` at once, losing what is under way. Both sides are told. Answers
    /// whether there was one.
    fn break_link(&self, peer: &Address) -> bool;

    /// Closes every link politely (each drains within the backend's deadline, then is cut) and
    /// stops listening. Idempotent.
    async fn close(&self);
}

/// Who is at the other end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The address it claims. For a dialled link, the one dialled.
    pub address: Address,
    /// The identity that the transport itself has proven, if it can.
    pub identity: Option<String>,
}

impl Peer {
    /// A peer at `address` with no proven identity.
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self { address, identity: None }
    }
}

/// One incarnation of the link between two endpoints.
///
/// Nothing here blocks. Everything after the loss, or after either side has begun a polite close,
/// answers [`SendErrorKind::LinkLost`](crate::SendErrorKind::LinkLost); what comes in is given to the
/// sink until the loss is told.
pub trait Link: Debug + Send + Sync {
    /// Which incarnation this is.
    fn id(&self) -> LinkId;

    /// Who is at the other end.
    fn peer(&self) -> &Peer;

    /// Opens a connection towards the peer. No round trip: it can be written to at once.
    ///
    /// # Errors
    /// `TooMany`; `Full` when the batch is, since opening and closing take room in it as well;
    /// `LinkLost`.
    fn open(&self) -> Result<ConnectionId, SendError>;

    /// Closes a connection after what was written to it. Idempotent.
    ///
    /// # Errors
    /// `LinkLost`.
    fn close_connection(&self, connection: ConnectionId) -> Result<(), SendError>;

    /// Lends the outgoing batch, locked once for everything that `fill` appends; wakes the writer
    /// afterwards. `fill` must not call back into the link.
    ///
    /// # Errors
    /// `Full` or `LinkLost`, both before `fill` runs: then nothing was appended. What `fill`
    /// appends to a connection that is not open is refused by [`Outgoing`] itself.
    fn write(&self, fill: &mut dyn FnMut(&mut Outgoing)) -> Result<(), SendError>;

    /// Ready when `write` will not answer `Full`. Wakes the task of `cx` when that changes; any
    /// number of tasks may wait.
    ///
    /// # Errors
    /// `LinkLost`.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>>;

    /// Closes the link politely: what was written is delivered first, within the backend's
    /// deadline. Idempotent.
    fn close(&self);

    /// Cuts the link at once. Idempotent; the sink is told with `kind` `Cut` and these words.
    fn abort(&self, why: &str);
}

/// Is shown every link of an endpoint.
pub trait LinkAcceptor: Send + Sync {
    /// A link is up: dialled from here or accepted. Called once per link incarnation, before any
    /// event of it, and never before the loss of the previous link to the same peer was told.
    /// Answers the sink for its events.
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink>;
}

/// Takes a link's events, called from that link's reader and from nowhere else.
pub trait LinkSink: Send {
    /// Takes one event. Must not block: the link stands still meanwhile.
    fn event(&mut self, event: LinkEvent<'_>);

    /// All events of one read have been given: what was gathered can be passed on.
    fn batch_end(&mut self) {}

    /// Whether more events can be taken. While it is pending the link reads nothing, so that the
    /// peer slows down; the task of `cx` is the reader. The loss of the link is told all the same.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}
