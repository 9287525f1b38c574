//! Processes that move between nodes (M1–M4).
//!
//! A process keeps its pid wherever it lives, and each node it comes to gives it a cell. A cell that it has left
//! stands in for it: [`forwarder`] hands on what still comes there, in order and by the same credit as any
//! sender, and keeps what others have tied to the process there, such as monitors, links and names, until it ends.
//! [`moving`] is the move itself, [`guests`] who of elsewhere is here, [`directory`] where those are that are not.

pub(crate) mod baggage;
#[cfg_attr(not(test), expect(dead_code, reason = "senders learn places here"))]
pub(crate) mod directory;
mod forward;
pub(crate) mod forwarder;
mod guests;
pub(crate) mod moving;
pub(crate) mod signals;
pub(crate) mod word;

use std::sync::atomic::{AtomicBool, Ordering};

use futures_channel::oneshot;
use midflight_message::{NodeId, Pid};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::mailbox::envelope::Sender;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use directory::Location;
use guests::Guests;

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
}

impl Relocation {
    /// The process of another node that lives, or has lived, in this cell.
    #[inline]
    pub(crate) fn guest_at(&self, place: Place) -> Option<Pid> {
        if !self.any.load(Ordering::Acquire) {
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
    pub(crate) fn ended(&self, place: Place) {
        if self.has_any() {
            self.guests.write().remove(place);
            self.left.write().remove(&place);
        }
    }

    /// Where the process has gone that had this cell; `None`: it is here, or nobody is.
    pub(crate) fn gone_from(&self, place: Place) -> Option<Location> {
        if !self.has_any() {
            return None;
        }
        self.left.read().get(&place).map(|left| left.to)
    }

    /// How many cells hand on what comes for processes that have left them.
    pub(crate) fn forwarder_count(&self) -> usize {
        self.left.read().len()
    }

    /// The process in this cell leaves for another. The answer comes when it has begun there, and is canceled
    /// when it is lost on its way.
    fn leaves(&self, place: Place, to: Location) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.left.write().insert(place, Left { to, begun: Some(tell) });
        self.any.store(true, Ordering::Release);
        told
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
    /// The cell of this node to which a message for `pid` goes, if it lives here or has lived here.
    #[inline]
    pub(crate) fn cell_for(&self, pid: Pid) -> Option<Place> {
        if pid.node == self.id {
            return Some(Place::of(pid));
        }
        if !self.relocation.has_any() {
            return None;
        }
        self.relocation.guests.read().place(pid)
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
