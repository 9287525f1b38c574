//! What a sender may leave in a mailbox, and why something is not taken there.

use crate::mailbox::Mailbox;
use crate::mailbox::envelope::Envelope;

/// Why something was not put into a mailbox; it is given back.
#[derive(Debug)]
pub(crate) enum NotDelivered {
    Dead(Envelope),
    Full(Envelope),
}

/// Why a mailbox takes nothing.
pub(super) enum Shut {
    Dead,
    Full,
}

impl Shut {
    /// The entry is given back.
    #[cold]
    pub(super) fn gives_back(self, entry: Envelope) -> NotDelivered {
        match self {
            Self::Dead => NotDelivered::Dead(entry),
            Self::Full => NotDelivered::Full(entry),
        }
    }
}

/// The mailbox has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// Bounds a local sender keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
}

impl Room {
    pub(super) fn has_some(self, mailbox: &Mailbox) -> bool {
        mailbox.messages < self.messages && mailbox.bytes < self.bytes
    }
}
