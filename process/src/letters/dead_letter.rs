//! Messages that nobody could take: kept, bounded, with the reason, until an operator has looked at them,
//! sent them again or thrown them away; and how many there were of each kind.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use midflight_message::{Fingerprint, Pid};
use midflight_runtime::Instant;
use parking_lot::Mutex;

use crate::RefusalKind;
use crate::mailbox::envelope::Refusal;

/// The number of a dead letter, on the node that keeps it. Numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(pub(crate) NonZeroU64);

impl LetterId {
    /// The letter of this number; 0 is none.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for LetterId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A message that could not be read or was not accepted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number on this node.
    pub id: LetterId,
    /// When, on the node's clock.
    pub at: Instant,
    /// When, since the beginning of 1970 by the machine's clock.
    pub unix: Duration,
    /// Who sent it; `None` when it came from outside any process.
    pub from: Option<Pid>,
    /// To whom.
    pub to: Pid,
    /// The message's type.
    pub type_name: String,
    /// The message's version, as its sender has it.
    pub version: u32,
    /// The fingerprint of the sender's schema.
    pub fingerprint: Fingerprint,
    /// The encoded message; empty when it did not encode.
    pub bytes: Bytes,
    /// Whether it was a call, whose caller has been told.
    pub call: bool,
    /// Why it was not taken.
    pub refusal: Refusal,
    /// The letter that an operator had sent again, when this is what became of it.
    pub again: Option<LetterId>,
}

/// How many messages of one kind were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedCount {
    /// The messages' type.
    pub type_name: String,
    /// The version their sender had.
    pub from_version: u32,
    /// The version their receiver had, where it has the type and it is known.
    pub to_version: Option<u32>,
    /// Why they were not taken.
    pub kind: RefusalKind,
    /// Whether they were not even sent: their sender is on this node, and knew (`Incompatible` at
    /// `send`).
    pub at_send: bool,
    /// How many.
    pub times: u64,
}

/// Type, sender's version, receiver's version, why, and whether the sender knew.
type Kind = (String, u32, Option<u32>, RefusalKind, bool);

/// What becomes a letter, but for what the store adds.
#[derive(Debug)]
pub(crate) struct NewLetter {
    pub(crate) at: Instant,
    pub(crate) unix: Duration,
    pub(crate) from: Option<Pid>,
    pub(crate) to: Pid,
    pub(crate) type_name: String,
    pub(crate) version: u32,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) bytes: Bytes,
    pub(crate) call: bool,
    pub(crate) refusal: Refusal,
    pub(crate) again: Option<LetterId>,
}

/// The dead letters of a node. The oldest go first.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    letters_max: usize,
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In order of their numbers.
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    last: u64,
    /// Letters that had to go for newer ones, or were too large to be kept.
    lost: u64,
    refused: BTreeMap<Kind, u64>,
}

impl Inner {
    fn keep_bounds(&mut self, letters_max: usize, bytes_max: usize) {
        while self.letters.len() > letters_max || self.bytes > bytes_max {
            let Some(oldest) = self.letters.pop_front() else { break };
            self.bytes -= weight(&oldest);
            self.lost += 1;
        }
    }
}

impl DeadLetters {
    /// Kinds counted apart; what comes after is not counted by kind.
    const COUNTED_MAX: usize = 4_096;
    /// What a letter counts beside its bytes: what is said about it, which is bounded too.
    const OVERHEAD: usize = 1_024;

    pub(crate) fn new(letters_max: usize, bytes_max: usize) -> Self {
        Self { letters_max, bytes_max, inner: Mutex::default() }
    }

    /// Keeps a letter, and answers its number.
    pub(crate) fn keep(&self, new: NewLetter) -> LetterId {
        let NewLetter { at, unix, from, to, type_name, version, fingerprint, .. } = new;
        let NewLetter { bytes, call, refusal, again, .. } = new;
        let mut inner = self.inner.lock();
        inner.last += 1;
        let id = LetterId(NonZeroU64::MIN.saturating_add(inner.last - 1));
        let letter = DeadLetter {
            id,
            at,
            unix,
            from,
            to,
            type_name,
            version,
            fingerprint,
            bytes,
            call,
            refusal,
            again,
        };
        if weight(&letter) > self.bytes_max {
            // It alone would drive out all others, and then itself.
            inner.lost += 1;
            return id;
        }
        inner.bytes += weight(&letter);
        inner.letters.push_back(letter);
        inner.keep_bounds(self.letters_max, self.bytes_max);
        id
    }

    /// Counts a message that was not taken, or with `at_send` not sent.
    pub(crate) fn count(
        &self,
        type_name: &str,
        versions: (u32, Option<u32>),
        kind: RefusalKind,
        at_send: bool,
    ) {
        let mut inner = self.inner.lock();
        let key = (type_name.to_owned(), versions.0, versions.1, kind, at_send);
        if inner.refused.len() < Self::COUNTED_MAX || inner.refused.contains_key(&key) {
            *inner.refused.entry(key).or_default() += 1;
        }
    }

    pub(crate) fn all(&self) -> Vec<DeadLetter> {
        self.inner.lock().letters.iter().cloned().collect()
    }

    pub(crate) fn get(&self, id: LetterId) -> Option<DeadLetter> {
        let inner = self.inner.lock();
        let at = inner.letters.binary_search_by_key(&id, |letter| letter.id).ok()?;
        inner.letters.get(at).cloned()
    }

    pub(crate) fn remove(&self, id: LetterId) -> Option<DeadLetter> {
        let mut inner = self.inner.lock();
        let at = inner.letters.binary_search_by_key(&id, |letter| letter.id).ok()?;
        let letter = inner.letters.remove(at)?;
        inner.bytes -= weight(&letter);
        Some(letter)
    }

    /// Puts a letter back that was taken out for something that failed.
    pub(crate) fn put_back(&self, letter: DeadLetter) {
        let mut inner = self.inner.lock();
        let Err(at) = inner.letters.binary_search_by_key(&letter.id, |kept| kept.id) else {
            return;
        };
        inner.bytes += weight(&letter);
        inner.letters.insert(at, letter);
        inner.keep_bounds(self.letters_max, self.bytes_max);
    }

    pub(crate) fn clear(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.bytes = 0;
        // Dropped without the lock: there may be many.
        let letters = std::mem::take(&mut inner.letters);
        drop(inner);
        letters.len()
    }

    /// How many are kept, the bytes they count, and how many are lost to the bounds.
    pub(crate) fn totals(&self) -> (usize, usize, u64) {
        let inner = self.inner.lock();
        (inner.letters.len(), inner.bytes, inner.lost)
    }

    pub(crate) fn refused(&self) -> Vec<RefusedCount> {
        let inner = self.inner.lock();
        let count = |((name, from, to, kind, at_send), times): (&Kind, &u64)| RefusedCount {
            type_name: name.clone(),
            from_version: *from,
            to_version: *to,
            kind: *kind,
            at_send: *at_send,
            times: *times,
        };
        inner.refused.iter().map(count).collect()
    }
}

fn weight(letter: &DeadLetter) -> usize {
    letter.bytes.len() + DeadLetters::OVERHEAD
}

#[cfg(test)]
mod tests {
    use midflight_message::{Message as _, NodeId};

    use super::*;

    fn letter(bytes: usize) -> NewLetter {
        let pid = Pid { node: NodeId(1), index: 2, generation: 3 };
        NewLetter {
            at: Instant::default(),
            unix: Duration::ZERO,
            from: None,
            to: pid,
            type_name: "u64".into(),
            version: 1,
            fingerprint: u64::type_info().fingerprint(),
            bytes: vec![0; bytes].into(),
            call: false,
            refusal: Refusal::NoProcess,
            again: None,
        }
    }

    fn numbers(letters: &DeadLetters) -> Vec<u64> {
        letters.all().iter().map(|letter| letter.id.get()).collect()
    }

    #[test]
    fn letters_are_bounded_in_number_and_the_oldest_go_first() {
        let letters = DeadLetters::new(3, usize::MAX);
        for _ in 0..5 {
            letters.keep(letter(10));
        }
        assert_eq!(numbers(&letters), [3, 4, 5]);
        assert_eq!(letters.totals(), (3, 3 * (10 + DeadLetters::OVERHEAD), 2));
    }

    #[test]
    fn letters_are_bounded_in_bytes_and_one_too_large_drives_out_no_other() {
        let letters = DeadLetters::new(usize::MAX, 2 * (100 + DeadLetters::OVERHEAD));
        for _ in 0..3 {
            letters.keep(letter(100));
        }
        assert_eq!(numbers(&letters), [2, 3]);
        letters.keep(letter(1 << 20));
        assert_eq!(numbers(&letters), [2, 3]);
        letters.keep(letter(0));
        assert_eq!(numbers(&letters), [3, 5]);
        assert_eq!(letters.totals().2, 3);
    }

    #[test]
    fn a_letter_is_taken_out_once_and_its_bytes_with_it() {
        let letters = DeadLetters::new(10, usize::MAX);
        let ids: Vec<_> = (0..3).map(|_| letters.keep(letter(10))).collect();
        assert!(letters.remove(ids[1]).is_some());
        assert!(letters.remove(ids[1]).is_none());
        assert!(letters.get(ids[1]).is_none());
        assert_eq!(letters.get(ids[2]).map(|letter| letter.id), Some(ids[2]));
        assert_eq!(letters.clear(), 2);
        assert_eq!(letters.totals(), (0, 0, 0));
    }

    #[test]
    fn kinds_that_are_counted_are_bounded() {
        let letters = DeadLetters::new(1, 1);
        for version in 0..5_000 {
            letters.count("x", (version, None), RefusalKind::Garbled, false);
        }
        letters.count("x", (0, None), RefusalKind::Garbled, false);
        let refused = letters.refused();
        assert_eq!(refused.len(), DeadLetters::COUNTED_MAX);
        assert_eq!(refused[0].times, 2);
    }
}
