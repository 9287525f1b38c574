//! Where processes live, as one node believes it: the directory of [`relocation`](super). Pure.
//!
//! A place is a node, a cell there, and an epoch: how often the process has moved up to there. Whoever has
//! heard nothing believes that a process is at home, in epoch 0. News is believed from the home, which keeps the
//! directory, and from the holder that is known, who alone decides where the process goes next; from the
//! holder one epoch at a time. So neither stale nor forged news ever overwrites what is known, whatever the
//! order in which it comes (M1): what comes too early is kept until what comes before it is here.

use std::collections::BTreeMap;

use midflight_message::{NodeId, Pid};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::peer::wire::Place;

/// News that came too early and are kept, for each process: a process that moves faster than this many pieces
/// of news travel is asked for at home.
const EARLY_MAX: usize = 4;

/// Processes that a node knows to be elsewhere, at the most.
pub(super) const KNOWN_MAX: usize = 100_000;

/// Cells of one process that are remembered: what it has sent from there may still lie in a mailbox.
const CELLS_MAX: usize = 8;

/// Where a process lives, and since which move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Location {
    pub(crate) node: NodeId,
    /// Its cell there.
    pub(crate) place: Place,
    /// How often it has moved.
    pub(crate) epoch: u64,
}

impl Location {
    /// Where a process begins.
    pub(crate) const fn home(pid: Pid) -> Self {
        Self { node: pid.node, place: Place::of(pid), epoch: 0 }
    }
}

/// What became of a piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is believed, and so is what had come too early.
    Believed(Location),
    /// It is kept until what comes before it is here.
    Early,
    /// It is stale, or from somebody who has no say.
    Ignored,
}

#[derive(Debug, Clone)]
struct Entry {
    known: Location,
    /// What has come too early, with who said so.
    early: Vec<(NodeId, Location)>,
    /// The cells it is known to have lived in away from home, as their nodes say, the latest last.
    cells: Vec<(NodeId, Place)>,
    /// When it was learned last, in the directory's own count.
    learned: u64,
}

/// What one node knows of processes that are not at home.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    entries: FxHashMap<Pid, Entry>,
    by_age: BTreeMap<u64, Pid>,
    by_cell: FxHashMap<(NodeId, Place), Pid>,
    count: u64,
    max: usize,
}

impl Directory {
    /// One that knows so many processes at the most; of more it forgets the one it heard of the longest ago.
    pub(crate) fn new(max: usize) -> Self {
        let (entries, by_age, by_cell) = Default::default();
        Self { entries, by_age, by_cell, count: 0, max: max.max(1) }
    }

    /// Where `pid` is; `None`: nothing is known but its home.
    pub(crate) fn find(&self, pid: Pid) -> Option<Location> {
        self.entries.get(&pid).map(|entry| entry.known).filter(|known| known.epoch > 0)
    }

    /// The process that lives, or has lived, in a cell of another node, as that node has said itself: nobody
    /// else says who sends from there.
    pub(crate) fn at(&self, node: NodeId, place: Place) -> Option<Pid> {
        self.by_cell.get(&(node, place)).copied()
    }

    /// What this node knows of its own doing: it has given the process up, or has it.
    pub(crate) fn know(&mut self, pid: Pid, at: Location) {
        if at.epoch > self.known(pid).epoch {
            let known = self.known(pid);
            self.enter(pid, known);
            self.set(pid, at);
            // Whoever it was given up for has said in which cell.
            self.names_cell(pid, at);
        }
    }

    /// `from`, proven by its link, says where `pid` lives.
    pub(crate) fn hear(&mut self, pid: Pid, from: NodeId, news: Location) -> Heard {
        let known = self.known(pid);
        if news.epoch <= known.epoch {
            if news == known && from == news.node {
                self.names_cell(pid, news);
            }
            return Heard::Ignored;
        }
        let next = from == known.node && news.epoch == known.epoch + 1;
        if !next && from != pid.node {
            return self.keep(pid, from, news);
        }
        self.enter(pid, known);
        self.set(pid, news);
        if from == news.node {
            self.names_cell(pid, news);
        }
        while let Some(next) = self.entries.get_mut(&pid).and_then(Entry::take_next) {
            self.set(pid, next);
        }
        Heard::Believed(self.known(pid))
    }

    fn set(&mut self, pid: Pid, at: Location) {
        let Some(entry) = self.entries.get_mut(&pid) else { return };
        entry.known = at;
        // What it has said of itself may have come first.
        if entry.early.contains(&(at.node, at)) {
            self.names_cell(pid, at);
        }
    }

    /// The node of a cell has said that `pid` lives there. Whose it is known to be does not change.
    fn names_cell(&mut self, pid: Pid, at: Location) {
        let cell = (at.node, at.place);
        let Some(entry) = self.entries.get_mut(&pid) else { return };
        if *self.by_cell.entry(cell).or_insert(pid) != pid || entry.cells.contains(&cell) {
            return;
        }
        entry.cells.push(cell);
        if entry.cells.len() > CELLS_MAX {
            self.by_cell.remove(&entry.cells.remove(0));
        }
    }

    fn remove(&mut self, pid: Pid) {
        let Some(entry) = self.entries.remove(&pid) else { return };
        self.by_age.remove(&entry.learned);
        for cell in entry.cells {
            self.by_cell.remove(&cell);
        }
    }

    fn known(&self, pid: Pid) -> Location {
        self.entries.get(&pid).map_or_else(|| Location::home(pid), |entry| entry.known)
    }

    fn keep(&mut self, pid: Pid, from: NodeId, news: Location) -> Heard {
        // What nobody with a say has said drives nothing out that somebody has.
        if self.entries.len() >= self.max && !self.entries.contains_key(&pid) {
            return Heard::Ignored;
        }
        let known = self.known(pid);
        let entry = self.enter(pid, known);
        if entry.early.len() >= EARLY_MAX || entry.early.contains(&(from, news)) {
            return Heard::Ignored;
        }
        entry.early.push((from, news));
        Heard::Early
    }

    fn enter(&mut self, pid: Pid, known: Location) -> &mut Entry {
        self.forget_oldest(pid);
        self.count += 1;
        let learned = self.count;
        let entry = self.entries.entry(pid).or_insert(Entry {
            known,
            early: Vec::new(),
            cells: Vec::new(),
            learned,
        });
        self.by_age.remove(&entry.learned);
        entry.learned = learned;
        self.by_age.insert(learned, pid);
        entry
    }

    fn forget_oldest(&mut self, but: Pid) {
        if self.entries.len() >= self.max
            && !self.entries.contains_key(&but)
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.remove(oldest);
        }
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(KNOWN_MAX)
    }
}

impl Entry {
    /// What came too early, and follows on what is known.
    fn take_next(&mut self) -> Option<Location> {
        let Location { node, epoch, .. } = self.known;
        self.early.retain(|(_, news)| news.epoch > epoch);
        let next = self.early.iter();
        let at = next.clone().position(|(from, news)| *from == node && news.epoch == epoch + 1)?;
        Some(self.early.swap_remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: NodeId = NodeId(1);
    const PID: Pid = Pid { node: HOME, index: 2, generation: 3 };

    fn at(node: u64, epoch: u64) -> Location {
        let place = Place { index: u32::try_from(epoch).unwrap(), generation: 0 };
        Location { node: NodeId(node), place, epoch }
    }

    fn directory() -> Directory {
        Directory::new(10)
    }

    #[test]
    fn home_until_told_otherwise_and_old_news_is_ignored() {
        let mut directory = directory();
        assert_eq!(directory.find(PID), None);
        assert_eq!(directory.hear(PID, HOME, at(2, 1)), Heard::Believed(at(2, 1)));
        assert_eq!(directory.hear(PID, NodeId(2), at(3, 2)), Heard::Believed(at(3, 2)));
        assert_eq!(directory.hear(PID, HOME, at(2, 1)), Heard::Ignored);
        assert_eq!(directory.hear(PID, NodeId(2), at(4, 2)), Heard::Ignored);
        assert_eq!(directory.find(PID), Some(at(3, 2)));
    }

    #[test]
    fn news_in_reverse_order_ends_where_the_process_is() {
        let mut directory = directory();
        assert_eq!(directory.hear(PID, NodeId(3), at(4, 3)), Heard::Early);
        assert_eq!(directory.hear(PID, NodeId(2), at(3, 2)), Heard::Early);
        assert_eq!(directory.find(PID), None, "nobody who has a say has said so");
        assert_eq!(directory.hear(PID, HOME, at(2, 1)), Heard::Believed(at(4, 3)));
    }

    #[test]
    fn who_neither_is_the_home_nor_holds_the_process_is_not_believed() {
        let mut directory = directory();
        directory.hear(PID, HOME, at(2, 1));
        for forged in [at(9, 2), at(9, 3), at(9, 100)] {
            assert_ne!(directory.hear(PID, NodeId(9), forged), Heard::Believed(forged));
        }
        // The holder itself leaves no epoch out.
        assert_eq!(directory.hear(PID, NodeId(2), at(9, 3)), Heard::Early);
        assert_eq!(directory.find(PID), Some(at(2, 1)));
        // What the home says counts, whatever was missed.
        assert_eq!(directory.hear(PID, HOME, at(5, 7)), Heard::Believed(at(5, 7)));
    }

    #[test]
    fn a_cell_is_known_by_who_has_lived_there_lately() {
        let mut directory = directory();
        for epoch in 1..=20 {
            directory.hear(PID, HOME, at(2, epoch));
            directory.hear(PID, NodeId(2), at(2, epoch));
        }
        let known = |epoch| directory.at(NodeId(2), at(2, epoch).place);
        assert_eq!((known(20), known(13), known(12)), (Some(PID), Some(PID), None));
        directory.know(PID, at(3, 21));
        directory.know(PID, at(4, 20));
        assert_eq!(directory.find(PID), Some(at(3, 21)), "its own doing, and none of before");
    }

    #[test]
    fn only_a_cells_own_node_says_who_lives_there_and_that_does_not_change() {
        let mut directory = directory();
        let lives_there = |directory: &Directory| directory.at(NodeId(2), at(2, 1).place);
        directory.hear(PID, HOME, at(2, 1));
        assert_eq!(lives_there(&directory), None, "the home says so of another's cell");
        directory.hear(PID, NodeId(2), at(2, 1));
        assert_eq!(lives_there(&directory), Some(PID));
        let other = Pid { index: 9, ..PID };
        for from in [HOME, NodeId(2)] {
            directory.hear(other, from, at(2, 1));
        }
        assert_eq!(lives_there(&directory), Some(PID), "it is taken");
        directory.remove(other);
        assert_eq!(lives_there(&directory), Some(PID), "by that one still");
        // Its own word may come before the word of who has a say.
        assert_eq!(directory.hear(PID, NodeId(3), at(3, 2)), Heard::Early);
        assert_eq!(directory.hear(PID, NodeId(2), at(3, 2)), Heard::Believed(at(3, 2)));
        assert_eq!(directory.at(NodeId(3), at(3, 2).place), Some(PID));
    }

    #[test]
    fn what_is_known_and_what_comes_too_early_is_bounded() {
        let mut directory = directory();
        let pid = |index| Pid { index, ..PID };
        for index in 0..100 {
            directory.hear(pid(index), HOME, at(2, 1));
        }
        assert_eq!((directory.entries.len(), directory.by_age.len()), (10, 10));
        assert_eq!(directory.find(pid(99)), Some(at(2, 1)));
        assert_eq!(directory.find(pid(0)), None, "the oldest is looked for at home again");
        assert_eq!(directory.hear(PID, NodeId(8), at(9, 5)), Heard::Ignored, "nobody's word");
        directory.hear(PID, HOME, at(2, 1));
        let early = |epoch| (epoch, directory.clone().hear(PID, NodeId(8), at(9, epoch)));
        assert!((3..10).map(early).all(|(_, heard)| heard == Heard::Early));
        let kept = (3..100).filter(|e| directory.hear(PID, NodeId(8), at(9, *e)) == Heard::Early);
        assert_eq!(kept.count(), EARLY_MAX);
    }
}
