//! One turn of a process: what has come, and what it may do about it.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use bytes::Bytes;
use midflight_message::Pid;
use midflight_runtime::Instant;

use crate::ExitReason;
use crate::mailbox::came::Came;
use crate::mailbox::envelope::{
    CallRef, Content, Envelope, NOTICE_WEIGHT, Parcel, Refusal, Sender, TOLD_WEIGHT,
};
use crate::mailbox::value::Value;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::pace::{Pace, Spent};
use crate::send::MOVED_WEIGHT;
use crate::table::slot::Owed;
use crate::types::TypeNo;

/// What a process has before it in one turn.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) came: Came,
    pub(crate) handled: Handled,
}

/// What a turn has taken out of the mailbox, to be told to those who wait for room.
#[derive(Debug, Default)]
pub(crate) struct Handled {
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
    pub(crate) notices: u32,
    pub(crate) remote: Vec<Owed>,
}

impl Handled {
    #[inline]
    pub(crate) fn add(&mut self, from: Sender, (messages, bytes): (u32, u32)) {
        self.messages += messages;
        self.bytes = self.bytes.saturating_add(bytes);
        self.notices += u32::from((messages, bytes) == NOTICE_WEIGHT);
        // What took no credit gives none back: it is no message of its sender's.
        if messages == 0 || (messages, bytes) == TOLD_WEIGHT || !from.is_remote() {
            return;
        }
        self.owe(Owed { node: from.node, messages, bytes });
    }

    fn owe(&mut self, more: Owed) {
        match self.remote.iter_mut().find(|owed| owed.node == more.node) {
            Some(owed) => {
                owed.messages += more.messages;
                owed.bytes = owed.bytes.saturating_add(more.bytes);
            }
            None => self.remote.push(more),
        }
    }

    /// As [`add`](Self::add), of so many values that processes of this node have moved.
    #[inline]
    pub(crate) const fn add_moved(&mut self, count: u32) {
        let (messages, bytes) = MOVED_WEIGHT;
        self.messages += count * messages;
        self.bytes = self.bytes.saturating_add(count.saturating_mul(bytes));
    }

    /// Takes back what [`add`](Self::add) added.
    pub(crate) fn undo(&mut self, from: Sender, (messages, bytes): (u32, u32)) {
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
        if (messages, bytes) == NOTICE_WEIGHT {
            self.notices = self.notices.saturating_sub(1);
            return;
        }
        if (messages, bytes) == TOLD_WEIGHT {
            return;
        }
        if let Some(owed) = self.remote.iter_mut().find(|owed| owed.node == from.node) {
            owed.messages = owed.messages.saturating_sub(messages);
            owed.bytes = owed.bytes.saturating_sub(bytes);
        }
    }

    /// Whether there is nothing to tell.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.messages == 0 && self.bytes == 0 && self.notices == 0 && self.remote.is_empty()
    }

    pub(crate) fn merge(&mut self, other: &mut Self) {
        self.messages += std::mem::take(&mut other.messages);
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
        self.notices += std::mem::take(&mut other.notices);
        other.remote.drain(..).for_each(|owed| self.owe(owed));
    }
}

/// A message's content as a body sees it.
#[derive(Debug)]
pub enum View<'a> {
    /// Moved by a process of the node's own image.
    Value(Box<dyn Value>),
    /// Encoded.
    Bytes(TypeNo, &'a [u8]),
    /// Encoded and large.
    Large(TypeNo, Bytes),
}

/// Who is to get a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub(crate) from: Sender,
    pub(crate) call: CallRef,
}

impl Caller {
    /// The caller's number for the call.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.call.0
    }
}

/// Something that has come.
#[derive(Debug)]
#[non_exhaustive]
pub enum Delivery<'a> {
    /// A message, or a call when it has a caller.
    Message {
        /// Who sent it.
        from: Origin,
        /// What.
        content: View<'a>,
        /// Who wants a reply.
        caller: Option<Caller>,
    },
    /// The reply to a call of this process's.
    Reply {
        /// Who replied.
        from: Origin,
        /// Which call.
        call: CallRef,
        /// The reply, or why there is none.
        result: Result<View<'a>, Refusal>,
    },
    /// The process is to end.
    Exit(ExitReason),
    /// A value for a port, which a body that makes none refuses ([`Refusal::NoPort`]).
    Stray {
        /// Who sent it.
        from: Origin,
        /// The port's number.
        port: u32,
        /// What.
        content: View<'a>,
    },
}

/// Where a message came from, in the node's own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Who has sent it first.
    pub(crate) of: Sender,
    /// Who has sent it here: another one, where a cell has handed it on that the process has left. To that one's node
    /// there is a link.
    pub(crate) via: Sender,
}

impl Origin {
    /// Of what its sender itself has sent here.
    pub(crate) const fn direct(from: Sender) -> Self {
        Self { of: from, via: from }
    }
}

impl Batch {
    /// Takes the oldest.
    pub fn take_next(&mut self) -> Option<Delivery<'_>> {
        let entry = self.came.pop()?;
        self.delivery(entry)
    }

    fn delivery(&mut self, entry: Envelope) -> Option<Delivery<'_>> {
        self.handled.add(entry.from(), entry.weight());
        let direct = Origin::direct(entry.from());
        Some(match entry {
            Envelope::Value { value, .. } | Envelope::Told { value, .. } => {
                message(direct, View::Value(value), None)
            }
            Envelope::Small { port, ty, start, len, .. } if port != 0 => {
                stray(direct, port, View::Bytes(ty, self.came.small(start, len)))
            }
            Envelope::Port { value, .. } => {
                stray(direct, value.port().unwrap_or_default(), View::Value(value))
            }
            Envelope::Small { ty, start, len, .. } => {
                message(direct, View::Bytes(ty, self.came.small(start, len)), None)
            }
            Envelope::Parcel { from, parcel } => match *parcel {
                Parcel::Notice(value) => message(direct, View::Value(value), None),
                Parcel::Large { ty, bytes } => message(direct, View::Large(ty, bytes), None),
                Parcel::Port { port, ty, bytes } => stray(direct, port, View::Large(ty, bytes)),
                Parcel::Call { call, content } => {
                    message(direct, content.into(), Some(Caller { from, call }))
                }
                Parcel::Reply { call, result } => {
                    Delivery::Reply { from: direct, call, result: result.map(Into::into) }
                }
                Parcel::Exit { reason, .. } => Delivery::Exit(reason),
                Parcel::Forwarded { origin, parcel, .. } => {
                    let origin = Origin { of: origin, via: from };
                    match *parcel {
                        Parcel::Large { ty, bytes } => {
                            message(origin, View::Large(ty, bytes), None)
                        }
                        Parcel::Port { port, ty, bytes } => {
                            stray(origin, port, View::Large(ty, bytes))
                        }
                        Parcel::Call { call, content } => {
                            message(origin, content.into(), Some(Caller { from, call }))
                        }
                        // Nothing else is handed on so.
                        _ => return None,
                    }
                }
                // It was taken out when the turn began.
                Parcel::Mark(_) => return None,
                Parcel::Read { call, value, .. } => {
                    message(direct, View::Value(value), call.map(|call| Caller { from, call }))
                }
            },
        })
    }

    /// Takes the oldest reply or exit; everything else stays, in order.
    pub fn take_urgent(&mut self) -> Option<Delivery<'_>> {
        let entry = self.came.pop_where(Envelope::is_signal)?;
        self.delivery(entry)
    }

    /// Takes the oldest that is a reply, a demand to end, or from somebody who is admitted; everything else stays, in
    /// order. It looks at all that is in the way of it.
    pub fn take_from(&mut self, is_admitted: impl Fn(Origin) -> bool) -> Option<Delivery<'_>> {
        let is_one = |entry: &Envelope| {
            entry.is_signal() || is_admitted(Origin { of: entry.origin(), via: entry.from() })
        };
        let entry = self.came.pop_where(is_one)?;
        self.delivery(entry)
    }

    /// Takes the oldest demand to end; everything else stays, in order.
    pub fn take_exit(&mut self) -> Option<ExitReason> {
        let exit = self.came.pop_where(Envelope::is_exit)?;
        let Envelope::Parcel { parcel, .. } = exit else { return None };
        let Parcel::Exit { reason, .. } = *parcel else { return None };
        Some(reason)
    }

    /// Whether anything is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.came.is_empty()
    }
}

const fn stray(from: Origin, port: u32, content: View<'_>) -> Delivery<'_> {
    Delivery::Stray { from, port, content }
}

const fn message(from: Origin, content: View<'_>, caller: Option<Caller>) -> Delivery<'_> {
    Delivery::Message { from, content, caller }
}

impl From<Content> for View<'_> {
    fn from(content: Content) -> Self {
        match content {
            Content::Value(value) => Self::Value(value),
            Content::Bytes { ty, bytes } => Self::Large(ty, bytes),
        }
    }
}

/// What a body may do in its turn.
pub struct Turn<'a> {
    pub(crate) node: &'a Node,
    pub(crate) place: Place,
    pub(crate) waker: &'a mut TurnWaker,
    pub(crate) spent: Spent,
    /// When it was about to begin, to some hundred microseconds.
    pub(crate) now: Instant,
}

impl Turn<'_> {
    /// The process itself.
    #[must_use]
    pub fn me(&self) -> Pid {
        self.node.inner.local_pid(self.place)
    }

    /// The node it runs on.
    #[must_use]
    pub const fn node(&self) -> &Node {
        self.node
    }

    /// Whether somebody waits for this process to come to rest, to take its body out.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let Some(slot) = self.node.inner.table.slot(self.place.index) else { return false };
        let slot = slot.lock();
        let asked = slot.rare.as_ref().and_then(|rare| rare.freeze.as_ref());
        slot.is(self.place.generation) && asked.is_some_and(|freeze| !freeze.is_canceled())
    }

    /// Wakes this process for another turn, whenever it is used.
    pub fn waker(&mut self) -> Waker {
        self.lend_waker().clone()
    }

    /// As [`Turn::waker`], to be cloned only by whoever keeps it.
    pub(crate) fn lend_waker(&mut self) -> &Waker {
        self.waker.of(&self.node.inner, self.place)
    }

    /// Whether the body may handle one more message; else its turn is over, by the number of messages
    /// ([`Limits::turn_messages`](crate::Limits::turn_messages)) or by time
    /// ([`Limits::slice`](crate::Limits::slice)), and it leaves the rest. `pace` is the body's own, kept from turn
    /// to turn: one whose messages take long is looked at more often.
    pub fn goes_on(&mut self, pace: &mut Pace) -> bool {
        let inner = &self.node.inner;
        let limits = (inner.limits.turn_messages, inner.limits.slice);
        self.spent.goes_on(pace, limits, || inner.runtime.now())
    }
}

impl std::fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Turn({})", self.me())
    }
}

/// Gives a process another turn.
struct ProcessWaker {
    inner: Weak<Inner>,
    /// Index and generation.
    place: AtomicU64,
}

impl Wake for ProcessWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let place = self.place.load(Ordering::Relaxed);
        if let Some(inner) = self.inner.upgrade() {
            inner.wake(unpacked(place));
        }
    }
}

/// A runner's waker: lent to one process after the other, and made anew only when somebody keeps
/// it. So a process that waits for nothing but messages has none.
#[derive(Default)]
pub(crate) struct TurnWaker(Option<(Arc<ProcessWaker>, Waker)>);

impl TurnWaker {
    /// The waker of the process at `place`.
    fn of(&mut self, inner: &Arc<Inner>, place: Place) -> &Waker {
        let place = packed(place);
        // Ours and the waker's own: nobody else has it, and nobody can get it but through us.
        let lent = self.0.take_if(|(shared, _)| {
            shared.place.load(Ordering::Relaxed) != place && Arc::strong_count(shared) > 2
        });
        drop(lent);
        let (shared, waker) = self.0.get_or_insert_with(|| {
            let inner = Arc::downgrade(inner);
            let shared = Arc::new(ProcessWaker { inner, place: AtomicU64::new(place) });
            (shared.clone(), Waker::from(shared))
        });
        // Whoever had it has let go of it before it becomes another's.
        fence(Ordering::Acquire);
        shared.place.store(place, Ordering::Relaxed);
        waker
    }
}

const fn packed(place: Place) -> u64 {
    (place.index as u64) << 32 | place.generation as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of what was packed")]
const fn unpacked(place: u64) -> Place {
    Place { index: (place >> 32) as u32, generation: place as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_unpacked_as_it_was_packed() {
        let place = Place { index: u32::MAX, generation: 7 };
        assert_eq!(unpacked(packed(place)), place);
    }
}
