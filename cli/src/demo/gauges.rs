//! What the clients tell while they run, and what they are told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Versions that are told apart; the highest stands for all above it.
const VERSIONS: usize = 4;

/// Shared by all clients and whoever watches them. Nothing here is a record: those are the
/// clients' own.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    over: AtomicBool,
    deeds: AtomicBool,
    answers: [AtomicU64; VERSIONS],
    longest_gap_nanos: AtomicU64,
}

impl Gauges {
    /// A call was answered by code of `version`, `gap` after the answer before.
    pub(crate) fn answered(&self, version: u32, gap: Duration) {
        let version = usize::try_from(version).unwrap_or(VERSIONS).min(VERSIONS - 1);
        self.answers[version].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(gap.as_nanos()).unwrap_or(u64::MAX);
        // Looked at first: the line in the cache is shared by all.
        if nanos > self.longest_gap_nanos.load(Ordering::Relaxed) {
            self.longest_gap_nanos.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    /// Answers so far.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Answers so far that code of `version` gave.
    pub(crate) fn answers_of(&self, version: usize) -> u64 {
        self.answers.get(version).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// The longest time between two answers that any client saw.
    pub(crate) fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.longest_gap_nanos.load(Ordering::Relaxed))
    }

    /// Tells the clients to finish.
    pub(crate) fn end_load(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn load_is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// From now on a saboteur may do its deed.
    pub(crate) fn let_deeds_begin(&self) {
        self.deeds.store(true, Ordering::Relaxed);
    }

    pub(crate) fn deeds_may_begin(&self) -> bool {
        self.deeds.load(Ordering::Relaxed)
    }
}
