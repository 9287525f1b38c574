//! What can be seen of processes from outside.

use std::sync::Arc;

use midflight_message::Pid;
use midflight_runtime::Instant;

use crate::body::Label;
use crate::node::Node;
use crate::slot::Run;

/// A process as `midflight ps` shows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The process.
    pub pid: Pid,
    /// What it runs; `None` while a runner has it in hand and it has never been looked at.
    pub label: Option<Label>,
    /// Its names.
    pub names: Vec<String>,
    /// Messages that have come and have not been handled.
    pub mailbox: u32,
    /// What it does.
    pub status: Status,
    /// How many processes watch it.
    pub watchers: usize,
    /// How many monitors it has set that have not fired.
    pub monitors: usize,
    /// How many processes it is linked to.
    pub links: usize,
    /// Whether exit signals to it become messages.
    pub traps_exits: bool,
    /// What its receives have passed over, by type (V3). Empty while a runner has it in hand.
    pub unreceived: Vec<Unreceived>,
}

/// Messages of one type that no receive of a process has wanted so far.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreceived {
    /// What the type is called.
    pub type_name: Arc<str>,
    /// How many there are.
    pub count: usize,
    /// When the oldest was passed over first.
    pub since: Instant,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Nothing: it waits for a message.
    Waiting,
    /// It is about to have a turn.
    Runnable,
    /// It has its turn.
    Running,
    /// It waits for something else in the middle of a message.
    Suspended,
    /// Its body has been taken out between two messages.
    Frozen,
}

impl Node {
    /// Every living process, in order of its place.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessInfo> {
        let pids = self.inner.table.pids();
        pids.into_iter()
            .filter_map(|(index, generation)| self.process_at(index, generation))
            .collect()
    }

    /// How many processes live.
    #[must_use]
    pub fn process_count(&self) -> usize {
        self.inner.table.living()
    }

    /// One local process, if it lives.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Option<ProcessInfo> {
        if pid.node != self.inner.id {
            return None;
        }
        self.process_at(pid.index, pid.generation)
    }

    fn process_at(&self, index: u32, generation: u32) -> Option<ProcessInfo> {
        let slot = self.inner.table.slot(index)?.lock();
        if !slot.is(generation) {
            return None;
        }
        let rare = slot.rare.as_ref();
        let label = slot.body.as_ref().map(|body| body.label());
        Some(ProcessInfo {
            pid: self.inner.local_pid(crate::wire::Place { index, generation }),
            label: label.or_else(|| rare.and_then(|rare| rare.label.clone())),
            names: rare.map(|rare| rare.names.clone()).unwrap_or_default(),
            mailbox: slot.mailbox.messages,
            status: match slot.run {
                Run::Idle | Run::Free | Run::Reserved => Status::Waiting,
                Run::Queued => Status::Runnable,
                Run::Running => Status::Running,
                Run::Parked => Status::Suspended,
                Run::Frozen => Status::Frozen,
            },
            watchers: rare.map_or(0, |rare| rare.relations.monitors.watcher_count()),
            monitors: rare.map_or(0, |rare| rare.relations.monitors.set_count()),
            links: rare.map_or(0, |rare| rare.relations.links().count()),
            traps_exits: rare.is_some_and(|rare| rare.relations.traps_exits),
            unreceived: slot.body.as_ref().map(|body| body.unreceived()).unwrap_or_default(),
        })
    }
}
