//! The gossip kernel's timers: one of a kind for each member. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use foca::Timer;
use midflight_runtime::Instant;

use super::card::Identity;

/// A timer's kind and, where it is about one, its member. The kinds are in the order in which those
/// that are due at once must be handled.
type Key = (u8, u128);

/// Who waits for a time. Setting one of the same kind again takes the other's place, which has become
/// void by then: so there are at most two for each member, and five.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<(Instant, Key), Timer<Identity>>,
    at: BTreeMap<Key, Instant>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer<Identity>) {
        let key = key(&timer);
        if let Some(before) = self.at.get(&key).copied() {
            // A suspicion is renewed with every probe that fails, and its end is not put off by that.
            let is_suspicion = matches!(timer, Timer::ChangeSuspectToDown { .. });
            if is_suspicion && self.due.get(&(before, key)) == Some(&timer) {
                return;
            }
            self.due.remove(&(before, key));
        }
        self.at.insert(key, at);
        self.due.insert((at, key), timer);
    }

    /// Takes the next that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer<Identity>> {
        let first = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (_, key) = *first.key();
        self.at.remove(&key);
        Some(first.remove())
    }

    /// A member is forgotten: nothing waits for a time with it.
    pub(super) fn forget(&mut self, member: u128) {
        let of_the_member: Vec<_> =
            self.at.keys().filter(|(_, key)| *key == member).copied().collect();
        for key in of_the_member {
            if let Some(at) = self.at.remove(&key) {
                self.due.remove(&(at, key));
            }
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Puts everything off. The node stood still: what others have sent meanwhile is to be heard
    /// before anyone is judged by the clock.
    pub(super) fn put_off(&mut self, by: Duration) {
        let due = std::mem::take(&mut self.due);
        self.due = due.into_iter().map(|((at, key), timer)| ((at + by, key), timer)).collect();
        self.at.values_mut().for_each(|at| *at = *at + by);
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

fn key(timer: &Timer<Identity>) -> Key {
    match timer {
        Timer::SendIndirectProbe { .. } => (0, 0),
        Timer::ProbeRandomMember(_) => (1, 0),
        Timer::ChangeSuspectToDown { member_id, .. } => (2, member_id.key()),
        Timer::PeriodicAnnounce(_) => (3, 0),
        Timer::PeriodicGossip(_) => (4, 0),
        Timer::RemoveDown(down) => (5, down.key()),
        Timer::PeriodicAnnounceDown(_) => (6, 0),
    }
}
