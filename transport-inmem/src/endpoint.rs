//! An endpoint on the hub, and how two of them get their one link.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use midflight_runtime::timeout;
use midflight_transport_api::{
    Address, Capabilities, ConnectError, ConnectErrorKind, EndPoint, Link, LinkAcceptor, LinkId,
    LinkLoss, LossKind,
};
use parking_lot::Mutex;

use crate::Hub;
use crate::hub::State;
use crate::link::Side;
use crate::transport::{SCHEME, Settings};

/// What the hub knows of an endpoint.
pub(crate) struct Local {
    pub(crate) address: Address,
    /// Whether others can dial it.
    reachable: bool,
    pub(crate) settings: Settings,
    pub(crate) acceptor: Arc<dyn LinkAcceptor>,
    /// From the moment it is made until its loss has been told. Locked inside the hub's lock.
    pub(crate) links: Mutex<BTreeMap<Address, Arc<Side>>>,
    next_link: AtomicU64,
    closed: AtomicBool,
}

impl Local {
    pub(crate) fn new(
        address: Address,
        reachable: bool,
        settings: Settings,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Self {
        Self {
            address,
            reachable,
            settings,
            acceptor,
            links: Mutex::default(),
            next_link: AtomicU64::new(1),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn next_link(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    fn sides(&self) -> Vec<Arc<Side>> {
        self.links.lock().values().cloned().collect()
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The handle; dropping it cuts its links and takes it off the hub.
#[derive(Debug)]
pub(crate) struct MemoryEndPoint {
    hub: Hub,
    local: Arc<Local>,
}

/// What a look at the hub gives for a connect.
enum Found {
    Link(Arc<Side>),
    /// Two sides were made, and their tasks are to be started.
    Made(Arc<Side>, Arc<Side>, Arc<Local>),
    Error(ConnectErrorKind),
}

impl MemoryEndPoint {
    pub(crate) const fn new(hub: Hub, local: Arc<Local>) -> Self {
        Self { hub, local }
    }

    /// Looks whether the link to `peer` is there or can be made; none: something must change first.
    fn look(&self, hub: &State, peer: &Address) -> Option<Found> {
        let local = &self.local;
        if local.closed.load(Ordering::Acquire) {
            return Some(Found::Error(ConnectErrorKind::Closed));
        }
        let mut ours = local.links.lock();
        if let Some(side) = ours.get(peer) {
            let usable = side.is_up() && side.outbox.is_usable();
            return usable.then(|| Found::Link(side.clone()));
        }
        if hub.is_cut(&local.address, peer) {
            return None;
        }
        let Some(other) = hub.endpoints.get(peer).filter(|other| other.reachable) else {
            return Some(Found::Error(ConnectErrorKind::NotFound));
        };
        let mut theirs = other.links.lock();
        if let Some(old) = theirs.get(&local.address) {
            // We have told the loss of it already: they must, before there is another.
            old.outbox.supersede();
            return None;
        }
        let (here, there) = Side::pair(local, other);
        ours.insert(peer.clone(), here.clone());
        theirs.insert(local.address.clone(), there.clone());
        Some(Found::Made(here, there, other.clone()))
    }

    async fn find(&self, peer: &Address) -> Result<Arc<dyn Link>, ConnectError> {
        loop {
            match self.hub.until(|hub| self.look(hub, peer)).await {
                Found::Link(side) => return Ok(side),
                Found::Error(kind) => return Err(kind.into()),
                Found::Made(here, there, other) => {
                    Side::start(&self.hub, &self.local, &here, &there);
                    Side::start(&self.hub, &other, &there, &here);
                    // The next look waits until it is up.
                }
            }
        }
    }

    /// Takes the endpoint off the hub; answers whether this was what closed it.
    fn leave(&self) -> bool {
        let first = !self.local.closed.swap(true, Ordering::AcqRel);
        if first {
            self.hub.with(|hub| hub.endpoints.remove(&self.local.address));
            self.hub.changed();
        }
        first
    }
}

#[async_trait]
impl EndPoint for MemoryEndPoint {
    fn address(&self) -> &Address {
        &self.local.address
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.local.settings.limits.max_message)
    }

    async fn connect(&self, peer: &Address) -> Result<Arc<dyn Link>, ConnectError> {
        let dialable = peer.scheme() == SCHEME && !peer.rest().starts_with('~');
        let linked = self.local.links.lock().contains_key(peer);
        if *peer == self.local.address || (!dialable && !linked) {
            return Err(ConnectErrorKind::BadAddress.into());
        }
        let settings = &self.local.settings;
        timeout(&*settings.runtime, settings.connect_deadline, self.find(peer))
            .await
            .unwrap_or_else(|_elapsed| Err(ConnectErrorKind::TimedOut.into()))
    }

    fn break_link(&self, peer: &Address) -> bool {
        let side = self.local.links.lock().get(peer).cloned();
        side.is_some_and(|side| {
            side.outbox.fail(LinkLoss::new(LossKind::Cut, "broken on purpose by this side"))
        })
    }

    async fn close(&self) {
        self.leave();
        let sides = self.local.sides();
        for side in &sides {
            side.close();
        }
        // Each drains or is cut within its deadline.
        self.hub.until(|_| self.local.links.lock().is_empty().then_some(())).await;
    }
}

impl Drop for MemoryEndPoint {
    fn drop(&mut self) {
        self.leave();
        for side in self.local.sides() {
            side.outbox.fail(LinkLoss::new(LossKind::Cut, "the endpoint was dropped"));
        }
    }
}
