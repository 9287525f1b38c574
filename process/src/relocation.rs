//! Processes that move between nodes (M1–M4).
//!
//! A process keeps its pid wherever it lives, and each node it comes to gives it a cell. A cell that it has left
//! stands in for it: [`forwarder`] hands on what still comes there, in order and by the same credit as any
//! sender, and keeps what others have tied to the process there, such as monitors, links and names, until it ends.
//! [`moving`] and [`lodging`] are the two sides of a move, [`guests`] who of elsewhere is here, [`directory`] where those are
//! that are not, [`ways`] by which cell each is sent to.

pub(crate) mod baggage;
pub(crate) mod directory;
mod forward;
pub(crate) mod forwarder;
mod guests;
pub(crate) mod lodging;
pub(crate) mod moving;
mod senders;
pub(crate) mod signals;
mod sorted;
mod ways;
pub(crate) mod word;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_channel::oneshot;
use midflight_message::{NodeId, Pid};
use midflight_runtime::spawn;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::mailbox::envelope::Sender;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal};
use crate::send::local;
use directory::{Directory, Heard, Location};
use guests::Guests;
use ways::Ways;
use word::Word;

/// The news that `process` lives there.
fn lives(process: Pid, at: Location) -> Signal {
    let word = Word::Lives { process, at };
    Signal::Relocated { to: Place::NOBODY, from: Place::NOBODY, word }
}

/// A cell whose process has left.
#[derive(Debug)]
struct Left {
    to: Location,
    /// Who waits to hear that it has begun there.
    begun: Option<oneshot::Sender<()>>,
}

/// What a node knows of processes that move.
#[derive(Debug, Default)]
pub(crate) struct Relocation {
    /// Whether there is anything to look up: spares the common case the lock.
    any: AtomicBool,
    guests: RwLock<Guests>,
    /// Cells that processes have left, with where these have gone.
    left: RwLock<FxHashMap<Place, Left>>,
    /// Where processes are that are elsewhere.
    directory: RwLock<Directory>,
    ways: RwLock<Ways>,
}

impl Relocation {
    /// The process of another node that lives, or has lived, in this cell.
    #[inline]
    pub(crate) fn guest_at(&self, place: Place) -> Option<Pid> {
        if !self.has_any() {
            return None;
        }
        self.guests.read().get(place).map(|guest| guest.pid)
    }

    fn has_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// How many cells processes have here that came from elsewhere.
    pub(crate) fn guest_count(&self) -> usize {
        self.guests.read().len()
    }

    /// The cell is empty.
    pub(crate) fn ended(&self, here: NodeId, place: Place) {
        if self.has_any() {
            let guest = self.guests.write().remove(place);
            self.left.write().remove(&place);
            // Only to the cells of guests are there ways.
            if guest.is_some() {
                self.ways.write().ended(here, place);
            }
        }
    }

    /// Where the process has gone that had this cell; `None`: it is here, or nobody is.
    pub(crate) fn gone_from(&self, place: Place) -> Option<Location> {
        if !self.has_any() {
            return None;
        }
        self.left.read().get(&place).map(|left| left.to)
    }

    /// Where the process is known to be that has left this cell, if it has moved on from where it went.
    fn goes_on(&self, place: Place, pid: Pid) -> Option<Location> {
        let at = self.directory.read().find(pid)?;
        let mut left = self.left.write();
        let left = left.get_mut(&place).filter(|left| at.epoch > left.to.epoch)?;
        left.to = at;
        Some(at)
    }

    /// How many cells hand on what comes for processes that have left them.
    pub(crate) fn forwarder_count(&self) -> usize {
        self.left.read().len()
    }

    /// The process in this cell leaves for another. The answer comes when it has begun there, and is canceled
    /// when it is lost on its way.
    fn leaves(&self, pid: Pid, place: Place, to: Location) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.left.write().insert(place, Left { to, begun: Some(tell) });
        self.directory.write().know(pid, to);
        self.any.store(true, Ordering::Release);
        told
    }

    /// A peer says where a process lives.
    fn hear(&self, pid: Pid, from: NodeId, at: Location) {
        let heard = self.directory.write().hear(pid, from, at);
        if heard == Heard::Ignored {
            tracing::debug!(%pid, %from, ?at, "news of a process that is not believed");
        }
        self.any.store(true, Ordering::Release);
    }

    /// The link to `node` is lost: all who have sent by way of it are told, and may go another way.
    pub(crate) fn forget_ways(&self, node: NodeId) {
        if self.has_any() {
            self.ways.write().lost(node);
        }
    }

    /// The process that has, or had, a cell of another node, and is of a third.
    pub(crate) fn known_at(&self, node: NodeId, place: Place) -> Option<Pid> {
        if !self.has_any() {
            return None;
        }
        self.directory.read().at(node, place)
    }

    /// The process that had this cell has begun in another, as `holder` says.
    fn has_begun(&self, place: Place, holder: NodeId, epoch: u64) {
        let begun = match self.left.write().get_mut(&place) {
            Some(left) if (left.to.node, left.to.epoch) == (holder, epoch) => left.begun.take(),
            _ => None,
        };
        if let Some(begun) = begun {
            // Whoever moved it may have stopped waiting.
            let _ = begun.send(());
        }
    }
}

impl Inner {
    /// Tells all nodes that this one has a link to where a process lives, but that one.
    fn tell_peers(self: &Arc<Self>, process: Pid, at: Location) -> Vec<Arc<Peer>> {
        let mut peers: Vec<_> = self.peers.read().values().cloned().collect();
        peers.sort_unstable_by_key(|peer| peer.id);
        for peer in peers.iter().filter(|peer| peer.id != at.node) {
            self.signal(peer, &lives(process, at));
        }
        peers
    }

    /// Tells all nodes that this one has a link to where a process lives that it has given up; its home in any case.
    fn tell_where(self: &Arc<Self>, process: Pid, at: Location) {
        let peers = self.tell_peers(process, at);
        let home = process.node;
        if home == self.id || home == at.node || peers.iter().any(|peer| peer.id == home) {
            return;
        }
        let node = Node { inner: self.clone() };
        spawn(&self.runtime, "tell a home", async move {
            // Its home may be gone; then nobody asks there.
            if node.connect_node(home).await.is_ok()
                && let Some(peer) = node.inner.peer(home)
            {
                node.inner.signal(&peer, &lives(process, at));
            }
        });
    }

    /// The cell of this node to which names of `pid` are tied, if it lives here or has lived here.
    pub(crate) fn cell_for(&self, pid: Pid) -> Option<Place> {
        if pid.node == self.id {
            return Some(Place::of(pid));
        }
        if !self.relocation.has_any() {
            return None;
        }
        self.relocation.guests.read().place(pid)
    }

    /// The cells of a process with which one of this node may be linked: the one here, the one at home, and the one
    /// where it is known to live.
    pub(crate) fn cells_of(&self, pid: Pid) -> [Option<Sender>; 3] {
        let at = |node, place: Place| {
            let Place { index, generation } = place;
            let number = self.numbers.number(node);
            match node == self.id {
                true => Some(local(place)),
                false => number.map(|node| Sender { node, index, generation }),
            }
        };
        let known = match self.relocation.has_any() {
            true => self.relocation.directory.read().find(pid),
            false => None,
        };
        let known = known.and_then(|known| at(known.node, known.place));
        [self.cell_for(pid).map(local), at(pid.node, Place::of(pid)), known]
    }

    /// The cell in which `pid` lives, if it lives here, or was the last to live here.
    pub(crate) fn local_place(&self, pid: Pid) -> Option<Place> {
        if self.relocation.has_any()
            && let Some(place) = self.relocation.guests.read().newest(pid)
        {
            return Some(place);
        }
        (pid.node == self.id).then(|| Place::of(pid))
    }

    /// A process, wherever it is of, as a sender; nobody, where its node has no number here.
    pub(crate) fn sender_of(&self, pid: Option<Pid>) -> Sender {
        let Some(Pid { node, index, generation }) = pid else { return Sender::NOBODY };
        if node == self.id {
            return Sender { node: 0, index, generation };
        }
        // Kept for a moment only: a number stays known for long after.
        let number = self.numbers.keep(node);
        number.map_or(Sender::NOBODY, |number| Sender { node: number.get(), index, generation })
    }
}
