//! What a version does, counted while somebody wants to know: between two waves of a rollout (R3). Else it costs one look
//! at a flag.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use midflight_runtime::Instant;
use parking_lot::Mutex;

use super::{Version, Versions, times};
use crate::hash::ContentAddress;
use crate::protocol::{Measured, Sides};

/// How long a node goes on counting after it was asked last.
const FOR: Duration = Duration::from_secs(60);

/// The counts of one version.
#[derive(Debug, Default)]
pub(super) struct Counts {
    on: AtomicBool,
    until: Mutex<Option<Instant>>,
    handled: AtomicU64,
    errors: AtomicU64,
    failed: AtomicU64,
    states: AtomicU64,
    state_bytes: AtomicU64,
    times: Mutex<BTreeMap<u16, u64>>,
}

impl Version {
    /// Whether somebody wants to know what it does.
    pub(crate) fn is_measured(&self) -> bool {
        self.measured.on.load(Ordering::Relaxed)
    }

    /// A message was handled, in that time.
    pub(crate) fn took(&self, time: Duration) {
        *self.measured.times.lock().entry(times::step(time)).or_default() += 1;
    }

    pub(super) fn count_handled(&self, messages: u32) {
        if self.is_measured() {
            self.measured.handled.fetch_add(messages.into(), Ordering::Relaxed);
        }
    }

    pub(super) fn count_failed(&self, failure: super::Failure) {
        if !self.is_measured() {
            return;
        }
        let counted = match failure {
            super::Failure::Message => &self.measured.errors,
            super::Failure::Returned | super::Failure::Ended => &self.measured.failed,
            super::Failure::Unhealthy => return,
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }

    fn measure(&self, now: Instant) -> Measured {
        *self.measured.until.lock() = Some(now + FOR);
        self.measured.on.store(true, Ordering::Relaxed);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.measured;
        Measured {
            handled: read(&counts.handled),
            errors: read(&counts.errors),
            failed: read(&counts.failed),
            times: counts.times.lock().clone(),
            processes: self.process_count() as u64,
            waiting: 0,
            states: read(&counts.states),
            state_bytes: read(&counts.state_bytes),
        }
    }

    fn look_at_measuring(&self, now: Instant) {
        if self.is_measured() && self.measured.until.lock().is_none_or(|until| now >= until) {
            self.measured.on.store(false, Ordering::Relaxed);
        }
    }
}

impl Versions {
    /// What the versions of a bundle do, counted from the first time that this is asked. `waiting` says how many messages
    /// wait for the processes of a version.
    pub(crate) fn measure(
        &self,
        bundle: &str,
        new: ContentAddress,
        now: Instant,
        waiting: impl Fn(&Version) -> u64,
    ) -> Sides {
        let mut sides = Sides::default();
        for version in self.of(bundle) {
            let waiting = waiting(&version);
            let side = if version.address == new { &mut sides.new } else { &mut sides.old };
            side.add(&Measured { waiting, ..version.measure(now) });
        }
        sides
    }

    /// Ends counting that nobody asks about any more.
    pub(crate) fn look_at_measuring(&self, now: Instant) {
        self.inner.lock().loaded.values().for_each(|version| version.look_at_measuring(now));
    }
}

/// What the state of a process takes, as its version counts it for as long as this lives.
#[derive(Debug, Default)]
pub(crate) struct StateBytes {
    counted: Option<u64>,
    /// When to look again.
    next: Option<Instant>,
}

/// How often the state of a process is looked at.
const EVERY: Duration = Duration::from_secs(1);

impl StateBytes {
    /// Whether it is time to look.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// The state takes so much now.
    pub(crate) fn are(&mut self, bytes: u64, version: &Version, now: Instant) {
        self.next = Some(now + EVERY);
        self.leave(version);
        version.measured.states.fetch_add(1, Ordering::Relaxed);
        version.measured.state_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counted = Some(bytes);
    }

    /// The process ends, or goes to another version.
    pub(crate) fn leave(&mut self, version: &Version) {
        if let Some(bytes) = self.counted.take() {
            version.measured.states.fetch_sub(1, Ordering::Relaxed);
            version.measured.state_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}
