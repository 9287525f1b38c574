//! What is about to go out on a link.
//!
//! Messages of at most [`SMALL_MAX`] bytes are encoded one behind the other into one buffer, which
//! the writer swaps for an empty one. Longer ones are kept by reference and leave as fragments, one
//! connection after the other, so that a huge message holds up nothing but its own connection; what
//! follows it on that connection queues behind it.

mod batch;
mod bulk;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;

use crate::frame::{CONNECTIONS_MAX, EXTENSIONS_MAX, FRAGMENT_MAX, HEADER_LEN, Kind, SLOT_BITS};
use crate::{ConnectionId, SendError, SendErrorKind, frame};

pub use batch::Batch;
use bulk::{Large, Queued};

/// The longest message that is copied into the contiguous buffer.
pub const SMALL_MAX: usize = 4096;

/// What somebody is about to append, and so which bounds count: what is short must not wait for room
/// among what is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Messages of at most [`SMALL_MAX`] bytes.
    Small,
    /// Messages of any length.
    Large,
}

impl Room {
    /// The room that a message of `len` bytes needs.
    #[must_use]
    pub const fn of(len: usize) -> Self {
        if len > SMALL_MAX { Self::Large } else { Self::Small }
    }
}

/// How much an [`Outgoing`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message; what the peer takes, if that is less.
    pub max_message: usize,
    /// Bytes in the contiguous buffer from which on there is no room for anything.
    pub small: usize,
    /// Bytes of long messages from which on there is no room for more of them; and bytes of short ones
    /// behind them, on their connections, from which on there is no room for anything.
    pub bulk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message: 64 << 20, small: 256 << 10, bulk: 8 << 20 }
    }
}

/// The outgoing batch of one link: lent by [`Link::write`](crate::Link::write) to those who send,
/// emptied by the writer.
#[derive(Debug)]
pub struct Outgoing {
    /// Whole frames, in order.
    small: Vec<u8>,
    slots: Vec<Slot>,
    /// Places to use again, the longest unused first.
    free: VecDeque<u16>,
    /// Places that have something queued, in the order of their turns.
    turns: VecDeque<u16>,
    /// Bytes of messages that are kept by reference.
    bulk_held: usize,
    /// Bytes of small frames that queue behind those.
    runs_held: usize,
    /// Lengths of the messages of which a fragment has left but not the last.
    begun: usize,
    limits: Limits,
    /// Whether to ask the peer for a sign of life, and whether to give it one.
    ping: bool,
    pong: bool,
    finish: Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    No,
    WhenEmpty,
    Taken,
}

#[derive(Debug)]
struct Slot {
    id: ConnectionId,
    open: bool,
    /// Not empty: the place is in `turns`.
    queue: VecDeque<Queued>,
}

/// For those who send.
impl Outgoing {
    /// Appends a message; it is copied.
    ///
    /// # Errors
    /// `Closed`, `TooLarge`; then nothing was appended.
    #[inline]
    pub fn message(&mut self, connection: ConnectionId, payload: &[u8]) -> Result<(), SendError> {
        let place = self.open_place(connection)?;
        if payload.len() > SMALL_MAX || !self.slots[place].queue.is_empty() {
            return self.message_behind(connection, payload);
        }
        self.limit(payload.len())?;
        let header = frame::header(Kind::Data, false, false, connection, payload.len());
        self.small.reserve(HEADER_LEN + payload.len());
        self.small.extend_from_slice(&header);
        self.small.extend_from_slice(payload);
        Ok(())
    }

    /// Appends a message that `fill` writes straight into the batch. `fill` appends and does nothing
    /// else to the buffer. `extensions` are entries made with
    /// [`push_extension`](frame::push_extension), or none.
    ///
    /// # Errors
    /// `Closed` before `fill` runs; `TooLarge`. Then nothing was appended.
    ///
    /// # Panics
    /// When `extensions` are longer than [`EXTENSIONS_MAX`], or `fill` has shortened the buffer.
    #[inline]
    pub fn message_with(
        &mut self,
        connection: ConnectionId,
        extensions: &[u8],
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), SendError> {
        let place = self.open_place(connection)?;
        assert!(extensions.len() <= EXTENSIONS_MAX, "at most 4 KiB of extensions");
        let queue = &mut self.slots[place].queue;
        let queued = !queue.is_empty();
        let buffer = if queued { Queued::run_at_end(queue) } else { &mut self.small };

        let mut append = Append { start: buffer.len(), buffer, done: false };
        append.buffer.extend_from_slice(&[0; HEADER_LEN]);
        let before = push_extensions(append.buffer, extensions);
        fill(append.buffer);
        let len = append.written();
        if len - before > self.limits.max_message {
            drop(append);
            self.drop_empty_run(place);
            return Err(SendErrorKind::TooLarge.into());
        }
        append.done = true;
        let start = append.start;
        let extended = before > 0;
        if len <= FRAGMENT_MAX {
            let header = frame::header(Kind::Data, false, extended, connection, len);
            append.buffer[start..start + HEADER_LEN].copy_from_slice(&header);
            if queued {
                self.runs_held += HEADER_LEN + len;
            }
            return Ok(());
        }
        let mut whole = Bytes::from(append.buffer.split_off(start));
        let payload = whole.split_off(HEADER_LEN);
        if append.buffer.capacity() > batch::KEEP_MAX {
            append.buffer.shrink_to(batch::KEEP_MAX);
        }
        drop(append);
        self.drop_empty_run(place);
        self.queue_large(place, Large::new(extended, [payload].into()));
        Ok(())
    }

    /// Appends the message `head` + `payload`; a large `payload` is kept by reference, uncopied.
    ///
    /// # Errors
    /// `Closed`, `TooLarge`; then nothing was appended.
    pub fn message_bytes(
        &mut self,
        connection: ConnectionId,
        head: &[u8],
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.message_parts(connection, &[], head, std::slice::from_ref(&payload))
    }

    /// Appends the message `head` + all of `parts`, one behind the other; of a large message the parts
    /// are kept by reference, uncopied. The receiver gets one payload and does not see the parts.
    /// `extensions` are as in [`message_with`](Self::message_with).
    ///
    /// # Errors
    /// `Closed`, `TooLarge`; then nothing was appended.
    ///
    /// # Panics
    /// When `extensions` are longer than [`EXTENSIONS_MAX`].
    pub fn message_parts(
        &mut self,
        connection: ConnectionId,
        extensions: &[u8],
        head: &[u8],
        parts: &[Bytes],
    ) -> Result<(), SendError> {
        let place = self.open_place(connection)?;
        let len = parts.iter().fold(head.len(), |len, part| len.saturating_add(part.len()));
        self.limit(len)?;
        if len <= SMALL_MAX {
            return self.message_with(connection, extensions, |buffer| {
                buffer.extend_from_slice(head);
                parts.iter().for_each(|part| buffer.extend_from_slice(part));
            });
        }
        assert!(extensions.len() <= EXTENSIONS_MAX, "at most 4 KiB of extensions");
        let mut before = Vec::with_capacity(extensions.len() + 2 + head.len());
        let extended = push_extensions(&mut before, extensions) > 0;
        before.extend_from_slice(head);
        let before = std::iter::once(Bytes::from(before));
        let parts = before.chain(parts.iter().cloned()).filter(|part| !part.is_empty());
        self.queue_large(place, Large::new(extended, parts.collect()));
        Ok(())
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.small.len() + self.runs_held + self.bulk_held
    }

    /// Whether there is room for such messages. They are taken in any case; who appends many in one go
    /// asks this between them, and then waits for [`Link::poll_ready`](crate::Link::poll_ready).
    #[must_use]
    pub const fn has_room(&self, room: Room) -> bool {
        let small = self.small.len() < self.limits.small && self.runs_held < self.limits.bulk;
        match room {
            Room::Small => small,
            Room::Large => small && self.bulk_held < self.limits.bulk,
        }
    }

    /// The longest message that this link takes: ours or the peer's limit, whichever is less.
    #[must_use]
    pub const fn max_message(&self) -> usize {
        self.limits.max_message
    }

    #[inline]
    fn open_place(&self, connection: ConnectionId) -> Result<usize, SendError> {
        let place = connection.0 as usize & (CONNECTIONS_MAX - 1);
        match self.slots.get(place) {
            Some(slot) if slot.id == connection && slot.open => Ok(place),
            _ => Err(SendError::new(SendErrorKind::Closed)),
        }
    }

    #[inline]
    fn limit(&self, len: usize) -> Result<(), SendError> {
        if len <= self.limits.max_message {
            Ok(())
        } else {
            Err(SendError::new(SendErrorKind::TooLarge))
        }
    }

    #[cold]
    fn message_behind(
        &mut self,
        connection: ConnectionId,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.limit(payload.len())?;
        if payload.len() > SMALL_MAX {
            return self.message_bytes(connection, &[], Bytes::copy_from_slice(payload));
        }
        self.message_with(connection, &[], |buffer| buffer.extend_from_slice(payload))
    }
}

/// For those who write a backend.
impl Outgoing {
    /// Nothing held, nothing open.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            small: Vec::new(),
            slots: Vec::new(),
            free: VecDeque::new(),
            turns: VecDeque::new(),
            bulk_held: 0,
            runs_held: 0,
            begun: 0,
            limits,
            ping: false,
            pong: false,
            finish: Finish::No,
        }
    }

    /// Opens a connection and appends the frame that says so. A number comes again only after a
    /// million others in its place, and never while the link lives: then there are no more.
    ///
    /// # Errors
    /// `TooMany`.
    pub fn open(&mut self) -> Result<ConnectionId, SendError> {
        let id = if let Some(place) = self.free.pop_front() {
            let slot = &mut self.slots[usize::from(place)];
            slot.id = ConnectionId(slot.id.0 + (1 << SLOT_BITS));
            slot.open = true;
            slot.id
        } else {
            let place = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            if self.slots.len() >= CONNECTIONS_MAX {
                return Err(SendErrorKind::TooMany.into());
            }
            self.slots.push(Slot { id: ConnectionId(place), open: true, queue: VecDeque::new() });
            ConnectionId(place)
        };
        self.control(Kind::Open, id);
        Ok(id)
    }

    /// Closes a connection behind what was appended to it; one that is not open stays so.
    pub fn close(&mut self, connection: ConnectionId) {
        let Ok(place) = self.open_place(connection) else { return };
        let slot = &mut self.slots[place];
        slot.open = false;
        if slot.queue.is_empty() {
            self.control(Kind::Close, connection);
            self.free_place(place);
        } else {
            let header = frame::header(Kind::Close, false, false, connection, 0);
            Queued::run_at_end(&mut slot.queue).extend_from_slice(&header);
            self.runs_held += HEADER_LEN;
        }
    }

    /// Has a ping sent with what goes out next. One is enough, however often it is asked for.
    pub const fn ping(&mut self) {
        self.ping = true;
    }

    /// Has an answer to all pings so far sent with what goes out next: a peer that pings without end
    /// and reads nothing makes nothing grow.
    pub const fn pong(&mut self) {
        self.pong = true;
    }

    /// From now on, the end of what is held is a bye. The backend lets nobody append after this.
    pub fn finish(&mut self) {
        if self.finish == Finish::No {
            self.finish = Finish::WhenEmpty;
        }
    }

    /// Takes everything out; nothing is open any more.
    pub(crate) const fn abandon(&mut self) -> Self {
        let nothing = Self::new(self.limits);
        std::mem::replace(self, nothing)
    }

    /// Whether the bye has been taken: nothing comes after it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finish == Finish::Taken
    }

    /// Whether [`take`](Self::take) would answer false.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let nothing_held = self.small.is_empty() && self.turns.is_empty();
        nothing_held && !self.ping && !self.pong && self.finish != Finish::WhenEmpty
    }

    /// Moves the next stretch to write into `batch`, whose own buffer is kept for later: all small
    /// frames, then a turn of fragments. Answers false when there is nothing.
    pub fn take(&mut self, batch: &mut Batch) -> bool {
        batch.renew(&mut self.small);
        for (due, kind) in [(&mut self.ping, Kind::Ping), (&mut self.pong, Kind::Pong)] {
            if std::mem::take(due) {
                batch.push(&frame::header(kind, false, false, ConnectionId(0), 0));
            }
        }
        self.take_bulk(batch);
        if self.finish == Finish::WhenEmpty && self.turns.is_empty() {
            batch.push(&frame::header(Kind::Bye, false, false, ConnectionId(0), 0));
            self.finish = Finish::Taken;
        }
        !batch.is_empty()
    }

    fn control(&mut self, kind: Kind, connection: ConnectionId) {
        self.small.extend_from_slice(&frame::header(kind, false, false, connection, 0));
    }

    /// A place whose numbers are used up is left alone.
    fn free_place(&mut self, place: usize) {
        if self.slots[place].id.0 >> SLOT_BITS < u32::MAX >> SLOT_BITS
            && let Ok(place) = u16::try_from(place)
        {
            self.free.push_back(place);
        }
    }
}

/// Takes back what was appended unless it is done: `fill` may panic.
struct Append<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    done: bool,
}

impl Append<'_> {
    /// Bytes written behind the header.
    fn written(&self) -> usize {
        let header_end = self.start + HEADER_LEN;
        assert!(self.buffer.len() >= header_end, "`fill` must only append");
        self.buffer.len() - header_end
    }
}

impl Drop for Append<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.buffer.truncate(self.start);
        }
    }
}

/// Appends the block of extensions, and says how many bytes it has: none when there are no entries.
fn push_extensions(buffer: &mut Vec<u8>, entries: &[u8]) -> usize {
    if entries.is_empty() {
        return 0;
    }
    let len = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(entries);
    2 + entries.len()
}
