//! A cell for a process that is to come: the side of the node that it moves to.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use midflight_message::{NodeId, Pid};

use super::baggage::Baggage;
use super::guests::{Dormant, Guest};
use super::moving::{LIVED_ON_MAX, Moved};
use crate::SpawnError;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::body::Body;
use crate::scheduler::contain::discard;
use crate::scheduler::runner::bury_unborn;
use crate::table::slot::Run;

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
    /// Its holder has called this move off.
    #[error("the move was called off")]
    CalledOff,
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
        let Moved { pid, epoch, attempt, .. } = *moved;
        let dormant = Some(Dormant { holder, attempt, timers: baggage.timers });
        let lived_on: BTreeSet<_> =
            moved.lived_on.iter().copied().chain([moved.pid.node]).collect();
        let guest = Guest { pid, epoch, lived_on, dormant };
        let lodging = Lodging { node: self.clone(), place, pid, settled: false };
        if !inner.relocation.guests.write().lodge(place, guest) {
            return Err(NotLodged::CalledOff);
        }
        inner.relocation.any.store(true, Ordering::Release);
        inner.relate(place, |relations| {
            relations.traps_exits = baggage.traps_exits;
            if let Some(policy) = policy {
                relations.losses.set_policy(policy);
            }
        });
        // Lost since it was looked at: nobody else forgets this one.
        if inner.peer(holder).is_none() {
            return Err(NotLodged::NoHolder);
        }
        Ok(lodging)
    }

    /// The process of this move does not come after all: `holder` keeps it. Nothing happens to one that has begun; one
    /// that has not been lodged yet will not be.
    pub fn unlodge(&self, moved: &Moved, holder: NodeId) {
        let off = self.inner.relocation.guests.write().call_off(holder, moved.pid, moved.attempt);
        if let Some(place) = off {
            self.inner.unlodge(place);
        }
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
    /// Answers its cell on this node, as a pid; `None`: it does not come any more, or the node is leaving.
    #[must_use]
    pub fn settle(mut self, body: Box<dyn Body>) -> Option<Pid> {
        let inner = &self.node.inner;
        let Place { index, generation } = self.place;
        // Those who leave have ended whom they found before.
        if !inner.table.fill(index, generation, body, Run::Frozen) || inner.is_leaving() {
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

impl Inner {
    /// The link to `holder` is lost: what was to come from there does not begin any more.
    pub(crate) fn forget_dormant(self: &Arc<Self>, holder: NodeId) {
        if !self.relocation.has_any() {
            return;
        }
        let dormant = self.relocation.guests.read().dormant_of(holder);
        dormant.into_iter().for_each(|place| self.unlodge(place));
    }

    /// A process does not come after all.
    fn unlodge(self: &Arc<Self>, place: Place) {
        {
            let mut guests = self.relocation.guests.write();
            // Given up in between: it lives.
            if guests.get(place).is_some_and(|guest| guest.dormant.is_none()) {
                return;
            }
            guests.remove(place);
        }
        if let Some(mut slot) = self.table.remove(place.index, place.generation) {
            discard(slot.body.take());
            bury_unborn(self, place, slot);
        }
    }
}

impl fmt::Debug for Lodging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lodging").field("pid", &self.pid).finish_non_exhaustive()
    }
}
