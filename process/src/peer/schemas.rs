//! What a peer was asked to explain: the schemas of its types that somebody here cannot read without.
//! Pure.
//!
//! Each question is waited for within a bound. An answer counts whenever it comes; but on a peer that has
//! let one question go unanswered nobody waits any more, until it answers well again.

use std::time::Duration;

use midflight_message::Fingerprint;
use midflight_runtime::Instant;
use rustc_hash::FxHashMap;

/// The questions to one peer.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    asked: FxHashMap<Fingerprint, Asked>,
    /// It has not answered in time, and not well since.
    is_silent: bool,
    /// Whether somebody looks after what is overdue.
    is_watched: bool,
}

/// What has become of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Its answer is waited for, until then.
    Open(Instant),
    /// Nobody waits for its answer any more.
    Overdue,
    /// The peer has no such schema, and may be asked once more from then on.
    Without(Instant),
}

/// What is to be done for who needs a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ask {
    /// The peer is to be asked.
    pub(crate) send: bool,
    /// The answer is worth waiting for.
    pub(crate) wait: bool,
    /// Somebody is to look after what is overdue.
    pub(crate) watch: bool,
}

impl Schemas {
    /// Somebody needs a schema. The peer has `patience` to answer, and as long it is not asked once more
    /// when it had no answer.
    pub(crate) fn ask(&mut self, schema: Fingerprint, now: Instant, patience: Duration) -> Ask {
        let known = self.asked.get(&schema).copied();
        let (send, asked) = match known {
            Some(Asked::Without(again)) if again <= now => (true, Asked::Overdue),
            Some(asked) => (false, asked),
            None if self.is_silent => (true, Asked::Overdue),
            None => (true, Asked::Open(now + patience)),
        };
        if known != Some(asked) {
            self.asked.insert(schema, asked);
        }
        let wait = matches!(asked, Asked::Open(_));
        let watch = wait && !std::mem::replace(&mut self.is_watched, true);
        Ask { send, wait, watch }
    }

    /// Whether the answer to a question is worth waiting for.
    pub(crate) fn awaits(&self, schema: Fingerprint) -> bool {
        matches!(self.asked.get(&schema), Some(Asked::Open(_)))
    }

    /// The peer says what a schema is, or that it has none. Answers false when it was not asked.
    pub(crate) fn answered(
        &mut self,
        schema: Fingerprint,
        told: bool,
        now: Instant,
        patience: Duration,
    ) -> bool {
        match self.asked.get_mut(&schema) {
            None | Some(Asked::Without(_)) => false,
            Some(_) if told => {
                self.asked.remove(&schema);
                self.is_silent = false;
                true
            }
            Some(asked) => {
                *asked = Asked::Without(now + patience);
                true
            }
        }
    }

    /// Answers, in order, the questions that are not waited for any more from now on, and when to look
    /// again.
    pub(crate) fn expire(&mut self, now: Instant) -> (Vec<Fingerprint>, Option<Instant>) {
        let (mut overdue, mut next) = (Vec::new(), None);
        for (schema, asked) in &mut self.asked {
            let Asked::Open(until) = *asked else { continue };
            if until <= now {
                *asked = Asked::Overdue;
                overdue.push(*schema);
            } else {
                next = Some(next.map_or(until, |next: Instant| next.min(until)));
            }
        }
        overdue.sort_unstable();
        self.is_silent |= !overdue.is_empty();
        self.is_watched = next.is_some();
        (overdue, next)
    }

    /// All that it was asked, in order.
    pub(crate) fn into_asked(self) -> Vec<Fingerprint> {
        let mut asked: Vec<_> = self.asked.into_keys().collect();
        asked.sort_unstable();
        asked
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.asked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn schema(number: u8) -> Fingerprint {
        Fingerprint::of_text(&number.to_string())
    }

    fn at(seconds: u64) -> Instant {
        Instant::default() + Duration::from_secs(seconds)
    }

    fn ask(schemas: &mut Schemas, number: u8, seconds: u64) -> (bool, bool) {
        let Ask { send, wait, .. } = schemas.ask(schema(number), at(seconds), PATIENCE);
        (send, wait)
    }

    #[test]
    fn a_late_answer_counts() {
        let mut schemas = Schemas::default();
        assert_eq!(ask(&mut schemas, 1, 0), (true, true));
        assert_eq!(ask(&mut schemas, 1, 4), (false, true), "asked once");
        assert_eq!(schemas.expire(at(4)), (vec![], Some(at(5))));
        assert_eq!(schemas.expire(at(5)), (vec![schema(1)], None));
        assert_eq!(ask(&mut schemas, 1, 6), (false, false));
        assert!(schemas.answered(schema(1), true, at(60), PATIENCE));
        assert!(!schemas.answered(schema(1), true, at(60), PATIENCE), "it was not asked again");
    }

    #[test]
    fn nobody_waits_on_a_peer_that_was_silent_until_it_answers_well() {
        let mut schemas = Schemas::default();
        ask(&mut schemas, 1, 0);
        schemas.expire(at(5));
        assert_eq!(ask(&mut schemas, 2, 6), (true, false));
        assert!(schemas.answered(schema(2), false, at(7), PATIENCE));
        assert_eq!(ask(&mut schemas, 3, 8), (true, false), "that was no good answer");
        assert!(schemas.answered(schema(1), true, at(9), PATIENCE));
        assert_eq!(ask(&mut schemas, 4, 9), (true, true));
    }

    #[test]
    fn who_has_no_schema_is_asked_again_after_a_while() {
        let mut schemas = Schemas::default();
        ask(&mut schemas, 1, 0);
        assert!(schemas.answered(schema(1), false, at(1), PATIENCE));
        assert!(!schemas.answered(schema(1), false, at(1), PATIENCE), "once");
        assert_eq!(ask(&mut schemas, 1, 5), (false, false));
        assert_eq!(ask(&mut schemas, 1, 6), (true, false));
        assert!(schemas.answered(schema(1), true, at(7), PATIENCE));
    }

    #[test]
    fn one_looks_after_what_is_overdue() {
        let mut schemas = Schemas::default();
        assert!(schemas.ask(schema(1), at(0), PATIENCE).watch);
        assert!(!schemas.ask(schema(2), at(2), PATIENCE).watch);
        assert!(schemas.answered(schema(1), false, at(3), PATIENCE));
        assert_eq!(schemas.expire(at(5)), (vec![], Some(at(7))));
        assert_eq!(schemas.expire(at(7)), (vec![schema(2)], None));
        schemas.answered(schema(2), true, at(8), PATIENCE);
        assert!(schemas.ask(schema(3), at(9), PATIENCE).watch, "the one before has left");
    }
}
