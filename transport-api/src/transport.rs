//! The traits a backend implements. All are object-safe: the layers above never name a backend.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;

use crate::{
    Address, Capabilities, ConnectError, ConnectionId, LinkEvent, LinkId, OpenError, Outgoing,
    Room, SendError,
};

/// Opens endpoints. One value may open several.
///
/// What a backend promises to those above it stands at each function of the traits; *For implementers*
/// says what is easily missed by who writes one. Three rules hold everywhere.
///
/// **Who wakes whom.** Whoever waits is woken by the change it waits for: one in
/// [`Link::poll_ready`] by room in the batch, and by the end of the link; one in
/// [`EndPoint::connect`] by the link that is up, or by the reason why there will be none; the writer
/// of a link by what is appended; its reader by bytes, by the end of the link, and by its sink when
/// that takes events again. A waker is used once: who is woken looks again, and waits again if it was
/// for nothing. Nobody is woken under a lock.
///
/// **What may block.** Nothing that is not `async`: not a call of [`Link`], not one of
/// [`LinkAcceptor`] or [`LinkSink`], which run in a link's reader. The `async` functions wait for the
/// network, each within a deadline of the backend's, and say what is left when their future is
/// dropped.
///
/// **What is called when.** A link's acceptor and sink are called from its reader, one call at a time:
/// [`link_up`](LinkAcceptor::link_up), then events in the order in which they happened, then
/// [`LinkEvent::Lost`], once and last; then the sink is dropped. They are called with no lock held, so
/// they may use the link and break it. They must not panic.
#[async_trait]
pub trait Transport: Debug + Send + Sync {
    /// The scheme of this backend's addresses, such as `tcp`.
    fn scheme(&self) -> &'static str;

    /// What endpoints of this transport offer.
    fn capabilities(&self) -> Capabilities;

    /// Opens an endpoint; every link it ever has, dialled or accepted, is shown to `acceptor`, and
    /// the first one perhaps before this has returned.
    ///
    /// # Errors
    /// | kind | what it means | what to do |
    /// |---|---|---|
    /// | `BadAddress` | no endpoint of this transport can be there | give another address |
    /// | `InUse` | somebody is there | give another address, or end whoever it is |
    /// | `Unsupported` | the transport lacks what is needed | take another transport |
    /// | `System` | the system said no: permissions, descriptors, interfaces | see the source |
    ///
    /// # Cancel safety
    /// Dropping the future leaves no endpoint behind, and nothing that listens.
    ///
    /// # For implementers
    /// What is left of a process that was killed is not `InUse`: a node must be able to start again
    /// where it was.
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
///
/// It lives as long as a handle to it. When the last is dropped, its links are cut at once and it
/// listens no more. Its links do not keep it alive, nor do their handles.
#[async_trait]
pub trait EndPoint: Debug + Send + Sync {
    /// What others dial; made up if it only dials.
    fn address(&self) -> &Address;

    /// What this endpoint offers, which is what its transport does.
    fn capabilities(&self) -> Capabilities;

    /// The link to `peer`: the living one, or a new one. When both sides connect at once, both get
    /// the same single link. While an old link is being closed or its loss is still to be told, this
    /// waits for that. An endpoint has no link to itself.
    ///
    /// The acceptor has been shown the link before this returns it. It may have been lost since; then
    /// its handle says so.
    ///
    /// # Errors
    /// | kind | what it means | what to do |
    /// |---|---|---|
    /// | `BadAddress` | nobody can be dialled there: another scheme, a made-up name, the endpoint itself | give another address |
    /// | `NotFound` | it is certain that nobody is there | take it for gone; try again if it may come back |
    /// | `Unreachable` | the way there is cut, or the system is out of something | try again, ever more rarely |
    /// | `TimedOut` | nobody has answered in time | the same |
    /// | `Refused` | whoever is there said no, or is not who was meant | look at the source: trying again does not help |
    /// | `NoCommonVersion` | one of the two is too old | update it |
    /// | `TooMany` | this endpoint has as many links as it may | end some |
    /// | `Closed` | this endpoint is closed | open another |
    ///
    /// # Cancel safety
    /// Dropping the future harms nobody else who waits for the same link. It may leave a link that
    /// nobody asked for, shown to the acceptor like any other.
    ///
    /// # For implementers
    /// It ends, whatever the peer does: a handshake has a deadline, and so has the wait for an old
    /// link's end. `NotFound` is for those who know it: the layers above give up what they hold for
    /// a peer that is gone. A link that is up for its dialler may still be lost at once, when the
    /// acceptor has changed its mind.
    async fn connect(&self, peer: &Address) -> Result<Arc<dyn Link>, ConnectError>;

    /// Every address that `peer` stands for: where it has a name that leads to several endpoints, as a
    /// name in DNS may, the address of each, one of which may be this endpoint. Another address stands
    /// for itself.
    ///
    /// # Errors
    /// `BadAddress` as with [`connect`](Self::connect); `Unreachable` when the name cannot be looked up
    /// now, or leads nowhere.
    ///
    /// # Cancel safety
    /// Dropping the future leaves at most a question whose answer nobody waits for.
    ///
    /// # For implementers
    /// Without names, do not implement it. What it answers can be dialled, and need not be what the
    /// endpoint there calls itself. The caller has a deadline.
    async fn resolve(&self, peer: &Address) -> Result<Vec<Address>, ConnectError> {
        Ok(vec![peer.clone()])
    }

    /// Cuts the link to `peer` at once, losing what is under way. Both sides are told: this one
    /// [`Cut`](crate::LossKind::Cut), the other as it finds it. Answers whether there was one, and so
    /// is true for one of two who do it together.
    fn break_link(&self, peer: &Address) -> bool;

    /// Closes every link politely (each drains within the backend's deadline, then is cut) and
    /// stops listening. Returns when the loss of every link has been told. Idempotent.
    ///
    /// # Cancel safety
    /// Once it was polled, the endpoint neither accepts nor connects. What else is left undone,
    /// another call does, or the drop of the endpoint.
    ///
    /// # For implementers
    /// When it returns, the address is free, and who dials it is told `NotFound`.
    async fn close(&self);
}

/// Who is at the other end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The address it claims. For a dialled link, the one dialled.
    ///
    /// Where the transport proves identities, the peer may be at the address it claims; elsewhere the
    /// layer above has to ask for proof.
    pub address: Address,
    /// The identity that the transport itself has proven, if it can: a name whose meaning is the
    /// backend's, such as one in a certificate. It is there on every link or on none
    /// ([`Capabilities::peer_identity`]).
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
/// Nothing here blocks, and everything may be called by many at once. Everything after the loss, or
/// after either side has begun a polite close, answers
/// [`SendErrorKind::LinkLost`](crate::SendErrorKind::LinkLost); what comes in is given to the sink
/// until the loss is told. A link lives until one of the two ends it, whether anybody has a handle
/// or not.
///
/// | error | what it means | what to do |
/// |---|---|---|
/// | `Closed` | the connection was closed here | it is a mistake: open another |
/// | `LinkLost` | there is no link any more | what was sent may have come or not: connect again, and ask |
/// | `Full` | the batch has no such room | wait for [`poll_ready`](Self::poll_ready); nothing was appended |
/// | `TooLarge` | no message may be so long on this link | send several |
/// | `TooMany` | every number of a connection is taken | close some |
///
/// # For implementers
/// An [`Outbox`](crate::Outbox) does all of it but `id`, `peer` and the deadline of `close`.
pub trait Link: Debug + Send + Sync {
    /// Which incarnation this is. Of two links of an endpoint the later one's number is greater.
    fn id(&self) -> LinkId;

    /// Who is at the other end.
    fn peer(&self) -> &Peer;

    /// Opens a connection towards the peer. No round trip: it can be written to at once. It lives
    /// until it is closed here or the link ends; the peer cannot close it.
    ///
    /// # Errors
    /// `TooMany`; `Full` when there is no room for small messages, since opening and closing take some
    /// of it; `LinkLost`.
    fn open(&self) -> Result<ConnectionId, SendError>;

    /// Closes a connection after what was written to it. Idempotent, and never refused for want of
    /// room.
    ///
    /// # Errors
    /// `LinkLost`: it has ended with the link.
    fn close_connection(&self, connection: ConnectionId) -> Result<(), SendError>;

    /// Lends the outgoing batch, locked once for everything that `fill` appends; wakes the writer
    /// afterwards. `fill` is called once or not at all, and keeps all others out meanwhile: it
    /// must not call back into the link, and should not take long. `room` says what it is about to
    /// append: who has only short messages need not wait for others' long ones to go.
    ///
    /// A panic of `fill` goes on to the caller. What it had appended whole is sent, the message that
    /// it was writing is not, and the link lives.
    ///
    /// # Errors
    /// `Full` or `LinkLost`, both before `fill` runs: then nothing was appended. What `fill`
    /// appends to a connection that is not open is refused by [`Outgoing`] itself.
    fn write(&self, room: Room, fill: &mut dyn FnMut(&mut Outgoing)) -> Result<(), SendError>;

    /// Ready when `write` with this room (and `open`, for small ones) will not answer `Full`. Wakes
    /// the task of `cx` when that changes, and when the link ends; any number of tasks may wait. All
    /// of them are woken, and the first to write may fill the batch again: who finds it full waits
    /// again.
    ///
    /// # Errors
    /// `LinkLost`.
    fn poll_ready(&self, room: Room, cx: &mut Context<'_>) -> Poll<Result<(), SendError>>;

    /// Closes the link politely: what was written is delivered first, and what the peer has written
    /// comes, within the backend's deadline. Then both sinks are told
    /// [`Closed`](crate::LossKind::Closed), or at the deadline [`Cut`](crate::LossKind::Cut).
    /// Idempotent.
    ///
    /// # For implementers
    /// It is an agreement: each side says goodbye behind all it has to say, and the link has ended when
    /// both have. One who hears the other's goodbye says its own. Nothing may be lost because one side
    /// has hung up while the other was still reading.
    fn close(&self);

    /// Cuts the link at once. Idempotent; the sink is told with `kind` `Cut` and these words, unless
    /// the link had ended before.
    fn abort(&self, why: &str);
}

/// Is shown every link of an endpoint.
pub trait LinkAcceptor: Send + Sync {
    /// A link is up: dialled from here or accepted. Called once per link incarnation, before any
    /// event of it, and never before the loss of the previous link to the same peer was told.
    /// Answers the sink for its events.
    ///
    /// It must not block. It may open connections and write to the link.
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink>;
}

/// Takes a link's events, called from that link's reader and from nowhere else.
///
/// # For implementers of backends
/// The reader owns the sink, so that nobody else can tell the loss, or tell it twice. It is told
/// with no regard to [`poll_ready`](Self::poll_ready), after the events of everything that was read
/// before.
pub trait LinkSink: Send {
    /// Takes one event. Must not block: the link stands still meanwhile. What the event lends is
    /// there for the call alone.
    fn event(&mut self, event: LinkEvent<'_>);

    /// All events of one read have been given: what was gathered can be passed on. The loss is
    /// followed by one as well.
    fn batch_end(&mut self) {}

    /// Whether more events can be taken. While it is pending the link reads nothing, so that the
    /// peer slows down; the task of `cx` is the reader, and the sink wakes it when it can take more.
    /// What was read before it became pending is given still, and the loss is told all the same.
    ///
    /// # For implementers of backends
    /// Who does not read hears nothing: while this is pending, the peer's silence is not the peer's.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}
