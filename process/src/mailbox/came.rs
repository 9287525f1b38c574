//! What a turn has taken out of a mailbox.

use crate::mailbox::Inbox;
use crate::mailbox::envelope::{Envelope, Sender};
use crate::mailbox::value::Value;

/// What was taken out of a mailbox, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Came {
    /// The oldest, where it lay in the cell: a message alone, as in request and reply, needs no buffer.
    pub(super) first: Option<Envelope>,
    pub(super) rest: Option<Box<Inbox>>,
}

impl From<Option<Box<Inbox>>> for Came {
    fn from(rest: Option<Box<Inbox>>) -> Self {
        Self { first: None, rest }
    }
}

impl Came {
    pub(crate) const NOTHING: Self = Self { first: None, rest: None };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.as_ref().is_none_or(|rest| rest.entries.is_empty())
    }

    /// All entries, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Envelope> {
        self.first.iter().chain(self.rest.iter().flat_map(|rest| &rest.entries))
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = Envelope> {
        self.first.into_iter().chain(self.rest.into_iter().flat_map(|rest| rest.entries))
    }

    /// The newest.
    pub(crate) fn last(&self) -> Option<&Envelope> {
        self.rest.as_ref().and_then(|rest| rest.entries.back()).or(self.first.as_ref())
    }

    /// Takes the oldest. The bytes of a small one stay until others are appended.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Envelope> {
        self.first.take().or_else(|| self.rest.as_mut()?.remove(0))
    }

    /// Takes the oldest, if it lay in the cell and is something that no receive takes.
    pub(crate) fn pop_first_apart(&mut self) -> Option<Envelope> {
        self.first.take_if(|first| first.is_apart())
    }

    /// Takes the oldest that is one.
    pub(crate) fn pop_where(&mut self, is_one: impl Fn(&Envelope) -> bool) -> Option<Envelope> {
        if self.first.as_ref().is_some_and(&is_one) {
            return self.first.take();
        }
        let rest = self.rest.as_mut()?;
        rest.remove(rest.entries.iter().position(is_one)?)
    }

    /// Whether something is in it that no receive takes.
    #[inline]
    pub(crate) fn has_apart(&self) -> bool {
        self.first.as_ref().is_some_and(Envelope::is_apart)
            || self.rest.as_ref().is_some_and(|rest| rest.entries.iter().any(Envelope::is_apart))
    }

    /// Takes the oldest, if it is a value that a process of this node has moved here.
    #[inline]
    pub(crate) fn pop_value(&mut self) -> Option<(Sender, Box<dyn Value>)> {
        let is_value =
            |entry: &Envelope| matches!(entry, Envelope::Value { from, .. } if !from.is_remote());
        let oldest = match &self.first {
            Some(_) => self.first.take_if(|first| is_value(first)),
            None => {
                let entries = &mut self.rest.as_mut()?.entries;
                if entries.front().is_some_and(is_value) { entries.pop_front() } else { None }
            }
        };
        match oldest? {
            Envelope::Value { from, value } => Some((from, value)),
            _ => None,
        }
    }

    /// Puts a value that was popped back into its place.
    pub(crate) fn put_back(&mut self, from: Sender, value: Box<dyn Value>) {
        let entry = Envelope::Value { from, value };
        match &mut self.rest {
            Some(rest) if self.first.is_none() => rest.entries.push_front(entry),
            _ => self.first = Some(entry),
        }
    }

    /// The bytes of a small entry that was just popped.
    pub(crate) fn small(&self, start: u32, len: u32) -> &[u8] {
        self.rest.as_ref().map_or(&[], |rest| rest.small(start, len))
    }

    /// All of it in one buffer, if there is anything, or a buffer.
    #[inline]
    pub(crate) fn gather(self, spare: impl FnOnce() -> Box<Inbox>) -> Option<Box<Inbox>> {
        let Some(first) = self.first else { return self.rest };
        let mut inbox = self.rest.unwrap_or_else(spare);
        inbox.entries.push_front(first);
        Some(inbox)
    }
}
