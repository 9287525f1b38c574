//! The monitors of one process: those it has set, and those that others have set on it. Pure.

use midflight_message::{NodeId, Pid};
use rustc_hash::FxHashSet;

use crate::MonitorRef;
use crate::mailbox::envelope::Sender;
use crate::small_map::SmallMap;

/// The monitors of a process. Each fires once: whoever takes it out tells its owner.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    set: SmallMap<MonitorRef, Watched>,
    /// With the number of the port that is watched, 0 for the process itself.
    watchers: SmallMap<Watcher, u32>,
    /// The process's open ports.
    ports: Option<Box<FxHashSet<u32>>>,
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

    /// Takes all monitors back that watch the same.
    pub(crate) fn take_all(&mut self, watched: Watched) -> Vec<MonitorRef> {
        let all = self.set.iter().filter(|(_, other)| **other == watched);
        let all: Vec<_> = all.map(|(monitor, _)| *monitor).collect();
        for monitor in &all {
            self.set.remove(monitor);
        }
        all
    }

    /// The monitors the process has set, oldest first.
    pub(crate) fn all_set(&self) -> impl Iterator<Item = (MonitorRef, Watched)> {
        self.set.iter().map(|(monitor, watched)| (*monitor, *watched))
    }

    /// Somebody watches the process, or one of its ports (0: none). Answers false when that is not
    /// open.
    pub(crate) fn watch(&mut self, watcher: Watcher, port: u32) -> bool {
        let open = port == 0 || self.is_open(port);
        if open {
            self.watchers.insert(watcher, port);
        }
        open
    }

    /// Whether the process has such a port.
    pub(crate) fn is_open(&self, port: u32) -> bool {
        self.ports.as_ref().is_some_and(|open| open.contains(&port))
    }

    /// The process has made a channel.
    pub(crate) fn open_port(&mut self, port: u32) {
        self.ports.get_or_insert_default().insert(port);
    }

    /// It has closed one. Answers who is to be told, in order.
    pub(crate) fn close_port(&mut self, port: u32) -> Vec<Watcher> {
        let Some(open) = &mut self.ports else { return Vec::new() };
        open.remove(&port);
        if open.is_empty() {
            self.ports = None;
        }
        let watchers = self.watchers.iter().filter(|(_, watched)| **watched == port);
        let watchers: Vec<_> = watchers.map(|(watcher, _)| *watcher).collect();
        for watcher in &watchers {
            self.watchers.remove(watcher);
        }
        watchers
    }

    /// Somebody watches it no longer.
    pub(crate) fn unwatch(&mut self, watcher: Watcher) -> bool {
        self.watchers.remove(&watcher).is_some()
    }

    /// Who watches the process, in order.
    pub(crate) fn watchers(&self) -> impl Iterator<Item = Watcher> {
        self.watchers.iter().map(|(watcher, _)| *watcher)
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
        assert!(monitors.watch(watcher(2), 0) && monitors.watch(watcher(1), 0));
        assert!(monitors.watchers().eq([watcher(1), watcher(2)]));
        assert!(monitors.unwatch(watcher(1)) && !monitors.unwatch(watcher(1)));
        assert_eq!(monitors.watcher_count(), 1);
        assert!(!monitors.watch(watcher(3), 5), "there is no port 5");
        monitors.open_port(5);
        assert!(monitors.watch(watcher(3), 5) && monitors.watch(watcher(4), 5));
        assert!(monitors.unwatch(watcher(4)));
        assert_eq!(monitors.close_port(5), [watcher(3)]);
        assert!(monitors.watchers().eq([watcher(2)]) && !monitors.watch(watcher(3), 5));
    }
}
