//! Processes of other nodes that live here, or have, and in which of this node's cells.
//!
//! A process that comes has a cell of its own here, beside the pid it keeps. Until its holder has given it up
//! the cell is *dormant*: it takes messages and has no turn.

use std::collections::{BTreeSet, VecDeque};

use midflight_message::{NodeId, Pid};
use rustc_hash::FxHashMap;

use super::baggage::Timer;
use crate::peer::wire::Place;

/// A process in a cell that is not its first.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) pid: Pid,
    /// How often it has moved, up to here.
    pub(crate) epoch: u64,
    /// Where it has lived before, its home among them: who may hand on to it what was sent to it there.
    pub(crate) lived_on: BTreeSet<NodeId>,
    /// Set until its holder has given it up.
    pub(crate) dormant: Option<Dormant>,
}

/// What is kept for a process that is to begin here.
#[derive(Debug)]
pub(crate) struct Dormant {
    /// Who has it until then.
    pub(crate) holder: NodeId,
    /// Which attempt of the holder's it is.
    pub(crate) attempt: u64,
    /// What it had set for later.
    pub(crate) timers: Vec<Timer>,
}

/// The guests of one node.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    by_place: FxHashMap<Place, Guest>,
    /// Its cells here, the oldest first: all but the last hand on what they get.
    by_pid: FxHashMap<Pid, Vec<Place>>,
    /// Attempts that were called off before the process was here, the latest last: who called, of whom, which.
    called_off: VecDeque<(NodeId, Pid, u64)>,
}

/// Attempts that are remembered as called off. What is forgotten has been on its way for longer than so many.
const CALLED_OFF_MAX: usize = 1_024;

impl Guests {
    /// A cell is set aside for a process. Answers false when its holder has called that off before.
    pub(crate) fn lodge(&mut self, place: Place, guest: Guest) -> bool {
        let attempt = guest.dormant.as_ref().map(|it| (it.holder, guest.pid, it.attempt));
        if let Some(at) = self.called_off.iter().position(|off| Some(*off) == attempt) {
            self.called_off.remove(at);
            return false;
        }
        self.by_pid.entry(guest.pid).or_default().push(place);
        self.by_place.insert(place, guest);
        true
    }

    /// `holder` calls one of its attempts off. Answers the cell that was set aside for it; one that comes after is
    /// refused.
    pub(crate) fn call_off(&mut self, holder: NodeId, pid: Pid, attempt: u64) -> Option<Place> {
        let is_it = |place: &&Place| {
            let dormant = self.get(**place).and_then(|guest| guest.dormant.as_ref());
            dormant.is_some_and(|it| (it.holder, it.attempt) == (holder, attempt))
        };
        let place = self.by_pid.get(&pid).and_then(|places| places.iter().find(is_it).copied());
        if place.is_none() {
            if self.called_off.len() >= CALLED_OFF_MAX {
                self.called_off.pop_front();
            }
            self.called_off.push_back((holder, pid, attempt));
        }
        place
    }

    /// Its cell is no more.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Guest> {
        let guest = self.by_place.remove(&place)?;
        if let Some(places) = self.by_pid.get_mut(&guest.pid) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.by_pid.remove(&guest.pid);
            }
        }
        Some(guest)
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Guest> {
        self.by_place.get(&place)
    }

    /// The cell to which what others have here is tied, such as names: the oldest in which it has begun.
    pub(crate) fn place(&self, pid: Pid) -> Option<Place> {
        let has_begun =
            |place: &&Place| self.get(**place).is_some_and(|guest| guest.dormant.is_none());
        self.by_pid.get(&pid)?.iter().find(has_begun).copied()
    }

    /// The cell in which `pid` lives, if it lives here: the newest.
    pub(crate) fn newest(&self, pid: Pid) -> Option<Place> {
        self.by_pid.get(&pid)?.last().copied()
    }

    /// `holder` has given the process at `place` up. Answers what it had set for later; `None`: it is not
    /// that holder's to give, or not in that epoch, or has been given up before.
    pub(crate) fn wake(
        &mut self,
        place: Place,
        holder: NodeId,
        pid: Pid,
        epoch: u64,
    ) -> Option<Vec<Timer>> {
        let guest = self.by_place.get_mut(&place)?;
        let is_it = (guest.pid, guest.epoch) == (pid, epoch);
        let dormant = guest.dormant.take_if(|dormant| is_it && dormant.holder == holder)?;
        Some(dormant.timers)
    }

    /// The cells of dormant processes that `holder` has, in order.
    pub(crate) fn dormant_of(&self, holder: NodeId) -> Vec<Place> {
        let of = |guest: &Guest| guest.dormant.as_ref().is_some_and(|it| it.holder == holder);
        let mut places: Vec<_> =
            self.by_place.iter().filter(|(_, guest)| of(guest)).map(|(place, _)| *place).collect();
        places.sort_unstable();
        places
    }

    pub(crate) fn len(&self) -> usize {
        self.by_place.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: Pid = Pid { node: NodeId(1), index: 2, generation: 3 };

    const fn place(index: u32) -> Place {
        Place { index, generation: 0 }
    }

    fn guest(epoch: u64) -> Guest {
        let dormant = Some(Dormant { holder: NodeId(2), attempt: epoch, timers: Vec::new() });
        Guest { pid: PID, epoch, lived_on: BTreeSet::from([NodeId(1), NodeId(2)]), dormant }
    }

    #[test]
    fn only_its_holder_gives_a_process_up_once_and_in_that_epoch() {
        let mut guests = Guests::default();
        guests.lodge(place(5), guest(1));
        assert_eq!(guests.dormant_of(NodeId(2)), [place(5)]);
        assert!(guests.wake(place(5), NodeId(3), PID, 1).is_none(), "not its holder");
        assert!(guests.wake(place(5), NodeId(2), PID, 2).is_none(), "another epoch");
        assert!(guests.wake(place(6), NodeId(2), PID, 1).is_none(), "another cell");
        assert!(guests.wake(place(5), NodeId(2), PID, 1).is_some());
        assert!(guests.wake(place(5), NodeId(2), PID, 1).is_none(), "twice");
        assert_eq!(guests.dormant_of(NodeId(2)), []);
    }

    #[test]
    fn what_is_tied_to_a_process_stays_with_its_oldest_cell_in_which_it_has_begun() {
        let mut guests = Guests::default();
        guests.lodge(place(5), guest(1));
        guests.lodge(place(6), guest(3));
        assert_eq!((guests.place(PID), guests.newest(PID)), (None, Some(place(6))));
        guests.wake(place(5), NodeId(2), PID, 1);
        guests.wake(place(6), NodeId(2), PID, 3);
        assert_eq!((guests.place(PID), guests.newest(PID)), (Some(place(5)), Some(place(6))));
        assert_eq!(guests.remove(place(5)).map(|guest| guest.epoch), Some(1));
        assert_eq!((guests.place(PID), guests.len()), (Some(place(6)), 1));
        guests.remove(place(6));
        assert_eq!((guests.place(PID), guests.newest(PID)), (None, None));
    }

    #[test]
    fn an_attempt_that_was_called_off_does_not_come_before_or_after_and_the_next_does() {
        let mut guests = Guests::default();
        assert!(guests.lodge(place(5), guest(1)));
        assert_eq!(guests.call_off(NodeId(3), PID, 1), None, "not its holder's");
        assert_eq!(guests.call_off(NodeId(2), PID, 1), Some(place(5)));
        guests.remove(place(5));
        assert_eq!(guests.call_off(NodeId(2), PID, 2), None, "it is not here yet");
        assert!(!guests.lodge(place(6), guest(2)));
        assert!(guests.lodge(place(7), guest(3)));
        assert_eq!(guests.newest(PID), Some(place(7)));
    }

    #[test]
    fn what_was_called_off_is_bounded() {
        let mut guests = Guests::default();
        for attempt in 0..10_000 {
            guests.call_off(NodeId(2), PID, attempt);
        }
        assert_eq!(guests.called_off.len(), CALLED_OFF_MAX);
        assert!(!guests.lodge(place(5), guest(9_999)));
    }
}
