//! What a cell holds of its tracing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use midflight_message::Pid;

use crate::table::slot::Slot;
use crate::trace::{TraceContext, TraceFlags};

/// The tracing of one process, in the rare part of its cell.
#[derive(Debug, Default)]
pub(crate) struct Tracing {
    flags: TraceFlags,
    follower: Option<Follower>,
    /// Under which context it acts.
    pub(super) token: Option<TraceContext>,
    /// Contexts that lie in the mailbox, each before its message.
    marks: u32,
}

/// Who gets a process's events.
#[derive(Debug, Clone)]
pub(super) struct Follower {
    pub(super) pid: Pid,
    missed: Arc<AtomicU64>,
}

impl Follower {
    /// How many it has missed; that is said now.
    pub(super) fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    pub(super) fn misses(&self, so_many: u64) {
        self.missed.fetch_add(so_many, Ordering::Relaxed);
    }
}

impl Tracing {
    pub(super) fn set(&mut self, flags: TraceFlags, follower: Option<Pid>) {
        self.flags = flags;
        self.follower = follower.map(|pid| Follower { pid, missed: Arc::default() });
        self.token = None;
    }

    pub(super) const fn flags(&self) -> TraceFlags {
        self.flags
    }

    pub(super) fn is_followed_by(&self, pid: Pid) -> bool {
        self.follower.as_ref().is_some_and(|follower| follower.pid == pid)
    }

    pub(super) fn follower(&self) -> Option<Follower> {
        self.follower.clone()
    }

    /// A context has been put into the mailbox.
    pub(crate) const fn marked(&mut self) {
        self.marks = self.marks.saturating_add(1);
    }

    /// A context has been taken out of it.
    pub(super) const fn unmarked(&mut self) {
        self.marks = self.marks.saturating_sub(1);
    }

    /// Whether there is nothing to see to any more.
    pub(super) const fn is_over(&self) -> bool {
        self.flags.is_none() && self.token.is_none() && self.marks == 0
    }
}

impl Slot {
    /// What this cell holds of its tracing; from now on its turns look at it.
    pub(crate) fn tracing(&mut self) -> &mut Tracing {
        self.traced = true;
        self.rare().trace.get_or_insert_default()
    }
}
