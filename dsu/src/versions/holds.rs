//! What keeps a version from being retired, by name (U3).

use std::sync::{Arc, Weak};

use midflight_message::Pid;
use midflight_process::{Node, Status};
use midflight_runtime::Instant;

use super::{Place, Version};

/// Why a version cannot be retired yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// A process runs in it.
    Process,
    /// A process is in its turn, in the middle of one of its handlers.
    Running,
    /// A process waits for something in the middle of one of its handlers.
    Suspended,
    /// A process of it is frozen: it is being switched, or its state is being saved.
    Frozen,
    /// A process would go back to it if the newer code failed.
    Probation,
    /// A deployment that is not over may go back to it.
    Undo,
    /// It was staged, and may be activated.
    Staged,
    /// The policy that it was left by is to keep it.
    Kept,
    /// Somebody else has it in hand: a conversion that has not ended, or whoever asked for it.
    InUse,
}

impl Cause {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Frozen => "frozen",
            Self::Probation => "probation",
            Self::Undo => "undo",
            Self::Staged => "staged",
            Self::Kept => "kept",
            Self::InUse => "in use",
        }
    }
}

/// One thing that keeps a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is, where it is a process's.
    pub pid: Option<Pid>,
    /// What it is.
    pub cause: Cause,
}

/// How many keep it for the same, and until when at the longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    count: u32,
    until: Option<Instant>,
}

impl Held {
    /// Once more, until then; without an end it lasts longer than with any.
    fn and(self, until: Option<Instant>) -> Self {
        Self {
            count: self.count + 1,
            until: self.until.zip(until).map(|(one, other)| one.max(other)),
        }
    }

    fn is_over(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// Keeps a version for as long as it is there, and is listed.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) version: Arc<Version>,
    key: (Cause, Option<Place>),
}

impl Hold {
    pub(crate) fn new(version: Arc<Version>, cause: Cause, pid: Option<Pid>) -> Self {
        let key = (cause, pid.map(Place::of));
        version.hold(key, None);
        Self { version, key }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.version.let_go(self.key);
    }
}

/// A process's way back to a version, which keeps it for a while at the longest: one that lies idle keeps it
/// no longer.
#[derive(Debug)]
pub(crate) struct WayBack {
    version: Weak<Version>,
    key: (Cause, Option<Place>),
}

impl WayBack {
    pub(crate) fn new(version: &Arc<Version>, pid: Pid, until: Instant) -> Self {
        let key = (Cause::Probation, Some(Place::of(pid)));
        version.hold(key, Some(until));
        Self { version: Arc::downgrade(version), key }
    }

    /// The version, unless it has been retired since.
    pub(crate) fn version(&self) -> Option<Arc<Version>> {
        self.version.upgrade()
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        if let Some(version) = self.version.upgrade() {
            version.let_go(self.key);
        }
    }
}

impl Version {
    fn hold(&self, key: (Cause, Option<Place>), until: Option<Instant>) {
        let mut holds = self.holds.lock();
        let held = holds.get(&key).map_or(Held { count: 1, until }, |held| held.and(until));
        holds.insert(key, held);
    }

    fn let_go(&self, key: (Cause, Option<Place>)) {
        let mut holds = self.holds.lock();
        if let Some(held) = holds.get_mut(&key) {
            held.count -= 1;
            if held.count == 0 {
                holds.remove(&key);
            }
        }
    }

    /// Sets or takes off a mark that keeps it.
    pub(crate) fn mark(&self, cause: Cause, on: bool) {
        let mut holds = self.holds.lock();
        if on {
            holds.insert((cause, None), Held { count: 1, until: None });
        } else {
            holds.remove(&(cause, None));
        }
    }

    /// Whether that keeps it.
    #[must_use]
    pub fn is_held_by(&self, cause: Cause) -> bool {
        let holds = self.holds.lock();
        holds.keys().any(|(held_by, _)| *held_by == cause)
    }

    /// Whether nothing keeps it that has a name.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.processes.lock().is_empty() && self.holds.lock().values().all(|held| held.is_over(now))
    }

    /// What keeps it, by process, and how many things that are; at most `max` are listed.
    #[must_use]
    pub fn holders(&self, node: &Node, max: usize) -> (Vec<Holder>, usize) {
        let processes = self.processes();
        let now = node.runtime().now();
        let lasting = |(key, held): (&_, &Held)| (!held.is_over(now)).then_some(*key);
        let holds: Vec<(Cause, Option<Place>)> =
            self.holds.lock().iter().filter_map(lasting).collect();
        let count = processes.len() + holds.len();
        let of_process = |pid: Pid| {
            let Some(info) = node.process(pid) else {
                return Holder { pid: Some(pid), cause: Cause::Process };
            };
            let suspended = info.label.is_some_and(|label| label.suspended.is_some());
            let cause = match info.status {
                Status::Running => Cause::Running,
                Status::Frozen => Cause::Frozen,
                _ if suspended => Cause::Suspended,
                _ => Cause::Process,
            };
            Holder { pid: Some(pid), cause }
        };
        let others =
            holds.into_iter().map(|(cause, place)| Holder { pid: place.map(Place::pid), cause });
        let listed = others.chain(processes.into_iter().map(of_process));
        (listed.take(max).collect(), count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_holds_the_longer_counts_and_one_without_an_end_is_longer_than_any() {
        let at = |secs: u64| Some(Instant::from_nanos(secs * 1_000_000_000));
        let both = |one, other| Held { count: 1, until: one }.and(other).until;
        assert_eq!(both(at(1), at(2)), at(2));
        assert_eq!(both(at(2), at(1)), at(2));
        assert_eq!(both(None, at(1)), None);
        assert_eq!(both(at(1), None), None);
    }
}
