//! One cell of the process table: everything about a process under one short lock, the rare parts
//! in a box of their own.

use futures_channel::oneshot;

use crate::mailbox::{Inbox, Mailbox};
use crate::relations::Relations;
use crate::scheduler::body::{Body, Label};
use crate::scheduler::frozen::Frozen;
use crate::send::RoomWait;
use crate::timers::Alarm;
use crate::timers::set::Held;
use crate::trace::Tracing;
use crate::waiters::Waiters;

/// Where a cell stands with the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Run {
    /// No process.
    #[default]
    Free,
    /// A process that is to come has its pid already.
    Reserved,
    /// Nothing to do.
    Idle,
    /// On a run queue.
    Queued,
    /// Its body is with a runner.
    Running,
    /// Waits for a wake-up in the middle of a message; messages do not wake it.
    Parked,
    /// Its body has been taken out between messages.
    Frozen,
}

/// A cell.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) generation: u32,
    pub(crate) run: Run,
    /// Woken while it was running or frozen.
    pub(crate) woken: bool,
    /// Its turns look at `Rare::trace`.
    pub(crate) traced: bool,
    pub(crate) alarm: Alarm,
    pub(crate) body: Option<Box<dyn Body>>,
    pub(crate) mailbox: Mailbox,
    /// Entries a turn has taken out and not handled; older than all in `mailbox`.
    pub(crate) front: Option<Box<Inbox>>,
    pub(crate) rare: Option<Box<Rare>>,
}

impl Slot {
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(crate) fn has_mail(&self) -> bool {
        self.front.is_some() || !self.mailbox.is_empty()
    }

    /// Whether `generation` lives here.
    pub(crate) fn is(&self, generation: u32) -> bool {
        self.run != Run::Free && self.generation == generation
    }
}

/// What most processes never have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) names: Vec<String>,
    /// Whether it is or was in groups, or watched some.
    pub(crate) in_groups: bool,
    pub(crate) relations: Relations,
    /// Senders that wait for room in the mailbox.
    pub(crate) room: Waiters,
    /// Where it is entered itself, if it waited for room last by [`Turn`](crate::scheduler::actions::Turn).
    pub(crate) waits_for_room: Option<RoomWait>,
    /// Who waits for the body.
    pub(crate) freeze: Option<oneshot::Sender<Frozen>>,
    /// Credit that remote senders' nodes are owed.
    pub(crate) owed: Vec<Owed>,
    /// What the body said it was when it was last at rest.
    pub(crate) label: Option<Label>,
    pub(crate) timers: Held,
    /// How it is traced.
    pub(crate) trace: Option<Box<Tracing>>,
}

/// Messages of one node's senders that were handled and not yet credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) node: u32,
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
}
