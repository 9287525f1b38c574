//! One side of a link.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use midflight_runtime::{Handle, Instant, spawn, timeout};
use midflight_transport_api::{
    Address, ConnectionId, Link, LinkId, LinkLoss, LossKind, Outbox, Outgoing, Peer, SendError,
};

use crate::endpoint::Local;
use crate::wire::Wire;
use crate::{Hub, tasks};

/// See the [module](self).
pub(crate) struct Side {
    id: LinkId,
    peer: Peer,
    runtime: Handle,
    drain_deadline: Duration,
    /// Its owner's heartbeat bound.
    bound: Duration,
    pub(crate) outbox: Arc<Outbox>,
    /// What comes in.
    pub(crate) wire: Wire,
    /// Whether the acceptor has seen it.
    up: AtomicBool,
    /// When something was last heard and sent, in nanoseconds.
    pub(crate) heard: AtomicU64,
    pub(crate) sent: AtomicU64,
    /// Whether the sink takes nothing at the moment, so that hearing nothing is our own doing.
    pub(crate) paused: AtomicBool,
}

impl Side {
    /// The two sides of a new link, not started.
    pub(crate) fn pair(a: &Local, b: &Local) -> (Arc<Self>, Arc<Self>) {
        let max_message = a.settings.limits.max_message.min(b.settings.limits.max_message);
        let side = |from: &Local, to: &Local| {
            let runtime = from.settings.runtime.clone();
            let now = runtime.now().as_nanos();
            let mut limits = from.settings.limits;
            limits.max_message = max_message;
            Arc::new(Self {
                id: from.next_link(),
                peer: Peer::new(to.address.clone()),
                runtime,
                drain_deadline: from.settings.drain_deadline,
                bound: from.settings.heartbeat,
                outbox: Arc::new(Outbox::new(limits)),
                wire: Wire::default(),
                up: AtomicBool::new(false),
                heard: AtomicU64::new(now),
                sent: AtomicU64::new(now),
                paused: AtomicBool::new(false),
            })
        };
        (side(a, b), side(b, a))
    }

    /// Starts the tasks of `here`, the side of `local`.
    pub(crate) fn start(hub: &Hub, local: &Arc<Local>, here: &Arc<Self>, there: &Arc<Self>) {
        let runtime = &local.settings.runtime;
        let (bound, peer_bound) = (local.settings.heartbeat, there.bound);
        spawn(runtime, "mem reader", tasks::read(hub.clone(), local.clone(), here.clone()));
        let write = tasks::write(hub.clone(), local.address.clone(), here.clone(), there.clone());
        spawn(runtime, "mem writer", write);
        let beat = tasks::heartbeat(here.clone(), bound, peer_bound, runtime.clone());
        spawn(runtime, "mem heartbeat", beat);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    pub(crate) fn set_up(&self) {
        self.up.store(true, Ordering::Release);
    }

    pub(crate) fn peer_address(&self) -> Address {
        self.peer.address.clone()
    }

    pub(crate) async fn sleep_until(&self, deadline: Instant) {
        self.runtime.sleep_until(deadline).await;
    }

    pub(crate) fn now(&self) -> Instant {
        self.runtime.now()
    }

    /// Begins the polite close, or goes along with the peer's, and gives it a deadline.
    pub(crate) fn limit_close(&self) {
        let (outbox, runtime) = (self.outbox.clone(), self.runtime.clone());
        let deadline = self.drain_deadline;
        spawn(&self.runtime, "mem drain", async move {
            let fate = std::future::poll_fn(|cx| outbox.poll_fate(cx));
            if timeout(&*runtime, deadline, fate).await.is_err() {
                let detail = format!("not drained within {deadline:?}");
                outbox.fail(LinkLoss::new(LossKind::Cut, detail));
            }
        });
    }
}

impl Link for Side {
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

    fn write(&self, fill: &mut dyn FnMut(&mut Outgoing)) -> Result<(), SendError> {
        self.outbox.write(fill)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.outbox.poll_ready(cx)
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

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
