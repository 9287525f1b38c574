//! What was current on a node, and since when: where a rollback goes back to.
//!
//! It is bounded, and kept with what is committed ([`committed`](crate::committed)).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hash::ContentAddress;

/// A reason has at most so many characters: it is kept, in the decision log and by every node, and shown in a line.
const WHY_CHARS_MAX: usize = 1_024;

/// The beginning of a reason, where it is longer than one may be.
pub(crate) fn short(why: &str) -> String {
    why.chars().take(WHY_CHARS_MAX).collect()
}

/// Changes remembered for each bundle's name; the oldest goes first.
const CHANGES_MAX: usize = 64;

/// A change of what is current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is current from then on; none when nothing is.
    pub current: Option<(u32, ContentAddress)>,
    /// When, on the node's clock, since the Unix epoch.
    pub at: Duration,
    /// How it came about.
    pub cause: Cause,
    /// Why, where it came about by itself.
    pub why: Option<String>,
}

/// How another version became current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It was activated.
    Activated,
    /// An activation was taken back, because another node could not follow.
    TakenBack,
    /// The version that was current has failed on probation.
    WentBack,
}

/// The changes of one node, by the bundles' names.
#[derive(Debug, Default)]
pub struct History {
    changes: BTreeMap<String, VecDeque<Change>>,
}

impl History {
    /// Writes a change down.
    pub(crate) fn record(&mut self, bundle: &str, change: Change) {
        let changes = self.changes.entry(bundle.to_owned()).or_default();
        if changes.back().is_some_and(|last| last.current == change.current) {
            return;
        }
        if changes.len() == CHANGES_MAX {
            changes.pop_front();
        }
        changes.push_back(change);
    }

    /// The changes of a bundle, or of all, the oldest first.
    pub fn changes<'a>(
        &'a self,
        bundle: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a Change)> {
        let wanted = self.changes.iter().filter(move |(name, _)| bundle.is_none_or(|b| b == *name));
        wanted.flat_map(|(name, changes)| changes.iter().map(move |change| (name.as_str(), change)))
    }

    /// What a rollback of `bundle` goes back to: the bundle of `version` that was current last, or, where
    /// none is named, what was current before the present one. Never the present one itself, and never one whose
    /// activation was taken back, or that has failed on probation.
    #[must_use]
    pub fn earlier(&self, bundle: &str, version: Option<u32>) -> Option<(u32, ContentAddress)> {
        let changes = self.changes.get(bundle)?;
        let mut stood = Vec::with_capacity(changes.len());
        let mut before = Vec::new();
        for change in changes {
            if change.cause == Cause::TakenBack {
                // Whatever was: a way back can be taken back, too.
                stood.clone_from(&before);
            } else {
                before.clone_from(&stood);
            }
            if change.cause == Cause::WentBack {
                stood.pop();
            }
            // What an activation was taken back to is there already, unless that was forgotten.
            if change.cause == Cause::Activated || stood.last() != change.current.as_ref() {
                stood.extend(change.current);
            }
        }
        let present = changes.back()?.current.map(|(_, address)| address);
        let mut earlier = stood.into_iter().rev().filter(|(_, address)| Some(*address) != present);
        earlier.find(|(earlier, _)| version.is_none_or(|version| version == *earlier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(byte: u8) -> ContentAddress {
        ContentAddress::of(&[byte])
    }

    #[test]
    fn what_was_taken_back_is_nothing_to_go_back_to() {
        let mut history = history(&[Some(1), Some(2), Some(3)]);
        let current = Some((2, address(2)));
        history.record("a", change(current, Cause::TakenBack));
        assert_eq!(history.earlier("a", None).map(|(version, _)| version), Some(1));
        assert_eq!(history.earlier("a", Some(3)), None);
    }

    fn change(current: Option<(u32, ContentAddress)>, cause: Cause) -> Change {
        Change { current, at: Duration::ZERO, cause, why: None }
    }

    #[test]
    fn what_failed_on_probation_is_nothing_to_go_back_to() {
        let mut history = history(&[Some(1), Some(2), Some(3)]);
        history.record("a", change(Some((2, address(2))), Cause::WentBack));
        assert_eq!(history.earlier("a", None).map(|(version, _)| version), Some(1));
        assert_eq!(history.earlier("a", Some(3)), None);
        // A node that was told by another, and was begun after the activation there.
        let mut history = History::default();
        history.record("a", change(Some((1, address(1))), Cause::WentBack));
        history.record("a", change(Some((2, address(2))), Cause::Activated));
        assert_eq!(history.earlier("a", None).map(|(version, _)| version), Some(1));
    }

    #[test]
    fn a_way_back_that_is_taken_back_leaves_what_stood() {
        let mut history = history(&[Some(1), Some(2)]);
        history.record("a", change(Some((1, address(1))), Cause::WentBack));
        history.record("a", change(Some((2, address(2))), Cause::TakenBack));
        assert_eq!(history.earlier("a", None).map(|(version, _)| version), Some(1));
        // It is what stands again: what comes upon it and is taken back leaves it, too.
        history.record("a", change(Some((3, address(3))), Cause::Activated));
        assert_eq!(history.earlier("a", None).map(|(version, _)| version), Some(2));
        history.record("a", change(Some((2, address(2))), Cause::TakenBack));
        assert_eq!(history.earlier("a", None).map(|(version, _)| version), Some(1));
    }

    fn history(changes: &[Option<u8>]) -> History {
        let mut history = History::default();
        for current in changes {
            let current = current.map(|version| (u32::from(version), address(version)));
            history.record("a", change(current, Cause::Activated));
        }
        history
    }

    fn earlier(changes: &[Option<u8>], version: Option<u32>) -> Option<u32> {
        history(changes).earlier("a", version).map(|(version, _)| version)
    }

    #[test]
    fn a_rollback_goes_to_what_was_current_before() {
        assert_eq!(earlier(&[Some(1), Some(2)], None), Some(1));
        assert_eq!(earlier(&[Some(1), Some(2), Some(1)], None), Some(2), "and forth again");
        assert_eq!(
            earlier(&[Some(1), Some(2), Some(2)], None),
            Some(1),
            "the same again is no change"
        );
        assert_eq!(earlier(&[Some(1), Some(2), Some(3)], Some(1)), Some(1));
    }

    #[test]
    fn without_a_past_there_is_nothing_to_go_back_to() {
        assert_eq!(earlier(&[], None), None);
        assert_eq!(earlier(&[Some(1)], None), None);
        assert_eq!(earlier(&[Some(1), Some(2)], Some(7)), None);
        assert_eq!(earlier(&[Some(1), Some(2)], Some(2)), None, "it is there already");
        assert_eq!(history(&[Some(1), Some(2)]).earlier("b", None), None);
    }

    #[test]
    fn the_oldest_changes_are_forgotten() {
        let changes: Vec<_> = (0..3 * CHANGES_MAX).map(|n| Some(n as u8 % 2)).collect();
        let history = history(&changes);
        assert_eq!(history.changes(Some("a")).count(), CHANGES_MAX);
        assert_eq!(history.changes(Some("b")).count(), 0);
        assert_eq!(history.changes(None).count(), CHANGES_MAX);
    }
}
