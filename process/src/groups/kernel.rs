//! Who is in which process group: a kernel. Pure: events in, actions out, in an order that must be kept.
//!
//! Each node says of its own processes which groups they are in, and nobody else does. A peer is told all
//! when its link comes up, then every change, in order; when the link is lost, what it has said is
//! forgotten. So two nodes with a link agree once what is under way has arrived, whatever came before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use midflight_message::{NodeId, Pid};
use serde::{Deserialize, Serialize};

use crate::MonitorRef;
use crate::peer::wire::Place;

/// Processes in one word to a peer: the word fits into a message of any transport.
const TOLD_MAX: usize = 1_000;

/// What a node says of its own processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GroupNews {
    /// What was said before on this link does not count: all of it follows.
    Anew,
    Joined {
        group: String,
        processes: Vec<Place>,
    },
    Left {
        group: String,
        processes: Vec<Place>,
    },
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) group: String,
    pub(crate) joined: bool,
    pub(crate) processes: Vec<Pid>,
}

/// What the shell does next, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Tells a peer, on this link and no other.
    Tell { peer: NodeId, link: u64, news: GroupNews },
    /// Tells a process that watches a group.
    Notify { watcher: Place, monitor: MonitorRef, change: Change },
}

/// As many are in groups as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// How often each process of one node is in each group.
#[derive(Debug, Default)]
struct Memberships {
    groups: BTreeMap<String, BTreeMap<Place, u32>>,
    count: usize,
}

impl Memberships {
    fn join(&mut self, group: &str, process: Place, max: usize) -> Result<(), TooMany> {
        if self.count >= max {
            return Err(TooMany);
        }
        self.count += 1;
        let processes = match self.groups.get_mut(group) {
            Some(processes) => processes,
            None => self.groups.entry(group.to_owned()).or_default(),
        };
        *processes.entry(process).or_default() += 1;
        Ok(())
    }

    fn leave(&mut self, group: &str, process: Place) -> bool {
        let Some(processes) = self.groups.get_mut(group) else { return false };
        let Some(times) = processes.get_mut(&process) else { return false };
        *times -= 1;
        self.count -= 1;
        if *times == 0 {
            processes.remove(&process);
        }
        if processes.is_empty() {
            self.groups.remove(group);
        }
        true
    }

    /// How often a process is in a group.
    fn times(&self, group: &str, process: Place) -> u32 {
        self.groups.get(group).and_then(|processes| processes.get(&process)).copied().unwrap_or(0)
    }

    /// The processes of a group, each as often as it has joined, in order.
    fn of(&self, group: &str) -> impl Iterator<Item = Place> {
        let processes = self.groups.get(group).into_iter().flatten();
        processes.flat_map(|(process, times)| (0..*times).map(|_| *process))
    }
}

/// A peer, as long as its link lives.
#[derive(Debug)]
struct Told {
    link: u64,
    said: Memberships,
}

/// The groups as one node knows them.
#[derive(Debug)]
pub(crate) struct Groups {
    own: NodeId,
    max: usize,
    local: Memberships,
    /// The groups of each process of this node that is in any.
    joined: BTreeMap<Place, BTreeSet<String>>,
    peers: BTreeMap<NodeId, Told>,
    monitors: BTreeMap<String, BTreeMap<MonitorRef, Place>>,
    monitors_set: usize,
    /// The monitors that each process of this node has set, with their groups.
    watchers: BTreeMap<Place, BTreeMap<MonitorRef, String>>,
    actions: VecDeque<Action>,
}

impl Groups {
    /// `max`: how often processes of one node may be in groups, and how many monitors there may be.
    pub(crate) fn new(own: NodeId, max: usize) -> Self {
        Self {
            own,
            max,
            local: Memberships::default(),
            joined: BTreeMap::new(),
            peers: BTreeMap::new(),
            monitors: BTreeMap::new(),
            monitors_set: 0,
            watchers: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub(crate) fn next(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn join(&mut self, group: &str, process: Place) -> Result<(), TooMany> {
        self.local.join(group, process, self.max)?;
        self.joined.entry(process).or_default().insert(group.to_owned());
        let news = GroupNews::Joined { group: group.to_owned(), processes: vec![process] };
        self.tell_all(&news);
        self.notify(self.own, group, true, &[process]);
        Ok(())
    }

    /// A process leaves a group once. Answers whether it was in it.
    pub(crate) fn leave(&mut self, group: &str, process: Place) -> bool {
        if !self.local.leave(group, process) {
            return false;
        }
        if self.local.times(group, process) == 0
            && let Some(groups) = self.joined.get_mut(&process)
        {
            groups.remove(group);
            if groups.is_empty() {
                self.joined.remove(&process);
            }
        }
        self.tell_left(group, vec![process]);
        true
    }

    /// A process has ended: it is in no group, and watches none.
    pub(crate) fn ended(&mut self, process: Place) {
        for group in self.joined.remove(&process).unwrap_or_default() {
            let times = self.local.times(&group, process);
            for _ in 0..times {
                self.local.leave(&group, process);
            }
            self.tell_left(&group, (0..times).map(|_| process).collect());
        }
        for (monitor, group) in self.watchers.remove(&process).unwrap_or_default() {
            self.forget_monitor(monitor, &group);
        }
    }

    /// A link to a peer has come up; it is told all.
    pub(crate) fn link_up(&mut self, peer: NodeId, link: u64) {
        self.forget(peer);
        self.peers.insert(peer, Told { link, said: Memberships::default() });
        self.actions.push_back(Action::Tell { peer, link, news: GroupNews::Anew });
        for group in self.local.groups.keys() {
            let processes: Vec<_> = self.local.of(group).collect();
            for processes in processes.chunks(TOLD_MAX) {
                let processes = processes.to_vec();
                let news = GroupNews::Joined { group: group.clone(), processes };
                self.actions.push_back(Action::Tell { peer, link, news });
            }
        }
    }

    /// The link to a peer is lost.
    pub(crate) fn link_down(&mut self, peer: NodeId, link: u64) {
        if self.peers.get(&peer).is_some_and(|told| told.link == link) {
            self.forget(peer);
        }
    }

    /// A peer says something. Answers false when it has more in groups than it may, and not all of it
    /// was taken.
    pub(crate) fn heard(&mut self, peer: NodeId, link: u64, news: GroupNews) -> bool {
        let Some(told) = self.peers.get_mut(&peer).filter(|told| told.link == link) else {
            return true;
        };
        match news {
            GroupNews::Anew => {
                self.forget(peer);
                self.peers.insert(peer, Told { link, said: Memberships::default() });
                true
            }
            GroupNews::Joined { group, mut processes } => {
                let before = processes.len();
                processes.retain(|process| told.said.join(&group, *process, self.max).is_ok());
                let all = processes.len() == before;
                self.notify(peer, &group, true, &processes);
                all
            }
            GroupNews::Left { group, mut processes } => {
                processes.retain(|process| told.said.leave(&group, *process));
                self.notify(peer, &group, false, &processes);
                true
            }
        }
    }

    /// Lets a process watch a group. Answers who is in it now.
    pub(crate) fn monitor(
        &mut self,
        group: &str,
        monitor: MonitorRef,
        watcher: Place,
    ) -> Result<Vec<Pid>, TooMany> {
        if self.monitors_set >= self.max {
            return Err(TooMany);
        }
        self.monitors_set += 1;
        self.watchers.entry(watcher).or_default().insert(monitor, group.to_owned());
        self.monitors.entry(group.to_owned()).or_default().insert(monitor, watcher);
        Ok(self.members(group))
    }

    /// Whether anybody watches a group.
    pub(crate) const fn is_watched(&self) -> bool {
        self.monitors_set > 0
    }

    /// Takes a monitor back. Answers whether it was set.
    pub(crate) fn demonitor(&mut self, monitor: MonitorRef, watcher: Place) -> bool {
        let Some(set) = self.watchers.get_mut(&watcher) else { return false };
        let Some(group) = set.remove(&monitor) else { return false };
        if set.is_empty() {
            self.watchers.remove(&watcher);
        }
        self.forget_monitor(monitor, &group);
        true
    }

    /// Who is in a group: this node's processes first, each as often as it has joined.
    pub(crate) fn members(&self, group: &str) -> Vec<Pid> {
        let mut members = self.local_members(group);
        for (peer, told) in &self.peers {
            members.extend(told.said.of(group).map(|process| pid(*peer, process)));
        }
        members
    }

    /// Who of this node is in a group.
    pub(crate) fn local_members(&self, group: &str) -> Vec<Pid> {
        self.local.of(group).map(|process| pid(self.own, process)).collect()
    }

    /// The groups that anyone is in.
    pub(crate) fn all(&self) -> Vec<String> {
        let all = self.peers.values().map(|told| &told.said).chain([&self.local]);
        let groups: BTreeSet<_> = all.flat_map(|said| said.groups.keys()).collect();
        groups.into_iter().cloned().collect()
    }

    /// What a peer has said does not count any more.
    fn forget(&mut self, peer: NodeId) {
        let Some(told) = self.peers.remove(&peer) else { return };
        for group in told.said.groups.keys() {
            let processes: Vec<_> = told.said.of(group).collect();
            self.notify(peer, group, false, &processes);
        }
    }

    fn tell_left(&mut self, group: &str, processes: Vec<Place>) {
        self.notify(self.own, group, false, &processes);
        for processes in processes.chunks(TOLD_MAX) {
            let processes = processes.to_vec();
            self.tell_all(&GroupNews::Left { group: group.to_owned(), processes });
        }
    }

    fn tell_all(&mut self, news: &GroupNews) {
        for (peer, told) in &self.peers {
            let (peer, link, news) = (*peer, told.link, news.clone());
            self.actions.push_back(Action::Tell { peer, link, news });
        }
    }

    fn notify(&mut self, node: NodeId, group: &str, joined: bool, processes: &[Place]) {
        let Some(monitors) = self.monitors.get(group).filter(|_| !processes.is_empty()) else {
            return;
        };
        for (monitor, watcher) in monitors {
            let processes = processes.iter().map(|process| pid(node, *process)).collect();
            let change = Change { group: group.to_owned(), joined, processes };
            let (monitor, watcher) = (*monitor, *watcher);
            self.actions.push_back(Action::Notify { watcher, monitor, change });
        }
    }

    /// A monitor that its watcher has no longer.
    fn forget_monitor(&mut self, monitor: MonitorRef, group: &str) {
        self.monitors_set -= 1;
        let Some(monitors) = self.monitors.get_mut(group) else { return };
        monitors.remove(&monitor);
        if monitors.is_empty() {
            self.monitors.remove(group);
        }
    }
}

const fn pid(node: NodeId, process: Place) -> Pid {
    Pid { node, index: process.index, generation: process.generation }
}

#[cfg(test)]
mod tests;
