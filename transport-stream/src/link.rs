//! One link: what its handles and its three tasks share.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use midflight_runtime::{Handle, spawn, timeout};
use midflight_transport_api::{
    Address, ConnectionId, Link, LinkId, LinkLoss, LossKind, Outbox, Outgoing, Peer, Room,
    SendError,
};

use crate::greeting::Greeting;
use crate::handshake::Introduction;
use crate::shared::Shared;
use crate::{Stream, heartbeat, reader, writer};

/// See the [module](self).
pub(crate) struct StreamLink {
    id: LinkId,
    peer: Peer,
    /// What the peer calls itself: its name in the table.
    pub(crate) canonical: Address,
    runtime: Handle,
    drain_deadline: Duration,
    pub(crate) outbox: Arc<Outbox>,
    /// The version of the protocol that both speak.
    version: u16,
    /// The peer's heartbeat bound.
    pub(crate) peer_bound: Duration,
    /// Whether the acceptor has seen it.
    up: AtomicBool,
    /// When something was last heard and sent, in nanoseconds.
    heard: AtomicU64,
    sent: AtomicU64,
    /// Until when having heard nothing means nothing.
    excused: AtomicU64,
    /// Whether the sink takes nothing at the moment, so that hearing nothing is our own doing.
    paused: AtomicBool,
    /// How many wait for a sign of life.
    probes: AtomicUsize,
}

/// A link whose tasks are to be started.
pub(crate) struct Made {
    pub(crate) link: Arc<StreamLink>,
    greeting: Greeting,
}

impl StreamLink {
    /// A link on the stream of `greeting` to the one that introduced itself; `peer` is the name it has here.
    pub(crate) fn make(
        shared: &Shared,
        peer: Address,
        who: &Introduction,
        greeting: Greeting,
    ) -> Made {
        let mut limits = shared.config.limits;
        limits.max_message = limits.max_message.min(who.max_message);
        let now = shared.runtime.now().as_nanos();
        let mut peer = Peer::new(peer);
        peer.identity = greeting.identity().map(str::to_owned);
        let link = Self {
            id: shared.next_link(),
            peer,
            canonical: who.address.clone(),
            runtime: shared.runtime.clone(),
            drain_deadline: shared.config.drain_deadline,
            outbox: Arc::new(Outbox::new(limits)),
            version: greeting.version,
            peer_bound: who.heartbeat,
            up: AtomicBool::new(false),
            heard: AtomicU64::new(now),
            sent: AtomicU64::new(now),
            excused: AtomicU64::new(now),
            paused: AtomicBool::new(false),
            probes: AtomicUsize::new(0),
        };
        Made { link: Arc::new(link), greeting }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    pub(crate) fn set_up(&self) {
        self.up.store(true, Ordering::Release);
    }

    /// Whether the peer has this identity, or is proven to have none.
    pub(crate) fn is_of(&self, identity: Option<&str>) -> bool {
        self.peer.identity.as_deref() == identity
    }

    /// Something was read. Answers whether somebody waits for a sign of life.
    pub(crate) fn heard_now(&self) -> bool {
        self.heard.store(self.runtime.now().as_nanos(), Ordering::Relaxed);
        self.probes.load(Ordering::Relaxed) > 0
    }

    /// Asks the peer for a sign of life.
    pub(crate) fn probe(&self) -> Probe<'_> {
        self.probes.fetch_add(1, Ordering::Relaxed);
        self.outbox.ping();
        let began = Duration::from_nanos(self.runtime.now().as_nanos());
        Probe { link: self, began }
    }

    /// Something was written.
    pub(crate) fn sent_now(&self) {
        self.sent.store(self.runtime.now().as_nanos(), Ordering::Relaxed);
    }

    /// The sink takes nothing, or takes something again.
    pub(crate) fn set_paused(&self, paused: bool) {
        if self.paused.swap(paused, Ordering::Relaxed) {
            self.excuse();
        }
    }

    /// Silence until now means nothing.
    fn excuse(&self) {
        self.excused.store(self.runtime.now().as_nanos(), Ordering::Relaxed);
    }

    /// When something was last heard and sent. While we do not listen, or the peer has said goodbye,
    /// silence means nothing.
    pub(crate) fn heard_and_sent(&self) -> (Duration, Duration) {
        if self.paused.load(Ordering::Relaxed) || self.outbox.is_bye_heard() {
            self.excuse();
        }
        let load = |at: &AtomicU64| Duration::from_nanos(at.load(Ordering::Relaxed));
        (load(&self.heard).max(load(&self.excused)), load(&self.sent))
    }

    /// Lets `ends`, the end of what was written, take as long as a polite close may.
    pub(crate) async fn limit_end(&self, ends: impl Future<Output = io::Result<()>>) {
        // Whether it works or not, nothing follows.
        let _ = timeout(&*self.runtime, self.drain_deadline, ends).await;
    }

    /// Cuts the link if its polite close, which has begun, takes too long.
    pub(crate) fn limit_close(&self) {
        let (outbox, runtime) = (self.outbox.clone(), self.runtime.clone());
        let deadline = self.drain_deadline;
        spawn(&self.runtime, "drain", async move {
            let fate = std::future::poll_fn(|cx| outbox.poll_fate(cx));
            if timeout(&*runtime, deadline, fate).await.is_err() {
                let detail = format!("not drained within {deadline:?}");
                outbox.fail(LinkLoss::new(LossKind::Cut, detail));
            }
        });
    }
}

/// Somebody waits for a sign of life, until this is dropped.
pub(crate) struct Probe<'a> {
    link: &'a StreamLink,
    began: Duration,
}

impl Probe<'_> {
    /// Whether anything was heard since, or hearing nothing meant nothing.
    pub(crate) fn answered(&self) -> bool {
        self.link.heard_and_sent().0 > self.began
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.link.probes.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Made {
    /// Starts the tasks; `first` is written before any frame.
    pub(crate) fn start(self, shared: &Arc<Shared>, first: Vec<u8>) {
        let Self { link, greeting: Greeting { stream, read: begun, .. } } = self;
        let Stream { read, write, .. } = stream;
        let runtime = &shared.runtime;
        let reader = reader::run(shared.clone(), link.clone(), read, begun);
        spawn(runtime, "reader", reader);
        spawn(runtime, "writer", writer::run(link.clone(), write, first));
        let bound = shared.config.heartbeat;
        spawn(runtime, "heartbeat", heartbeat::run(link, bound, runtime.clone()));
    }
}

impl Link for StreamLink {
    fn id(&self) -> LinkId {
        self.id
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn open(&self) -> Result<ConnectionId, SendError> {
        self.outbox.open()
    }

    fn close_connection(&self, connection: ConnectionId) -> Result<(), SendError> {
        self.outbox.close_connection(connection)
    }

    fn write(&self, room: Room, fill: &mut dyn FnMut(&mut Outgoing)) -> Result<(), SendError> {
        self.outbox.write(room, fill)
    }

    fn poll_ready(&self, room: Room, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.outbox.poll_ready(room, cx)
    }

    fn close(&self) {
        if self.outbox.close() {
            self.limit_close();
        }
    }

    fn abort(&self, why: &str) {
        self.outbox.fail(LinkLoss::new(LossKind::Cut, why));
    }
}

impl fmt::Debug for StreamLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamLink")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
