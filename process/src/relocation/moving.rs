//! The move itself, on the side of the holder: packed, and given up once it is [lodged](super::lodging) where it goes.

use std::fmt;
use std::sync::Arc;

use midflight_message::{NodeId, Pid, Schema};
use serde::{Deserialize, Serialize};

use super::baggage::{BYTES_MAX, Baggage};
use super::directory::Location;
use super::forwarder::Forwarder;
use super::word::HOPS_MAX;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::Place;
use crate::scheduler::contain::discard;
use crate::scheduler::frozen::Frozen;
use crate::timers::stopped::Stopped;

/// Nodes that a process has lived on, which are remembered beside its home.
pub(super) const LIVED_ON_MAX: usize = 16;

/// Which move of which process: what its next node must know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Moved {
    /// The process.
    pub pid: Pid,
    /// How often it has moved, this time included.
    pub epoch: u64,
    /// Where it has lived, the present node and its home among them.
    pub lived_on: Vec<NodeId>,
    /// Which attempt of its holder's it is: one that was called off is not taken for the next.
    pub attempt: u64,
}

/// A frozen process that is ready to go: its timers have stopped. Dropped, it goes on where it is.
pub struct Packed {
    /// `None` once it is given up.
    frozen: Option<Frozen>,
    inner: Arc<Inner>,
    place: Place,
    stopped: Stopped,
    baggage: Baggage,
    moved: Moved,
    /// The link over which it is offered.
    over: Option<Arc<Peer>>,
}

/// A process cannot be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPacked {
    /// It has set something for later that cannot travel.
    #[error("it has set a timer that cannot travel: one that is no message")]
    Timer,
    /// It has moved as often as a message is handed on.
    #[error("it has moved {HOPS_MAX} times, and a message to it is not handed on more often")]
    Moves,
    /// Its timers hold too much.
    #[error("the messages of its timers take more than {BYTES_MAX} bytes")]
    TooLarge,
}

/// A process was given up, and is not known to have begun: the link to where it was to go was lost, or it ended.
/// Whoever watched it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was given up, and the link to where it was to begin was lost")]
pub struct Lost;

/// A process was not given up, and goes on where it is: the link is lost over which it was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to where it was to go was lost meanwhile")]
pub struct LinkLost;

impl Frozen {
    /// Makes it ready to go to another node.
    ///
    /// # Errors
    /// [`NotPacked`]; it goes on as it was.
    pub fn pack(self) -> Result<Packed, NotPacked> {
        let (inner, place) = (self.inner.clone(), self.place);
        let moved = inner.next_move(self.pid(), place);
        if moved.epoch > u64::from(HOPS_MAX) {
            return Err(NotPacked::Moves);
        }
        let stopped = inner.stop_timers(place);
        let now = inner.runtime.now();
        let packed = stopped.pack(&inner, now);
        let (traps_exits, accepts) = inner
            .relations_of(place, |relations| (relations.traps_exits, relations.losses.policy()))
            .unwrap_or_default();
        let mut packed_up = Packed {
            frozen: Some(self),
            inner,
            place,
            stopped,
            baggage: Baggage::default(),
            moved,
            over: None,
        };
        // From here on whatever fails puts the timers back.
        packed_up.baggage = Baggage { traps_exits, accepts_losses: accepts, timers: packed? };
        if packed_up.baggage.to_bytes().len() > BYTES_MAX {
            return Err(NotPacked::TooLarge);
        }
        Ok(packed_up)
    }
}

impl Inner {
    fn next_move(&self, pid: Pid, place: Place) -> Moved {
        let guests = self.relocation.guests.read();
        let guest = guests.get(place);
        let mut lived_on: Vec<_> =
            guest.iter().flat_map(|guest| guest.lived_on.iter().copied()).collect();
        lived_on.retain(|node| *node != pid.node && *node != self.id);
        lived_on.truncate(LIVED_ON_MAX);
        lived_on.push(self.id);
        if pid.node != self.id {
            lived_on.push(pid.node);
        }
        let epoch = guest.map_or(0, |guest| guest.epoch) + 1;
        Moved { pid, epoch, lived_on, attempt: self.next() }
    }
}

impl Packed {
    /// Which move it is.
    #[must_use]
    pub const fn moved(&self) -> &Moved {
        &self.moved
    }

    /// What it takes along.
    #[must_use]
    pub const fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    /// It is offered to `to` from now on, over the link that there is: that node forgets it when this one is lost.
    /// Answers false, where there is none.
    pub fn offer(&mut self, to: NodeId) -> bool {
        self.over = self.inner.peer(to);
        self.over.is_some()
    }

    /// Gives it up: it begins in the cell `lodged` of the node that it was offered to, which has said that everything is
    /// there, and what comes here is handed on to it. From here on it does not come back. The answer comes when it
    /// has begun.
    ///
    /// # Errors
    /// [`LinkLost`]: it goes on here, as the link is not there any more over which it was [offered](Self::offer). Later,
    /// [`Lost`]: it was lost on its way, or may have been.
    ///
    /// # Cancel safety
    /// It is given up before the future is polled, and whether or not.
    pub fn give_up(
        mut self,
        lodged: Pid,
    ) -> Result<impl Future<Output = Result<(), Lost>> + use<>, LinkLost> {
        let over = self.over.take().ok_or(LinkLost)?;
        let to = over.id;
        if !self.inner.peer(to).is_some_and(|peer| Arc::ptr_eq(&peer, &over)) {
            return Err(LinkLost);
        }
        let location = Location { node: to, place: Place::of(lodged), epoch: self.moved.epoch };
        self.inner.let_go_of_timers(std::mem::take(&mut self.stopped));
        let begun = self.inner.relocation.leaves(self.moved.pid, self.place, location);
        let forwarder = Box::new(Forwarder::new(self.moved.pid, location));
        // What it was may have a destructor that panics.
        discard(self.frozen.take().and_then(|frozen| frozen.thaw(forwarder)));
        Ok(async move { begun.await.map_err(|_canceled| Lost) })
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if self.frozen.is_some() {
            self.inner.resume_timers(self.place, std::mem::take(&mut self.stopped));
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("moved", &self.moved).finish_non_exhaustive()
    }
}
