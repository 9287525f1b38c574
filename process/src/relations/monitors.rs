//! The monitors of one process: those it has set, and those that others have set on it. Pure.

use midflight_message::{NodeId, Pid};

use crate::MonitorRef;
use crate::envelope::Sender;
use crate::small_map::SmallMap;

/// The monitors of a process. Each fires once: whoever takes it out tells its owner.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    set: SmallMap<MonitorRef, Watched>,
    watchers: SmallMap<Watcher, ()>,
}

/// What a monitor watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    Process(Pid),
    Node(NodeId),
}

/// A process that watches this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watcher {
    pub(crate) watcher: Sender,
    pub(crate) monitor: MonitorRef,
}

impl Monitors {
    /// The process sets a monitor.
    pub(crate) fn set(&mut self, monitor: MonitorRef, watched: Watched) {
        self.set.insert(monitor, watched);
    }

    /// A monitor of the process's fires, or is taken back. Answers what it watched; `None`: it has fired
    /// or has been taken back before.
    pub(crate) fn take(&mut self, monitor: MonitorRef) -> Option<Watched> {
        self.set.remove(&monitor)
    }

    /// The monitors the process has set, oldest first.
    pub(crate) fn all_set(&self) -> impl Iterator<Item = (MonitorRef, Watched)> {
        self.set.iter().map(|(monitor, watched)| (*monitor, *watched))
    }

    /// Somebody watches the process.
    pub(crate) fn watch(&mut self, watcher: Watcher) {
        self.watchers.insert(watcher, ());
    }

    /// Somebody watches it no longer.
    pub(crate) fn unwatch(&mut self, watcher: Watcher) -> bool {
        self.watchers.remove(&watcher).is_some()
    }

    /// Who watches the process, in order.
    pub(crate) fn watchers(&self) -> impl Iterator<Item = Watcher> {
        self.watchers.iter().map(|(watcher, ())| *watcher)
    }

    /// How often it is watched.
    pub(crate) fn watcher_count(&self) -> usize {
        self.watchers.len()
    }

    /// How many monitors it has set that have not fired.
    pub(crate) fn set_count(&self) -> usize {
        self.set.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_is_taken_once_and_a_watcher_is_as_often_there_as_it_watches() {
        let mut monitors = Monitors::default();
        monitors.set(MonitorRef(7), Watched::Node(NodeId(1)));
        assert_eq!(monitors.take(MonitorRef(8)), None);
        assert_eq!(monitors.take(MonitorRef(7)), Some(Watched::Node(NodeId(1))));
        assert_eq!(monitors.take(MonitorRef(7)), None);
        let watcher = |monitor| Watcher {
            watcher: Sender { node: 0, index: 1, generation: 0 },
            monitor: MonitorRef(monitor),
        };
        monitors.watch(watcher(2));
        monitors.watch(watcher(1));
        assert!(monitors.watchers().eq([watcher(1), watcher(2)]));
        assert!(monitors.unwatch(watcher(1)) && !monitors.unwatch(watcher(1)));
        assert_eq!(monitors.watcher_count(), 1);
    }
}
