//! What the parts of a node share. Each part is a file of its own; this is only where they meet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use midflight_message::{NodeId, Pid};
use midflight_runtime::{Handle, spawn};
use midflight_transport_api::EndPoint;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::events::Events;
use crate::functions::FunctionTable;
use crate::groups::GroupTable;
use crate::letters::dead_letter::DeadLetters;
use crate::letters::refused::Refused;
use crate::mailbox::envelope::{CallRef, Sender};
use crate::membership::gossip::Gossip;
use crate::membership::{Card, Kernel};
use crate::metrics::Counts;
use crate::names::registry::Registry;
use crate::node::ending::Ending;
use crate::node::limits::Limits;
use crate::node::numbers::Numbers;
use crate::peer::Peer;
use crate::peer::handshake::Secret;
use crate::peer::idle::SetAside;
use crate::peer::link::Links;
use crate::peer::wire::Place;
use crate::relocation::Relocation;
use crate::roles::Access;
use crate::scheduler::queues::Queues;
use crate::send::buffers::Buffers;
use crate::table::{Room, Table};
use crate::timers::Timers;
use crate::types::TypeTable;

/// A node's parts.
pub(crate) struct Inner {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) secret: Option<Secret>,
    /// Whether a peer must be called what the transport has proven.
    pub(crate) proven_names: bool,
    pub(crate) limits: Limits,
    pub(crate) access: RwLock<Access>,
    pub(crate) runtime: Handle,
    pub(crate) end_point: OnceLock<Arc<dyn EndPoint>>,
    pub(crate) table: Table,
    pub(crate) queues: Queues,
    pub(crate) timers: Timers,
    pub(crate) types: TypeTable,
    /// For messages that are large.
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) registry: Registry,
    pub(crate) functions: FunctionTable,
    pub(crate) groups: GroupTable,
    pub(crate) relocation: Relocation,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) counts: Counts,
    /// Who wants to know what happens.
    pub(crate) events: Events,
    /// What the node's own processes have refused.
    pub(crate) refused: Refused,
    pub(crate) gossip: Gossip,
    pub(crate) peers: RwLock<FxHashMap<NodeId, Arc<Peer>>>,
    /// Peers whose idle links are being closed.
    pub(crate) idle: SetAside,
    pub(crate) links: Mutex<Links>,
    pub(crate) numbers: Arc<Numbers>,
    /// What code there is, in the words of the layer above; empty for none, `None` for too many.
    pub(crate) code: Mutex<Option<Vec<u8>>>,
    /// How far its end is.
    pub(crate) ending: Ending,
    /// See [`Node::accepted_losses`](crate::Node::accepted_losses).
    pub(crate) accepted_losses: AtomicU64,
    next: AtomicU64,
}

/// Everything a node is made of that its builder decides.
pub(crate) struct Parts {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) secret: Option<Secret>,
    /// Whether a peer must be called what the transport has proven.
    pub(crate) proven_names: bool,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    pub(crate) runtime: Handle,
    pub(crate) functions: FunctionTable,
}

impl Inner {
    pub(crate) fn new(parts: Parts) -> Self {
        let own = Card {
            name: parts.name.clone(),
            id: parts.id,
            address: None,
            started: u64::try_from(parts.runtime.unix_time().as_millis()).unwrap_or(u64::MAX),
            revision: 0,
            catalogue: [0; 32],
            leaves: false,
        };
        let kernel = Kernel::new(own, &parts.limits, parts.runtime.now());
        Self {
            gossip: Gossip::new(kernel),
            end_point: OnceLock::new(),
            table: Table::new(parts.limits.processes),
            queues: Queues::new(parts.runtime.workers().max(1)),
            timers: Timers::new(parts.runtime.workers().max(1)),
            types: TypeTable::new(parts.limits.types),
            buffers: Arc::default(),
            registry: Registry::default(),
            functions: parts.functions,
            groups: GroupTable::new(parts.id, parts.limits.group_members),
            relocation: Relocation::default(),
            dead_letters: DeadLetters::new(
                parts.limits.dead_letters,
                parts.limits.dead_letter_bytes,
            ),
            refused: Refused::default(),
            counts: Counts::default(),
            events: Events::default(),
            peers: RwLock::default(),
            idle: SetAside::default(),
            links: Mutex::default(),
            numbers: Arc::new(Numbers::new(parts.id)),
            code: Mutex::new(Some(Vec::new())),
            ending: Ending::default(),
            accepted_losses: AtomicU64::new(0),
            next: AtomicU64::new(1),
            id: parts.id,
            name: parts.name,
            cluster: parts.cluster,
            secret: parts.secret,
            proven_names: parts.proven_names,
            limits: parts.limits,
            access: RwLock::new(parts.access),
            runtime: parts.runtime,
        }
    }

    /// A number this node has not used before: for calls, monitors and questions.
    pub(crate) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_call(&self) -> CallRef {
        CallRef(self.next())
    }

    pub(crate) fn peer(&self, id: NodeId) -> Option<Arc<Peer>> {
        crate::send::stage::current_peer(self, id).or_else(|| self.peers.read().get(&id).cloned())
    }

    /// The peer with this number, if its link lives.
    pub(crate) fn peer_numbered(&self, number: u32) -> Option<Arc<Peer>> {
        let id = self.numbers.node(number)?;
        self.peers.read().get(&id).cloned()
    }

    /// The pid of a sender; `None` for one outside any process.
    #[inline]
    pub(crate) fn pid(&self, sender: Sender) -> Option<Pid> {
        if sender.node != 0 {
            return self.remote_pid(sender);
        }
        Some(self.local_pid(sender.place())).filter(|pid| pid.index != Place::NOBODY.index)
    }

    fn remote_pid(&self, sender: Sender) -> Option<Pid> {
        let Sender { node, index, generation } = sender;
        let node = self.numbers.node(node)?;
        // One that has moved is known by the pid it has kept.
        let known = self.relocation.known_at(node, sender.place());
        let pid = known.unwrap_or(Pid { node, index, generation });
        (pid.index != Place::NOBODY.index).then_some(pid)
    }

    /// Whose rights a sender has: those of the node at the other end of its link, whatever pid it is known by. `None` for one
    /// outside any process, and where nobody knows any more which node it was.
    #[inline]
    pub(crate) fn asker(&self, sender: Sender) -> Option<NodeId> {
        if sender.index == Place::NOBODY.index {
            return None;
        }
        match sender.is_remote() {
            false => Some(self.id),
            true => self.numbers.node(sender.node),
        }
    }

    /// The node of a sender, which is this one for who is outside any process.
    pub(crate) fn pid_node(&self, sender: Sender) -> NodeId {
        match sender.is_remote() {
            false => self.id,
            true => self.numbers.node(sender.node).unwrap_or(self.id),
        }
    }

    /// The pid of the process in a cell of this node: of one that came from elsewhere, that which it has kept.
    #[inline]
    pub(crate) fn local_pid(&self, place: Place) -> Pid {
        self.relocation.guest_at(place).unwrap_or_else(|| self.cell(place))
    }

    /// A cell of this node, as a pid.
    pub(crate) const fn cell(&self, place: Place) -> Pid {
        Pid { node: self.id, index: place.index, generation: place.generation }
    }

    /// Gives the process at `place` another turn.
    pub(crate) fn wake(&self, place: Place) {
        if self.table.wake(place.index, place.generation) {
            self.queues.push(place.index);
        }
    }

    /// Whether it leaves, or has left: nothing is started here any more.
    pub(crate) fn is_leaving(&self) -> bool {
        self.ending.has_begun()
    }

    /// Whether it is being closed: its processes have ended.
    pub(crate) fn is_closing(&self) -> bool {
        self.ending.closes()
    }

    /// What all who keep to their bounds can put into one mailbox together, and a margin: what is
    /// beyond it was sent without credit.
    pub(crate) fn crowd(&self) -> Room {
        let limits = &self.limits;
        let peers = u32::try_from(self.peers.read().len()).unwrap_or(u32::MAX);
        let all = |own: u32, window: u32| {
            own.saturating_add(window.saturating_mul(peers.saturating_add(1))).saturating_mul(2)
        };
        Room {
            messages: all(limits.mailbox_messages, limits.window_messages),
            bytes: all(limits.mailbox_bytes, limits.window_bytes),
        }
    }

    /// As [`Inner::crowd`], with the ends of all that may be linked and watched.
    pub(crate) fn crowd_with_signals(&self) -> Room {
        let limits = &self.limits;
        let relations = limits.links_per_peer.saturating_add(limits.monitors_per_peer);
        let all = relations.saturating_mul(self.peers.read().len() + 1);
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        Room { messages: self.crowd().messages.saturating_add(all), bytes: u32::MAX }
    }

    /// Starts the task that writes what `peer` keeps, as the link has room.
    pub(crate) fn write_kept_later(self: &Arc<Self>, peer: Arc<Peer>) {
        let inner = self.clone();
        spawn(&self.runtime, "write kept frames", async move {
            while let Some(room) = peer.write_kept(&inner.types) {
                let link = peer.link.clone();
                if std::future::poll_fn(move |cx| link.poll_ready(room, cx)).await.is_err() {
                    return;
                }
            }
        });
    }
}
