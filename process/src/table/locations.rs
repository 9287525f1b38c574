//! Where a process lives: the table that every look-up of a pid goes through.
//!
//! A pid's identity never changes; its place may, by epochs (M1). Nothing moves yet: the table
//! answers "home" for every pid that has not been entered here.

use std::sync::atomic::{AtomicBool, Ordering};

use midflight_message::{NodeId, Pid};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// The node a process lives on, and since which move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) node: NodeId,
    pub(crate) epoch: u64,
}

/// Where processes live that are not at home.
#[derive(Debug, Default)]
pub(crate) struct Locations {
    /// Spares the common case the lock.
    any: AtomicBool,
    moved: RwLock<FxHashMap<Pid, Location>>,
}

impl Locations {
    /// The node on which `pid` is to be found.
    #[inline]
    pub(crate) fn find(&self, pid: Pid) -> NodeId {
        if self.any.load(Ordering::Acquire) { self.find_moved(pid) } else { pid.node }
    }

    fn find_moved(&self, pid: Pid) -> NodeId {
        self.moved.read().get(&pid).map_or(pid.node, |location| location.node)
    }

    /// Learns that `pid` moved. News of an epoch that is not later than what is known is ignored.
    #[cfg_attr(not(test), expect(dead_code, reason = "relocation enters pids here"))]
    pub(crate) fn learn(&self, pid: Pid, news: Location) {
        let mut moved = self.moved.write();
        if moved.get(&pid).is_none_or(|known| known.epoch < news.epoch) {
            moved.insert(pid, news);
            self.any.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_until_told_otherwise_and_old_news_is_ignored() {
        let locations = Locations::default();
        let pid = Pid { node: NodeId(1), index: 2, generation: 3 };
        assert_eq!(locations.find(pid), NodeId(1));
        locations.learn(pid, Location { node: NodeId(3), epoch: 2 });
        locations.learn(pid, Location { node: NodeId(2), epoch: 1 });
        assert_eq!(locations.find(pid), NodeId(3));
    }
}
