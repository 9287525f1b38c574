//! Messages that do not go into the contiguous buffer: fragments, in turns.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Batch, Outgoing};
use crate::frame::{FRAGMENT_MAX, HEADER_LEN, Kind};
use crate::{ConnectionId, frame};

/// About how many bytes of fragments go into one batch: what a small message waits for at most.
const BULK_PER_BATCH: usize = 4 * FRAGMENT_MAX;

/// The longest part of a message that is copied although its message is kept by reference.
const COPY_MAX: usize = 512;

/// Something queued on one connection.
#[derive(Debug)]
pub(super) enum Queued {
    /// A message that leaves as fragments.
    Large(Large),
    /// Small whole frames behind one, at most about a fragment of them.
    Run(Vec<u8>),
}

/// A message of which a part is still to leave.
#[derive(Debug)]
pub(super) struct Large {
    /// Whether the first part begins with extensions.
    extended: bool,
    /// What is left of it.
    parts: VecDeque<Bytes>,
    left: usize,
    len: usize,
    begun: bool,
}

impl Large {
    pub(super) fn new(extended: bool, parts: VecDeque<Bytes>) -> Self {
        let len = parts.iter().map(Bytes::len).sum();
        Self { extended, parts, left: len, len, begun: false }
    }

    /// Moves one fragment into `batch`; answers its length.
    fn take(&mut self, connection: ConnectionId, batch: &mut Batch) -> usize {
        let len = self.left.min(FRAGMENT_MAX);
        let more = self.left > len;
        let extended = self.extended && !self.begun;
        batch.push(&frame::header(Kind::Data, more, extended, connection, len));
        let mut wanted = len;
        while wanted > 0
            && let Some(part) = self.parts.front_mut()
        {
            let taken = part.split_to(part.len().min(wanted));
            wanted -= taken.len();
            if part.is_empty() {
                self.parts.pop_front();
            }
            // A short one is cheaper copied than written by itself.
            if taken.len() <= COPY_MAX { batch.push(&taken) } else { batch.push_bytes(taken) }
        }
        self.left -= len;
        self.begun = true;
        len
    }
}

impl Queued {
    /// The run at the end of a queue, to append to.
    pub(super) fn run_at_end(queue: &mut VecDeque<Self>) -> &mut Vec<u8> {
        let fits = matches!(queue.back(), Some(Self::Run(run)) if run.len() < FRAGMENT_MAX);
        if !fits {
            queue.push_back(Self::Run(Vec::new()));
        }
        match queue.back_mut() {
            Some(Self::Run(run)) => run,
            _ => unreachable!("a run was put there"),
        }
    }
}

impl Outgoing {
    pub(super) fn queue_large(&mut self, place: usize, message: Large) {
        let queue = &mut self.slots[place].queue;
        let first = queue.is_empty();
        self.bulk_held += message.len;
        queue.push_back(Queued::Large(message));
        if first {
            self.turns.push_back(place_number(place));
        }
    }

    /// Takes back a run that was begun for nothing.
    pub(super) fn drop_empty_run(&mut self, place: usize) {
        let queue = &mut self.slots[place].queue;
        if matches!(queue.back(), Some(Queued::Run(run)) if run.is_empty()) {
            queue.pop_back();
        }
    }

    /// Moves fragments into `batch`, one connection after the other.
    pub(super) fn take_bulk(&mut self, batch: &mut Batch) {
        let mut taken = 0;
        while taken < BULK_PER_BATCH
            && let Some(place) = self.turns.pop_front()
        {
            match self.take_turn(usize::from(place), batch) {
                // Not now: one that has begun must end first, and it is in the turns too.
                None => self.turns.push_back(place),
                Some(bytes) => {
                    taken += bytes;
                    self.end_turn(place);
                }
            }
        }
    }

    /// Moves one fragment or run of `place`; none if it has to wait.
    fn take_turn(&mut self, place: usize, batch: &mut Batch) -> Option<usize> {
        let slot = &mut self.slots[place];
        match slot.queue.front_mut()? {
            Queued::Run(run) => {
                let run = std::mem::take(run);
                slot.queue.pop_front();
                let len = run.len();
                self.runs_held -= len;
                batch.push_bytes(run.into());
                Some(len)
            }
            Queued::Large(message) => {
                // The receiver holds at most twice its longest message unfinished.
                let unfinished_max = self.limits.max_message.saturating_mul(2);
                if !message.begun {
                    if self.begun > 0 && self.begun + message.len > unfinished_max {
                        return None;
                    }
                    self.begun += message.len;
                }
                let len = message.take(slot.id, batch);
                if message.left == 0 {
                    // Its memory goes as a whole, however much of it has left.
                    self.bulk_held -= message.len;
                    self.begun -= message.len;
                    slot.queue.pop_front();
                }
                Some(len)
            }
        }
    }

    fn end_turn(&mut self, place: u16) {
        let slot = &mut self.slots[usize::from(place)];
        if !slot.queue.is_empty() {
            self.turns.push_back(place);
        } else if !slot.open {
            self.free_place(usize::from(place));
        }
    }
}

fn place_number(place: usize) -> u16 {
    u16::try_from(place).expect("there are at most CONNECTIONS_MAX places")
}

const _: () = assert!(HEADER_LEN < FRAGMENT_MAX);
