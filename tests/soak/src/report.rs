//! What a node says of itself, as one line of JSON a second.

use std::sync::atomic::{AtomicU64, Ordering};

use midflight_process::Node;
use serde::{Deserialize, Serialize};

/// What its processes have counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Rounds that went as they should.
    pub(crate) done: AtomicU64,
    /// Rounds that ended with an error that says why: what was harmed is told.
    pub(crate) failed: AtomicU64,
    /// Promises that were broken.
    pub(crate) broken: AtomicU64,
}

impl Counts {
    /// A promise is broken.
    pub(crate) fn breaks(&self, what: &str) {
        self.broken.fetch_add(1, Ordering::Relaxed);
        eprintln!("broken: {what}");
    }
}

/// A line.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Resident bytes.
    pub(crate) resident: u64,
    /// Living processes.
    pub(crate) processes: usize,
    /// Links of processes, and monitors, in all of them.
    pub(crate) relations: usize,
    /// Names of processes.
    pub(crate) names: usize,
    /// Members of groups on all nodes, as this one knows them.
    pub(crate) in_groups: usize,
    /// Messages in all mailboxes.
    pub(crate) mailboxes: u64,
    /// Nodes it has a link to.
    pub(crate) peers: usize,
    /// Links that were lost.
    pub(crate) lost: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) broken: u64,
}

impl Report {
    pub(crate) fn of(node: &Node, group: &str, counts: &Counts) -> Result<Self, String> {
        let metrics = node.metrics();
        let relations =
            |info: midflight_process::ProcessInfo| info.links + info.monitors + info.watchers;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(Self {
            resident: resident()?,
            processes: metrics.processes,
            relations: node.processes().into_iter().map(relations).sum(),
            names: node.names().len(),
            in_groups: node.group_members(group).len(),
            mailboxes: metrics.mailbox_messages,
            peers: metrics.peers.len(),
            lost: metrics.links_lost,
            done: read(&counts.done),
            failed: read(&counts.failed),
            broken: read(&counts.broken),
        })
    }
}

/// Resident bytes of this OS process.
fn resident() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("memory is measured through /proc: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kib.ok_or("/proc/self/status has no VmRSS")? * 1_024)
}
