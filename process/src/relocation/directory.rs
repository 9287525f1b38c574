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
    /// When it was learned last, in the directory's own count.
    learned: u64,
}

/// What one node knows of processes that are not at home.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    entries: FxHashMap<Pid, Entry>,
    by_age: BTreeMap<u64, Pid>,
    count: u64,
    max: usize,
}

impl Directory {
    /// One that knows so many processes at the most; of more it forgets the one it heard of the longest ago.
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: FxHashMap::default(), by_age: BTreeMap::new(), count: 0, max: max.max(1) }
    }

    /// Where `pid` is; `None`: nothing is known but its home.
    pub(crate) fn find(&self, pid: Pid) -> Option<Location> {
        self.entries.get(&pid).map(|entry| entry.known).filter(|known| known.epoch > 0)
    }

    /// How many processes it knows to be elsewhere.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// `from`, proven by its link, says where `pid` lives.
    pub(crate) fn hear(&mut self, pid: Pid, from: NodeId, news: Location) -> Heard {
        let known = self.known(pid);
        if news.epoch <= known.epoch {
            return Heard::Ignored;
        }
        let next = from == known.node && news.epoch == known.epoch + 1;
        if !next && from != pid.node {
            return self.keep(pid, from, news);
        }
        let entry = self.enter(pid, known);
        entry.known = news;
        while let Some(next) = entry.take_next() {
            entry.known = next;
        }
        Heard::Believed(entry.known)
    }

    /// The process has ended, or nothing more is to be believed of it.
    pub(crate) fn forget(&mut self, pid: Pid) {
        if let Some(entry) = self.entries.remove(&pid) {
            self.by_age.remove(&entry.learned);
        }
    }

    fn known(&self, pid: Pid) -> Location {
        self.entries.get(&pid).map_or_else(|| Location::home(pid), |entry| entry.known)
    }

    fn keep(&mut self, pid: Pid, from: NodeId, news: Location) -> Heard {
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
        let entry = self.entries.entry(pid).or_insert(Entry { known, early: Vec::new(), learned });
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
            self.entries.remove(&oldest);
        }
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
    fn what_is_known_and_what_comes_too_early_is_bounded() {
        let mut directory = directory();
        let pid = |index| Pid { index, ..PID };
        for index in 0..100 {
            directory.hear(pid(index), HOME, at(2, 1));
        }
        assert_eq!((directory.len(), directory.by_age.len()), (10, 10));
        assert_eq!(directory.find(pid(99)), Some(at(2, 1)));
        assert_eq!(directory.find(pid(0)), None, "the oldest is looked for at home again");
        let early = |epoch| (epoch, directory.clone().hear(PID, NodeId(8), at(9, epoch)));
        assert!((2..10).map(early).all(|(_, heard)| heard == Heard::Early));
        let kept = (2..100).filter(|e| directory.hear(PID, NodeId(8), at(9, *e)) == Heard::Early);
        assert_eq!(kept.count(), EARLY_MAX);
        directory.forget(PID);
        assert_eq!((directory.len(), directory.by_age.len()), (9, 9));
    }
}
