//! Which processes of this node have sent on a link to another: each is told when the link is lost (P3).
//!
//! An entry for each place of the process table, in chunks that are made when they are needed. Whoever has
//! sent before looks at its own entry and finds that all is said: no lock, no look-up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::peer::wire::Place;

/// Entries in a chunk.
const CHUNK: usize = 1_024;
/// Chunks in the first row; each row has twice as many as the one before.
const FIRST_ROW: usize = 64;
/// Rows for all indices of 32 bits.
const ROWS: usize = 17;

type Chunk = Box<[AtomicU64]>;
type Row = Box<[OnceLock<Chunk>]>;

/// The senders of one link between nodes.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    rows: [OnceLock<Row>; ROWS],
}

/// What a process has done on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It has called: each call is told of its own end.
    Calls,
    /// It has sent messages, and is to be told when they may be lost.
    Messages,
    /// It has sent messages, and nobody reads it a notice.
    MessagesUntold,
}

/// An entry: the generation, and what it has done. 0 is nobody.
const fn entry(generation: u32, sent: Sent) -> u64 {
    let sent = match sent {
        Sent::Calls => 0,
        Sent::Messages => 1,
        Sent::MessagesUntold => 2,
    };
    (generation as u64 + 1) << 2 | sent
}

impl Senders {
    /// Whether the process may send (with `call`: may call) with no more ado.
    pub(crate) fn knows(&self, process: Place, call: bool) -> bool {
        let known = self.get(process.index).map_or(0, |entry| entry.load(Ordering::Relaxed));
        known >> 2 == u64::from(process.generation) + 1 && (call || known & 3 != 0)
    }

    /// Enters a process, unless the link is lost: then it has not sent, and the answer is false.
    /// `is_lost` is asked when the process has been entered, so that who tells of the loss finds it.
    pub(crate) fn enter(&self, process: Place, sent: Sent, is_lost: impl FnOnce() -> bool) -> bool {
        let own = self.get_or_make(process.index);
        let mine = entry(process.generation, sent);
        own.store(mine, Ordering::Release);
        fence(Ordering::SeqCst);
        if !is_lost() {
            return true;
        }
        // Found already, it is told of a loss that cost it nothing.
        let _ = own.compare_exchange(mine, 0, Ordering::AcqRel, Ordering::Acquire);
        false
    }

    /// The link is lost, and whoever asks is told so from now on: all who have sent, in order of their
    /// places, each once.
    pub(crate) fn end(&self) -> Vec<(Place, Sent)> {
        fence(Ordering::SeqCst);
        let mut senders = Vec::new();
        let mut first = 0;
        for (row, size) in self.rows.iter().zip((0..).map(|row| FIRST_ROW << row)) {
            for (at, chunk) in row.get().into_iter().flatten().enumerate() {
                let Some(chunk) = chunk.get() else { continue };
                for (offset, own) in chunk.iter().enumerate() {
                    let known = own.swap(0, Ordering::AcqRel);
                    let index = u32::try_from((first + at) * CHUNK + offset);
                    let generation = u32::try_from((known >> 2).wrapping_sub(1));
                    let (Ok(index), Ok(generation)) = (index, generation) else { continue };
                    let sent = match known & 3 {
                        0 => Sent::Calls,
                        1 => Sent::Messages,
                        _ => Sent::MessagesUntold,
                    };
                    senders.push((Place { index, generation }, sent));
                }
            }
            first += size;
        }
        senders
    }

    fn get(&self, index: u32) -> Option<&AtomicU64> {
        let (row, at, offset) = position(index);
        self.rows.get(row)?.get()?.get(at)?.get()?.get(offset)
    }

    fn get_or_make(&self, index: u32) -> &AtomicU64 {
        let (row, at, offset) = position(index);
        let size = FIRST_ROW << row;
        let row = self.rows[row].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        let chunk = row[at].get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        &chunk[offset]
    }
}

/// Row, place of the chunk in it, place in the chunk.
const fn position(index: u32) -> (usize, usize, usize) {
    let chunk = index as usize / CHUNK + FIRST_ROW;
    let row = (chunk / FIRST_ROW).ilog2() as usize;
    (row, chunk - (FIRST_ROW << row), index as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_entry() {
        let mut before = (0, 0, 0);
        for index in (0..=u32::MAX).step_by(CHUNK - 1) {
            let at = position(index);
            assert!(index == 0 || at > before, "{index}: {at:?}");
            assert!(at.0 < ROWS && at.1 < FIRST_ROW << at.0 && at.2 < CHUNK);
            before = at;
        }
        assert!(position(u32::MAX).0 < ROWS);
    }

    #[test]
    fn who_has_sent_is_told_once_and_in_order() {
        let senders = Senders::default();
        let place = |index, generation| Place { index, generation };
        for index in [900_000, 3, 70_000, 4] {
            assert!(!senders.knows(place(index, 1), true));
            assert!(senders.enter(place(index, 1), Sent::Messages, || false));
            assert!(senders.knows(place(index, 1), false));
            assert!(!senders.knows(place(index, 0), true), "the place's next process");
        }
        assert!(senders.enter(place(4, u32::MAX), Sent::Calls, || false));
        assert!(senders.knows(place(4, u32::MAX), true), "it may call …");
        assert!(!senders.knows(place(4, u32::MAX), false), "… and has not sent");
        assert!(!senders.enter(place(5, 1), Sent::Messages, || true), "lost meanwhile");
        let told = senders.end();
        let places = told.iter().map(|(place, _)| (place.index, place.generation));
        assert!(places.eq([(3, 1), (4, u32::MAX), (70_000, 1), (900_000, 1)]), "{told:?}");
        assert_eq!((told[0].1, told[1].1), (Sent::Messages, Sent::Calls));
        assert!(senders.end().is_empty());
    }
}
