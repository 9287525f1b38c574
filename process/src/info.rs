//! What can be seen of processes from outside.

use std::sync::Arc;

use midflight_message::{NodeId, Pid};
use midflight_runtime::Instant;
use serde::{Deserialize, Serialize};

use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::ask::{Answer, AskError, Question};
use crate::peer::wire::Place;
use crate::relations::{Relations, Watched};
use crate::scheduler::body::Label;
use crate::table::slot::Run;
use crate::waits::Wait;

/// A process as `midflight ps` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How often it is watched.
    pub watchers: usize,
    /// How many monitors it has set that have not fired.
    pub monitors: usize,
    /// How many processes it is linked to.
    pub links: usize,
    /// How many timers it has set that have not expired.
    pub timers: usize,
    /// Whether exit signals to it become messages.
    pub traps_exits: bool,
    /// Bytes of what has come and has not been handled, as mailboxes count them.
    pub mailbox_bytes: u32,
    /// The processes it is linked to.
    pub linked_to: Vec<Pid>,
    /// The processes it watches, one for each monitor.
    pub monitoring: Vec<Pid>,
    /// The processes that watch it, one for each monitor.
    pub monitored_by: Vec<Pid>,
    /// What it waits for: nothing unless it waits, and where that is not noted, as of a timer.
    pub waits: Vec<Wait>,
    /// What its receives have passed over, by type (V3). Empty while a runner has it in hand,
    /// and for a process of another node.
    #[serde(skip)]
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
    /// How many of them have been passed over for longer than [`Limits::unreceived_after`](crate::Limits).
    pub old: usize,
}

/// What a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeStats {
    /// Living processes.
    pub processes: u64,
    /// Names of processes.
    pub names: u64,
    /// Functions that can be started by name.
    pub functions: u64,
    /// Nodes it has a link to.
    pub peers: u64,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
        let Place { index, generation } = self.inner.local_place(pid)?;
        self.process_at(index, generation)
    }

    fn process_at(&self, index: u32, generation: u32) -> Option<ProcessInfo> {
        self.inner.info(Place { index, generation }, usize::MAX)
    }

    /// One process of any node, if it lives. A list of another node's process has 256 entries at the
    /// most. Makes a link where there is none.
    ///
    /// # Errors
    /// See [`AskError`].
    ///
    /// # Cancel safety
    /// A dropped future has changed nothing.
    pub async fn info_of(&self, pid: Pid) -> Result<Option<ProcessInfo>, AskError> {
        if pid.node == self.inner.id {
            return Ok(self.process(pid));
        }
        let place = Place::of(pid);
        match self.ask(pid.node, Question::Process(place)).await? {
            Answer::Process(info) => Ok(info.map(|info| *info)),
            _ => Err(AskError::NoAnswer(pid.node)),
        }
    }

    /// What this node holds.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.inner.stats()
    }

    /// What a node holds, which may be this one; makes a link where there is none.
    ///
    /// # Errors
    /// See [`AskError`].
    ///
    /// # Cancel safety
    /// A dropped future has changed nothing.
    pub async fn stats_of(&self, node: NodeId) -> Result<NodeStats, AskError> {
        match self.ask(node, Question::Stats).await? {
            Answer::Stats(stats) => Ok(stats),
            _ => Err(AskError::NoAnswer(node)),
        }
    }
}

impl Inner {
    /// What can be seen of a process, if it lives. Its lists have so many entries at the most: the cell is
    /// locked meanwhile.
    pub(crate) fn info(&self, place: Place, listed: usize) -> Option<ProcessInfo> {
        let (mut linked_to, mut monitored_by) = (Vec::new(), Vec::new());
        let mut info = {
            let slot = self.table.slot(place.index)?.lock();
            if !slot.is(place.generation) {
                return None;
            }
            let rare = slot.rare.as_ref();
            let mut monitoring = Vec::new();
            if let Some(Relations { monitors, .. }) = rare.map(|rare| &rare.relations) {
                monitored_by.extend(monitors.watchers().take(listed).map(|entry| entry.watcher));
                monitoring.extend(monitors.all_set().take(listed).filter_map(|(_, watched)| {
                    match watched {
                        Watched::Process(pid) => Some(pid),
                        Watched::Node(_) => None,
                    }
                }));
            }
            let body = slot.body.as_ref();
            let links = rare.into_iter().flat_map(|rare| rare.relations.links());
            linked_to.extend(links.take(listed).map(|(other, _)| other));
            ProcessInfo {
                pid: self.local_pid(place),
                label: body
                    .map(|body| body.label())
                    .or_else(|| rare.and_then(|rare| rare.label.clone())),
                names: rare.map(|rare| rare.names.clone()).unwrap_or_default(),
                mailbox: slot.mailbox.messages,
                mailbox_bytes: slot.mailbox.bytes,
                status: Status::of(slot.run),
                watchers: rare.map_or(0, |rare| rare.relations.monitors.watcher_count()),
                monitors: rare.map_or(0, |rare| rare.relations.monitors.set_count()),
                links: rare.map_or(0, |rare| rare.relations.link_count()),
                timers: rare.map_or(0, |rare| rare.timers.set),
                traps_exits: rare.is_some_and(|rare| rare.relations.traps_exits),
                linked_to: Vec::new(),
                monitored_by: Vec::new(),
                monitoring,
                waits: match slot.run {
                    Run::Idle | Run::Parked => body.map(|body| body.waits(self.runtime.now())),
                    _ => None,
                }
                .unwrap_or_default(),
                unreceived: body
                    .map(|body| body.unreceived(&|at| self.is_old(at)))
                    .unwrap_or_default(),
            }
        };
        // A node that watches for itself has no pid.
        info.linked_to = linked_to.into_iter().filter_map(|other| self.pid(other)).collect();
        info.monitored_by = monitored_by.into_iter().filter_map(|other| self.pid(other)).collect();
        Some(info)
    }

    /// Whether what was passed over at `at` has lain there too long.
    fn is_old(&self, at: Instant) -> bool {
        self.limits.unreceived_after.is_some_and(|after| at + after <= self.runtime.now())
    }

    pub(crate) fn stats(&self) -> NodeStats {
        NodeStats {
            processes: self.table.living() as u64,
            names: self.registry.len() as u64,
            functions: self.functions.len() as u64,
            peers: self.peers.read().len() as u64,
        }
    }
}

impl Status {
    const fn of(run: Run) -> Self {
        match run {
            Run::Idle | Run::Free | Run::Reserved => Self::Waiting,
            Run::Queued => Self::Runnable,
            Run::Running => Self::Running,
            Run::Parked => Self::Suspended,
            Run::Frozen => Self::Frozen,
        }
    }
}

impl ProcessInfo {
    /// Entries in each list of another node's process.
    pub(crate) const LISTED_MAX: usize = 256;

    /// Cuts what [`LISTED_MAX`](Self::LISTED_MAX) does not bound, so that any answer fits into a message of any transport.
    pub(crate) fn cut(mut self) -> Self {
        /// Names have up to 255 bytes.
        const NAMES_MAX: usize = 64;
        self.names.truncate(NAMES_MAX);
        self.waits.truncate(Self::LISTED_MAX);
        self
    }
}
