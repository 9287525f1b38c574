//! What whoever drives a rollout asks nodes between two waves, and what it tells operators of it.

use std::collections::BTreeMap;

use midflight_message::{Message, Schema};
use serde::{Deserialize, Serialize};

use super::Address;

/// Has a node count what the versions of a bundle do, and say what it has counted so far. It counts for as long as it is
/// asked. The reply is [`Sides`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Measure", version = 1)]
pub struct Measure {
    /// The bundle's name.
    pub bundle: String,
    /// The version that is new; all others are old.
    pub new: Address,
}

/// What the new version does, and what the old ones do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Sides", version = 1)]
pub struct Sides {
    /// The new version.
    pub new: Measured,
    /// All others.
    pub old: Measured,
}

/// What was counted. The first four only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Measured {
    /// Messages that were handled well.
    pub handled: u64,
    /// Messages that its code could not read, or whose handlers failed and left the process.
    pub errors: u64,
    /// Processes that ended by its fault, or went back.
    pub failed: u64,
    /// How long messages were handled: how often each time was seen, in steps of about a tenth, eight for each doubling.
    pub times: BTreeMap<u16, u64>,
    /// Processes that run in it now.
    pub processes: u64,
    /// Messages that wait in their mailboxes; of the first thousand processes, times as many as there are.
    pub waiting: u64,
    /// Processes whose states were measured, and what these take together, in bytes.
    pub states: u64,
    /// See there.
    pub state_bytes: u64,
}

impl Measured {
    /// All messages, well handled or not.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.handled.saturating_add(self.errors).saturating_add(self.failed)
    }

    /// Adds what another has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        let sum = |one: &mut u64, more: u64| *one = one.saturating_add(more);
        sum(&mut self.handled, other.handled);
        sum(&mut self.errors, other.errors);
        sum(&mut self.failed, other.failed);
        sum(&mut self.processes, other.processes);
        sum(&mut self.waiting, other.waiting);
        sum(&mut self.states, other.states);
        sum(&mut self.state_bytes, other.state_bytes);
        for (time, count) in &other.times {
            sum(self.times.entry(*time).or_default(), *count);
        }
    }

    fn since(&self, first: &Self) -> Self {
        let times = self.times.iter().map(|(time, count)| {
            (*time, count.saturating_sub(first.times.get(time).copied().unwrap_or(0)))
        });
        Self {
            handled: self.handled.saturating_sub(first.handled),
            errors: self.errors.saturating_sub(first.errors),
            failed: self.failed.saturating_sub(first.failed),
            times: times.filter(|(_, count)| *count > 0).collect(),
            ..self.clone()
        }
    }
}

impl Sides {
    /// Adds what another node has counted.
    pub fn add(&mut self, other: &Self) {
        self.new.add(&other.new);
        self.old.add(&other.old);
    }

    /// What only grows from `first` on, and the rest as it is now.
    #[must_use]
    pub fn since(&self, first: &Self) -> Self {
        Self { new: self.new.since(&first.new), old: self.old.since(&first.old) }
    }
}

/// What a gate has said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct GateStatus {
    /// Its name.
    pub gate: String,
    /// `go`, `stop` or `not sure`.
    pub says: String,
    /// Of what is new: failed messages of how many; the middle time in nanoseconds of how many; waiting messages, or bytes,
    /// of how many processes.
    pub new: (u64, u64),
    /// The same of what is old.
    pub old: (u64, u64),
    /// In words.
    pub words: String,
}
