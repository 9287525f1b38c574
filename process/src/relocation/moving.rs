//! The move itself: packed where it is, lodged where it goes, given up, begun.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use midflight_message::{NodeId, Pid, Schema};
use serde::{Deserialize, Serialize};

use super::baggage::{BYTES_MAX, Baggage};
use super::directory::Location;
use super::forwarder::Forwarder;
use super::guests::{Dormant, Guest};
use super::word::HOPS_MAX;
use crate::SpawnError;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::body::Body;
use crate::scheduler::frozen::Frozen;
use crate::table::slot::Run;
use crate::timers::stopped::Stopped;

/// Nodes that a process has lived on, which are remembered beside its home.
const LIVED_ON_MAX: usize = 16;

/// Which move of which process: what its next node must know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Moved {
    /// The process.
    pub pid: Pid,
    /// How often it has moved, this time included.
    pub epoch: u64,
    /// Where it has lived, the present node and its home among them.
    pub lived_on: Vec<NodeId>,
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
        Moved { pid, epoch: guest.map_or(0, |guest| guest.epoch) + 1, lived_on }
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

    /// Gives it up: it begins in the cell `lodged` of the node `to`, which has said that everything is there,
    /// and what comes here is handed on to it. From here on it does not come back. The answer comes when it
    /// has begun.
    ///
    /// # Errors
    /// [`Lost`]: it was lost on its way, or may have been.
    ///
    /// # Cancel safety
    /// It is given up before the future is polled, and whether or not.
    pub fn give_up(mut self, to: NodeId, lodged: Pid) -> impl Future<Output = Result<(), Lost>> {
        let frozen = self.frozen.take();
        let place = Place::of(lodged);
        let location = Location { node: to, place, epoch: self.moved.epoch };
        self.inner.let_go_of_timers(std::mem::take(&mut self.stopped));
        let begun = self.inner.relocation.leaves(self.moved.pid, self.place, location);
        let forwarder = Forwarder::new(self.moved.pid, location);
        drop(frozen.and_then(|frozen| frozen.thaw(Box::new(forwarder))));
        async move { begun.await.map_err(|_canceled| Lost) }
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

/// A cell for a process that is to come. Dropped, it does not come.
pub struct Lodging {
    node: Node,
    place: Place,
    pid: Pid,
    settled: bool,
}

/// A process cannot be lodged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLodged {
    /// The node has no room, or is leaving.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The node that has it has no link to this one, or says it is from nowhere.
    #[error("the node that has the process has no link to this one")]
    NoHolder,
}

impl Node {
    /// Sets a cell aside for a process that `holder` has and may give up.
    ///
    /// # Errors
    /// [`NotLodged`].
    pub fn lodge(
        &self,
        moved: &Moved,
        baggage: Baggage,
        holder: NodeId,
    ) -> Result<Lodging, NotLodged> {
        let inner = &self.inner;
        if inner.is_leaving() {
            return Err(SpawnError.into());
        }
        if inner.peer(holder).is_none() || moved.lived_on.len() > LIVED_ON_MAX + 2 {
            return Err(NotLodged::NoHolder);
        }
        let (index, generation) = inner.table.reserve().map_err(|_full| SpawnError)?;
        let place = Place { index, generation };
        let policy = baggage.policy();
        let dormant = Some(Dormant { holder, timers: baggage.timers });
        let lived_on: BTreeSet<_> =
            moved.lived_on.iter().copied().chain([moved.pid.node]).collect();
        let guest = Guest { pid: moved.pid, epoch: moved.epoch, lived_on, dormant };
        inner.relocation.guests.write().add(place, guest);
        inner.relocation.any.store(true, Ordering::Release);
        inner.relate(place, |relations| {
            relations.traps_exits = baggage.traps_exits;
            if let Some(policy) = policy {
                relations.losses.set_policy(policy);
            }
        });
        let lodging = Lodging { node: self.clone(), place, pid: moved.pid, settled: false };
        // Lost since it was looked at: nobody else forgets this one.
        if inner.peer(holder).is_none() {
            return Err(NotLodged::NoHolder);
        }
        Ok(lodging)
    }

    /// Whether a process lives on this node, and has not left it.
    #[must_use]
    pub fn holds(&self, pid: Pid) -> bool {
        let Some(place) = self.inner.local_place(pid) else { return false };
        let Some(slot) = self.inner.table.slot(place.index) else { return false };
        let relocation = &self.inner.relocation;
        let is_dormant =
            relocation.guests.read().get(place).is_some_and(|guest| guest.dormant.is_some());
        slot.lock().is(place.generation) && !is_dormant && relocation.gone_from(place).is_none()
    }

    /// The node to which a process has gone from this one; `None`: it lives here, or never has.
    #[must_use]
    pub fn moved_to(&self, pid: Pid) -> Option<NodeId> {
        let place = self.inner.local_place(pid)?;
        self.inner.relocation.gone_from(place).map(|to| to.node)
    }
}

impl Lodging {
    /// The process that is to come.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Puts its body there. It waits, however long, until its holder gives it up, or the link to there is lost.
    /// Answers its cell on this node, as a pid; `None`: it does not come any more.
    #[must_use]
    pub fn settle(mut self, body: Box<dyn Body>) -> Option<Pid> {
        let inner = &self.node.inner;
        if !inner.table.fill(self.place.index, self.place.generation, body, Run::Frozen) {
            return None;
        }
        self.settled = true;
        Some(inner.cell(self.place))
    }
}

impl Drop for Lodging {
    fn drop(&mut self) {
        if !self.settled {
            self.node.inner.unlodge(self.place);
        }
    }
}

impl Node {
    /// A process that was lodged here for this move does not come after all: `holder` keeps it. Nothing happens to
    /// one that has begun.
    pub fn unlodge(&self, moved: &Moved, holder: NodeId) {
        let guests = self.inner.relocation.guests.read();
        let is_it = |place: &Place| {
            let guest = guests.get(*place);
            guest.is_some_and(|guest| (guest.pid, guest.epoch) == (moved.pid, moved.epoch))
        };
        let its: Vec<_> = guests.dormant_of(holder).into_iter().filter(is_it).collect();
        drop(guests);
        its.into_iter().for_each(|place| self.inner.unlodge(place));
    }
}

impl fmt::Debug for Lodging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lodging").field("pid", &self.pid).finish_non_exhaustive()
    }
}
