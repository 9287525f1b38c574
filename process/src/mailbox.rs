//! A process's mailbox: one entry in the cell itself, the rest in a buffer that exists only while
//! there is something in it, small payloads copied into the buffer's byte segment.
//!
//! The consumer takes the whole buffer out at once. Measured: a single short lock with a
//! whole-buffer swap beat every lock-free queue, and the entry in the cell spares an allocation in
//! request and reply.

pub(crate) mod came;
pub(crate) mod envelope;
pub(crate) mod value;

use std::collections::VecDeque;

use midflight_message::Pid;
use parking_lot::Mutex;

use crate::mailbox::came::Came;
use crate::mailbox::envelope::{Envelope, NOTICE_WEIGHT, Parcel, SMALL_OVERHEAD, Sender};
use crate::scheduler::turn::Handled;
use crate::trace::TraceContext;
use crate::types::TypeNo;

/// Bytes of entries that were taken out which a segment may keep.
const SEGMENT_SLACK: usize = 4_096;

/// A buffer of entries with the segment their small payloads lie in.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) entries: VecDeque<Envelope>,
    pub(crate) segment: Vec<u8>,
    /// Bytes of the segment that belong to entries.
    held: usize,
}

impl Inbox {
    pub(crate) fn push_small(&mut self, from: Sender, ty: TypeNo, payload: &[u8]) {
        self.push_to(0, from, ty, payload);
    }

    /// As [`Inbox::push_small`], for a port.
    pub(crate) fn push_to(&mut self, port: u32, from: Sender, ty: TypeNo, payload: &[u8]) {
        // The bounds of mailboxes and windows keep a segment far below 4 GiB.
        let start = u32::try_from(self.segment.len()).expect("a segment is bounded by the mailbox");
        let len = u32::try_from(payload.len()).expect("a small payload is small");
        self.segment.extend_from_slice(payload);
        self.held += payload.len();
        self.entries.push_back(Envelope::Small { from, port, ty, start, len });
    }

    /// Puts a small message at `at`.
    pub(crate) fn insert_small(&mut self, at: usize, from: Sender, ty: TypeNo, payload: &[u8]) {
        self.compact();
        self.push_small(from, ty, payload);
        if at + 1 < self.entries.len()
            && let Some(entry) = self.entries.pop_back()
        {
            self.entries.insert(at, entry);
        }
    }

    /// Takes the entry at `at` out and puts another into its place. The bytes of a small one stay
    /// until others are added.
    pub(crate) fn replace(&mut self, at: usize, entry: Envelope) -> Option<Envelope> {
        let before = std::mem::replace(self.entries.get_mut(at)?, entry);
        self.let_go(&before);
        Some(before)
    }

    /// The bytes of a small entry that was taken out of `entries` are needed no longer.
    pub(crate) fn let_go(&mut self, entry: &Envelope) {
        if let Envelope::Small { len, .. } = entry {
            self.held -= *len as usize;
        }
    }

    /// Copies the bytes of a small entry that was just taken out.
    pub(crate) fn copy_small(&self, entry: &Envelope, into: &mut Vec<u8>) {
        if let Envelope::Small { start, len, .. } = entry {
            into.clear();
            into.extend_from_slice(self.small(*start, *len));
        }
    }

    /// Takes the entry at `at` out. The bytes of a small one stay until others are appended.
    pub(crate) fn remove(&mut self, at: usize) -> Option<Envelope> {
        let entry = match at {
            0 => self.entries.pop_front(),
            at => self.entries.remove(at),
        }?;
        self.let_go(&entry);
        Some(entry)
    }

    /// The bytes of a small entry.
    pub(crate) fn small(&self, start: u32, len: u32) -> &[u8] {
        &self.segment[start as usize..start as usize + len as usize]
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.segment.clear();
        self.held = 0;
    }

    /// Drops the bytes of entries that were taken out, once they are most of the segment: an inbox
    /// that is never empty must not grow for ever.
    fn compact(&mut self) {
        if self.segment.len() < 2 * self.held + SEGMENT_SLACK {
            return;
        }
        let mut kept = Vec::with_capacity(self.held);
        for entry in &mut self.entries {
            if let Envelope::Small { start, len, .. } = entry {
                let range = *start as usize..*start as usize + *len as usize;
                // No more than it was.
                *start = u32::try_from(kept.len()).unwrap_or(u32::MAX);
                kept.extend_from_slice(&self.segment[range]);
            }
        }
        self.segment = kept;
    }

    /// Appends all of `other`, which is left empty.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.compact();
        self.held += std::mem::take(&mut other.held);
        let base = u32::try_from(self.segment.len()).expect("a segment is bounded by the mailbox");
        self.segment.append(&mut other.segment);
        self.entries.extend(other.entries.drain(..).map(|entry| match entry {
            Envelope::Small { from, port, ty, start, len } => {
                Envelope::Small { from, port, ty, start: start + base, len }
            }
            entry => entry,
        }));
    }
}

/// What came and has not been taken.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// In one piece, as a turn takes it.
    came: Came,
    /// What came and has not been handled, for the bounds that local senders keep to.
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
    /// Notices among it.
    pub(crate) notices: u32,
}

impl Mailbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.came.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.came.first.is_some())
            + self.came.rest.as_ref().map_or(0, |rest| rest.entries.len())
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Envelope, pool: &InboxPool) {
        let (messages, bytes) = entry.weight();
        self.messages += messages;
        self.bytes = self.bytes.saturating_add(bytes);
        self.notices += u32::from((messages, bytes) == NOTICE_WEIGHT);
        match &mut self.came.rest {
            None if self.came.first.is_none() => self.came.first = Some(entry),
            rest => rest.get_or_insert_with(|| pool.take()).entries.push_back(entry),
        }
    }

    /// All that wait for a turn, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Envelope> {
        self.came.iter()
    }

    /// How many entries wait for a turn, those that count nothing among them.
    pub(crate) fn entries(&self) -> usize {
        usize::from(self.came.first.is_some())
            + self.came.rest.as_ref().map_or(0, |rest| rest.entries.len())
    }

    /// Appends a small encoded message.
    pub(crate) fn push_small(
        &mut self,
        from: Sender,
        ty: TypeNo,
        payload: &[u8],
        pool: &InboxPool,
    ) {
        self.messages += 1;
        let bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(SMALL_OVERHEAD);
        self.came.rest.get_or_insert_with(|| pool.take()).push_small(from, ty, payload);
    }

    /// Appends a run of entries; an empty mailbox takes over the buffer as it is.
    pub(crate) fn push_run(&mut self, run: &mut Box<Inbox>, pool: &InboxPool) {
        for entry in &run.entries {
            let (messages, bytes) = entry.weight();
            self.messages += messages;
            self.bytes = self.bytes.saturating_add(bytes);
        }
        match &mut self.came.rest {
            Some(rest) => rest.append(run),
            None => self.came.rest = Some(std::mem::replace(run, pool.take())),
        }
    }

    /// Takes everything. What was taken goes on counting until it has been handled.
    #[inline]
    pub(crate) fn take(&mut self) -> Came {
        std::mem::take(&mut self.came)
    }

    /// Takes the oldest entry alone, and the context that lies before it.
    #[cold]
    pub(crate) fn take_next(
        &mut self,
        spare: impl FnOnce() -> Box<Inbox>,
    ) -> (Option<TraceContext>, Box<Inbox>) {
        let mut inbox = spare();
        let mut context = None;
        while let Some(entry) = self.pop(&mut inbox) {
            match entry {
                Envelope::Parcel { parcel, .. } if matches!(*parcel, Parcel::Mark(_)) => {
                    if let Parcel::Mark(mark) = *parcel {
                        context = Some(mark);
                    }
                }
                entry => {
                    inbox.entries.push_back(entry);
                    break;
                }
            }
        }
        (context, inbox)
    }

    /// Takes the oldest entry; the bytes of a small one go into `inbox`'s segment.
    fn pop(&mut self, inbox: &mut Inbox) -> Option<Envelope> {
        if let Some(head) = self.came.first.take() {
            return Some(head);
        }
        let rest = self.came.rest.as_mut()?;
        let entry = rest.remove(0)?;
        let entry = match entry {
            Envelope::Small { from, port, ty, start, len } => {
                inbox.push_to(port, from, ty, rest.small(start, len));
                inbox.entries.pop_back()?
            }
            entry => entry,
        };
        if rest.entries.is_empty() {
            self.came.rest = None;
        }
        Some(entry)
    }

    /// Drops the exit signals that came over a link to `other`: it has been unlinked.
    pub(crate) fn forget_link_exits(&mut self, other: Pid) {
        let is_one = |entry: &Envelope| {
            matches!(entry, Envelope::Parcel { parcel, .. }
                if matches!(**parcel, Parcel::Exit { link: Some(linked), .. } if linked == other))
        };
        drop(self.came.first.take_if(|head| is_one(head)));
        if let Some(rest) = &mut self.came.rest {
            rest.entries.retain(|entry| !is_one(entry));
        }
    }

    /// So much of what was taken has been handled.
    pub(crate) const fn handled(&mut self, handled: &Handled) {
        self.messages = self.messages.saturating_sub(handled.messages);
        self.bytes = self.bytes.saturating_sub(handled.bytes);
        self.notices = self.notices.saturating_sub(handled.notices);
    }
}

/// Buffers that nobody uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct InboxPool {
    #[expect(clippy::vec_box, reason = "the boxes move between mailboxes as they are")]
    free: Mutex<Vec<Box<Inbox>>>,
}

impl InboxPool {
    /// Buffers kept; beyond it they are freed.
    const KEPT_MAX: usize = 16;
    /// The largest buffer kept, in entries and bytes: one is kept that a peer's window of small messages has filled.
    const ENTRIES_MAX: usize = 16_384;
    const SEGMENT_MAX: usize = 2 << 20;

    pub(crate) fn take(&self) -> Box<Inbox> {
        self.free.lock().pop().unwrap_or_default()
    }

    pub(crate) fn give(&self, mut inbox: Box<Inbox>) {
        if !Self::is_kept(&inbox) {
            return;
        }
        inbox.clear();
        let mut free = self.free.lock();
        if free.len() < Self::KEPT_MAX {
            free.push(inbox);
        }
    }

    /// Whether a buffer is small enough to be kept while nobody uses it.
    pub(crate) fn is_kept(inbox: &Inbox) -> bool {
        inbox.entries.capacity() <= Self::ENTRIES_MAX
            && inbox.segment.capacity() <= Self::SEGMENT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(mailbox: &mut Mailbox, pool: &InboxPool, text: &[u8]) {
        let mut run = pool.take();
        run.push_small(Sender::NOBODY, TypeNo(1), text);
        mailbox.push_run(&mut run, pool);
    }

    #[test]
    fn order_holds_across_the_three_places() {
        let pool = InboxPool::default();
        let mut mailbox = Mailbox::default();
        mailbox.push(
            Envelope::Value { from: Sender::NOBODY, value: Box::new(String::from("first")) },
            &pool,
        );
        small(&mut mailbox, &pool, b"second");
        small(&mut mailbox, &pool, b"third");
        assert_eq!(mailbox.len(), 3);
        let came = mailbox.take();
        assert!(mailbox.is_empty());
        let texts: Vec<_> = came
            .iter()
            .map(|entry| match entry {
                Envelope::Small { start, len, .. } => {
                    String::from_utf8(came.small(*start, *len).to_vec()).unwrap()
                }
                _ => "value".into(),
            })
            .collect();
        assert_eq!(texts, ["value", "second", "third"]);
    }

    #[test]
    fn an_inbox_that_is_never_empty_does_not_grow_for_ever() {
        let mut inbox = Inbox::default();
        inbox.push_small(Sender::NOBODY, TypeNo(1), b"the oldest");
        for number in 0..10_000_u32 {
            let mut more = Inbox::default();
            more.push_small(Sender::NOBODY, TypeNo(1), &number.to_le_bytes());
            inbox.append(&mut more);
            let Some(Envelope::Small { start, len, .. }) = inbox.remove(1) else { panic!("gone") };
            assert_eq!(inbox.small(start, len), number.to_le_bytes());
        }
        let Some(Envelope::Small { start, len, .. }) = inbox.remove(0) else { panic!("gone") };
        assert_eq!(inbox.small(start, len), b"the oldest");
        assert!(inbox.segment.len() <= SEGMENT_SLACK + 100, "{}", inbox.segment.len());
    }
}
