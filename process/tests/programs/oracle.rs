//! What must hold of everything that the processes of a program see. They write down here what they do
//! and what comes to them; whatever contradicts a promise is kept as a complaint.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use midflight_process::{ExitReason, MonitorRef, NodeId, Pid};
use midflight_runtime::Instant;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use midflight_process::message::Schema;

/// The place of something in what one process sends another. A new part begins whenever the sender has
/// accepted a loss; within a part nothing may be missing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, Schema,
)]
pub(crate) struct Number {
    pub(crate) part: u64,
    pub(crate) n: u64,
}

/// What carries a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    /// Needs no `reconnect`: after a loss of which the sender has not yet read, it may follow a gap.
    Signal,
}

/// What has come from one process to another.
#[derive(Debug, Default)]
struct Came {
    /// The number that is next within its part.
    next: Number,
    /// A signal has followed a gap: no message may follow in this part.
    broken: bool,
    /// The sender's end was told.
    over: bool,
}

#[derive(Debug)]
struct Watch {
    target: Pid,
    fired: u32,
    taken_back: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pids: BTreeSet<Pid>,
    /// All pids in the order of their beginning.
    pub(crate) all: Vec<Pid>,
    sent: BTreeMap<(Pid, Pid), Number>,
    came: BTreeMap<(Pid, Pid), Came>,
    /// How many losses each process has accepted of each node.
    parts: BTreeMap<(Pid, NodeId), u64>,
    /// Who may have lost something on its link to a node, and has not been told.
    used: BTreeSet<(Pid, NodeId)>,
    /// Parts in which a signal followed a gap.
    gaps: Vec<(Pid, NodeId, u64)>,
    /// Who ended by itself, having read of all losses.
    ended: BTreeSet<Pid>,
    monitors: BTreeMap<(Pid, MonitorRef), Watch>,
    pub(crate) complaints: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) hash: u64,
    pub(crate) quiet: bool,
}

pub(crate) type Shared = Arc<Mutex<Oracle>>;

impl Oracle {
    /// Writes something down: it is counted and goes into the trace's hash (FNV-1a).
    pub(crate) fn note(&mut self, what: &'static str, at: Instant, who: impl Debug) {
        *self.counts.entry(what).or_default() += 1;
        for byte in format!("{} {what} {who:?}", at.as_nanos()).bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn complain(&mut self, promise: &str, what: impl Into<String>) {
        if self.complaints.len() < 20 {
            self.complaints.push(format!("{promise}: {}", what.into()));
        }
    }

    pub(crate) fn born(&mut self, pid: Pid) {
        self.all.push(pid);
        if !self.pids.insert(pid) {
            self.complain("P1", format!("{pid} is used again"));
        }
    }

    fn part(&self, from: Pid, node: NodeId) -> u64 {
        self.parts.get(&(from, node)).copied().unwrap_or_default()
    }

    /// The number that the next from one to another has.
    pub(crate) fn next(&self, from: Pid, to: Pid) -> Number {
        let part = self.part(from, to.node);
        let sent = self.sent.get(&(from, to)).filter(|sent| sent.part == part);
        Number { part, n: sent.map_or(0, |sent| sent.n) }
    }

    /// It is about to be sent: from now on a loss may be told.
    pub(crate) fn tries(&mut self, from: Pid, to: Pid) {
        self.used.insert((from, to.node));
    }

    pub(crate) fn sent(&mut self, from: Pid, to: Pid, number: Number) {
        self.sent.insert((from, to), Number { n: number.n + 1, ..number });
    }

    /// A `Disconnected` was read, and is accepted.
    pub(crate) fn told(&mut self, from: Pid, node: NodeId) {
        if !self.used.remove(&(from, node)) {
            self.complain("P3", format!("{from} was told twice of a loss of {node}"));
        }
        *self.parts.entry((from, node)).or_default() += 1;
    }

    /// What has a number has come.
    pub(crate) fn came(&mut self, from: Pid, to: Pid, number: Number, kind: Kind) {
        let came = self.came.entry((from, to)).or_default();
        let expected = if number.part > came.next.part {
            came.broken = false;
            Number { part: number.part, n: 0 }
        } else {
            came.next
        };
        let gap = number > expected;
        let (again, over) = (number < expected, came.over);
        let unbroken = kind == Kind::Message || from.node == to.node;
        let silent = unbroken && (gap || came.broken);
        came.broken |= gap;
        came.next = Number { n: number.n + 1, ..number };
        let what = || format!("{kind:?} {number:?} from {from} to {to}, expected {expected:?}");
        if over {
            self.complain("P2", format!("{} after its sender's end", what()));
        } else if again {
            self.complain("P2", format!("{} is out of order or a copy", what()));
        } else if silent {
            self.complain("P2", format!("{} follows a gap", what()));
        } else if gap {
            self.gaps.push((from, to.node, number.part));
        }
    }

    /// A call has come that was made when `number` was next.
    pub(crate) fn asked(&mut self, from: Pid, to: Pid, number: Number) {
        let next = self.came.get(&(from, to)).map(|came| came.next).unwrap_or_default();
        if number.n > 0 && next != number {
            self.complain("P2", format!("a call from {from} to {to} at {number:?}, not {next:?}"));
        }
    }

    /// The end of a process was told by a monitor or a link.
    pub(crate) fn end_told(&mut self, of: Pid, to: Pid, reason: &ExitReason) {
        if matches!(reason, ExitReason::NoConnection(_) | ExitReason::NoProcess) {
            return;
        }
        let came = self.came.entry((of, to)).or_default();
        came.over = true;
        let next = came.next;
        let sent = self.next(of, to);
        let by_itself = self.ended.contains(&of) && !matches!(reason, ExitReason::Killed(_));
        if by_itself && sent.n > 0 && sent != next {
            self.complain("P2", format!("{of}'s end came to {to} at {next:?}, not {sent:?}"));
        }
    }

    /// A process is about to end by itself.
    pub(crate) fn ends(&mut self, who: Pid) {
        self.ended.insert(who);
    }

    pub(crate) fn watches(&mut self, owner: Pid, monitor: MonitorRef, target: Pid) {
        let watch = Watch { target, fired: 0, taken_back: false };
        if self.monitors.insert((owner, monitor), watch).is_some() {
            self.complain("P5", format!("{owner} has {monitor:?} twice"));
        }
    }

    pub(crate) fn taken_back(&mut self, owner: Pid, monitor: MonitorRef) {
        if let Some(watch) = self.monitors.get_mut(&(owner, monitor)) {
            watch.taken_back = true;
        }
    }

    /// A monitor of `owner` that has not fired.
    pub(crate) fn a_monitor(&self, owner: Pid) -> Option<MonitorRef> {
        let from = (owner, MonitorRef(0))..=(owner, MonitorRef(u64::MAX));
        let mut open = self.monitors.range(from).filter(|(_, w)| w.fired == 0 && !w.taken_back);
        open.next().map(|((_, monitor), _)| *monitor)
    }

    pub(crate) fn fired(&mut self, owner: Pid, monitor: MonitorRef, process: Pid) {
        let Some(watch) = self.monitors.get_mut(&(owner, monitor)) else {
            return self.complain("P5", format!("{owner} never set {monitor:?} on {process}"));
        };
        watch.fired += 1;
        let right = watch.target == process && watch.fired == 1 && !watch.taken_back;
        if !right {
            let watch = format!("{watch:?}");
            self.complain("P5", format!("{monitor:?} of {owner} fired wrongly: {watch}"));
        }
    }

    /// A send or call that may take so long took so long.
    pub(crate) fn took(&mut self, what: &str, from: Pid, took: Duration, max: Duration) {
        if took > max {
            self.complain("P6", format!("{what} by {from} took {took:?}, not {max:?} at the most"));
        }
    }

    /// All is quiet, and long enough: what should have happened has.
    pub(crate) fn judge(&mut self, lives: impl Fn(Pid) -> bool) {
        let mut wrong = Vec::new();
        for ((owner, monitor), watch) in &self.monitors {
            let due = watch.fired == 0 && !watch.taken_back && !lives(watch.target);
            if due && lives(*owner) {
                wrong.push(("P5", format!("{monitor:?} of {owner} on {} is silent", watch.target)));
            }
        }
        for (from, node, part) in &self.gaps {
            if lives(*from) && self.part(*from, *node) <= *part {
                wrong.push(("P3", format!("{from} was not told of its loss to {node} in {part}")));
            }
        }
        for (promise, what) in wrong {
            self.complain(promise, what);
        }
    }
}
