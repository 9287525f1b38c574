//! Messages that nobody could take: kept, bounded, with the reason.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use midflight_message::{Fingerprint, Pid};
use midflight_runtime::Instant;
use parking_lot::Mutex;

use crate::envelope::Refusal;

/// A message that could not be read or was not accepted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// When.
    pub at: Instant,
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
    /// The encoded message.
    pub bytes: Bytes,
    /// Why it was not taken.
    pub refusal: Refusal,
}

/// How often messages of one type were not taken, by the version their sender had.
pub type Refused = BTreeMap<(String, u32), u64>;

/// The dead letters of a node. The oldest go first.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    letters_max: usize,
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    refused: Refused,
}

impl DeadLetters {
    /// Types counted apart; what comes after is not counted by type.
    const COUNTED_MAX: usize = 4_096;

    pub(crate) fn new(letters_max: usize, bytes_max: usize) -> Self {
        Self { letters_max, bytes_max, inner: Mutex::default() }
    }

    pub(crate) fn keep(&self, letter: DeadLetter) {
        let mut inner = self.inner.lock();
        let key = (letter.type_name.clone(), letter.version);
        if inner.refused.len() < Self::COUNTED_MAX || inner.refused.contains_key(&key) {
            *inner.refused.entry(key).or_default() += 1;
        }
        inner.bytes += letter.bytes.len();
        inner.letters.push_back(letter);
        while inner.letters.len() > self.letters_max || inner.bytes > self.bytes_max {
            let Some(oldest) = inner.letters.pop_front() else { break };
            inner.bytes -= oldest.bytes.len();
        }
    }

    pub(crate) fn all(&self) -> Vec<DeadLetter> {
        self.inner.lock().letters.iter().cloned().collect()
    }

    pub(crate) fn refused(&self) -> Refused {
        self.inner.lock().refused.clone()
    }
}
