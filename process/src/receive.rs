//! Selective receive: the oldest message that a clause takes; the others stay, in order.
//!
//! Entries are taken off the inbox one by one. What no clause wants goes to the [`Shelf`], by type:
//! the next receive looks there at its own types alone, and then at what has come since.
//!
//! [`Shelf`]: crate::receive::shelf::Shelf

mod any;
mod clause;
mod letter;
pub(crate) mod shelf;
mod sources;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::{Message, Pid};
use midflight_runtime::Instant;

pub use any::{AnyMessage, ReadError};
use clause::{And, Clauses, NoClause, On, OnAny, OnIf, Span, Taken, Wanted};
pub(crate) use letter::{AwaitedSchema, Letter, Read, Unread, await_schema, encoded, read};
use sources::Choice;

use crate::LetterId;
use crate::context::Context;
use crate::letters::unread::refuse;
use crate::mailbox::envelope::{Content, Envelope, Parcel, Sender, encoded_weight};
use crate::mailbox::value::Value;
use crate::receive::shelf::{Arrival, Shelf};
use crate::scheduler::function::Arrived;
use crate::send::MOVED_WEIGHT;
use crate::send::reply_to::ReplyTo;
use crate::timers::deadline::Deadline;
use crate::types::TypeNo;

/// A message with where it came from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received<M> {
    /// The message.
    pub message: M,
    /// Who sent it; `None` when it came from outside any process.
    pub from: Option<Pid>,
    /// Who wants a reply, when it is a call.
    pub reply_to: Option<ReplyTo>,
    /// The dead letter that an operator has sent again, when it is one; then it has no sender.
    pub again: Option<LetterId>,
}

/// The predicate of a clause that takes everything.
type AnyPredicate = fn(&mut AnyMessage) -> bool;

/// A receive with several clauses. The oldest message that any clause takes is received; where
/// several would take it, the first clause does.
#[must_use = "a receive does nothing until it is awaited"]
pub struct Receive<'a, T, C = NoClause> {
    context: &'a Context,
    clauses: C,
    /// Every clause has refused the entries before this number.
    seen: u64,
    /// Which source goes first, where there are several.
    choice: Choice,
    output: PhantomData<fn() -> T>,
}

impl<'a, T> Receive<'a, T> {
    pub(crate) const fn new(context: &'a Context) -> Self {
        Self { context, clauses: NoClause(()), seen: 0, choice: Choice::First, output: PhantomData }
    }
}

#[expect(private_bounds, reason = "clauses are made by `on` and its like alone")]
impl<'a, T, C: Clauses<T>> Receive<'a, T, C> {
    /// Adds a clause for messages of type `M`.
    pub fn on<M: Message, F: FnMut(Received<M>) -> T>(
        self,
        then: F,
    ) -> Receive<'a, T, And<C, On<M, F>>> {
        self.with(On { then, message: PhantomData })
    }

    /// Adds a clause for those messages of type `M` that `wanted` wants. The others stay, decoded:
    /// each receive with such a clause asks its predicate again, about messages of type `M` alone.
    pub fn on_if<M: Message, P: FnMut(&M) -> bool, F: FnMut(Received<M>) -> T>(
        self,
        wanted: P,
        then: F,
    ) -> Receive<'a, T, And<C, OnIf<M, P, F>>> {
        self.with(OnIf { predicate: wanted, then, message: PhantomData })
    }

    /// Adds a clause for messages of any type, undecoded.
    pub fn any<F: FnMut(AnyMessage) -> T>(
        self,
        then: F,
    ) -> Receive<'a, T, And<C, OnAny<AnyPredicate, F>>> {
        self.with(OnAny { predicate: (|_| true) as AnyPredicate, then })
    }

    /// Adds a clause for those messages of any type that `wanted` wants. The others stay.
    pub fn any_if<P: FnMut(&mut AnyMessage) -> bool, F: FnMut(AnyMessage) -> T>(
        self,
        wanted: P,
        then: F,
    ) -> Receive<'a, T, And<C, OnAny<P, F>>> {
        self.with(OnAny { predicate: wanted, then })
    }

    fn with<K>(self, clause: K) -> Receive<'a, T, And<C, K>> {
        let Self { context, clauses: before, seen, choice, output } = self;
        Receive { context, clauses: And { before, clause }, seen, choice, output }
    }

    /// Waits for as long as it takes.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    pub fn forever(mut self) -> impl Future<Output = T> {
        // An async function would hold all of this twice.
        let mut waiting = None;
        std::future::poll_fn(move |cx| self.poll(cx, &mut waiting))
    }

    /// Waits for `timeout` at the most; zero takes what is there.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    pub fn timeout(mut self, timeout: Duration) -> impl Future<Output = Option<T>> {
        let mut deadline = Deadline::after(&self.context.node.inner, timeout);
        let mut waiting = None;
        std::future::poll_fn(move |cx| {
            if let Poll::Ready(taken) = self.poll(cx, &mut waiting) {
                return Poll::Ready(Some(taken));
            }
            if timeout.is_zero() {
                return Poll::Ready(None);
            }
            deadline.poll(self.context.waits(), cx).map(|()| None)
        })
    }

    fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
        waiting: &mut Option<Box<AwaitedSchema>>,
    ) -> Poll<T> {
        if C::PORTS > 0 {
            return self.poll_sources(cx, waiting);
        }
        let mut seen = self.seen;
        let polled = self.poll_messages(cx, waiting, (Span::ALL, u64::MAX), &mut seen);
        self.seen = seen;
        polled
    }

    /// Polls some of the clauses for messages, for a message that came before the one with this number.
    #[inline]
    fn poll_messages(
        &mut self,
        cx: &mut TaskContext<'_>,
        waiting: &mut Option<Box<AwaitedSchema>>,
        (of, before): (Span, u64),
        seen: &mut u64,
    ) -> Poll<T> {
        while let Some(Found { clause, arrival, lifted, what }) = self.next(of, before, seen) {
            let letter = match self.take_at_once(clause, arrival, what) {
                Ok(taken) => {
                    self.forget_lifted(lifted, arrival.number);
                    return Poll::Ready(taken);
                }
                Err(letter) => letter,
            };
            match self.try_clauses(of, clause, lifted, letter) {
                Tried::Received(taken) => return Poll::Ready(taken),
                // The entries before it were refused, too.
                Tried::Next => *seen = arrival.number + 1,
                Tried::Undecided(from, ty) => {
                    let inner = &self.context.node.inner;
                    std::task::ready!(AwaitedSchema::poll(waiting, inner, cx, (from, ty)));
                }
            }
        }
        self.context.shared.wait(cx);
        Poll::Pending
    }

    /// Takes a message that is known to be the clause's, as most are.
    #[inline]
    fn take_at_once(&mut self, clause: usize, arrival: Arrival, what: What) -> Result<T, Letter> {
        let (from, content, weight) = match what {
            What::Value { from, value } => {
                match self.clauses.take_value(clause, self.context, from, value) {
                    Ok(taken) => return Ok(taken),
                    Err(value) => (from, Content::Value(value), MOVED_WEIGHT),
                }
            }
            What::Small { from, ty, bytes } => {
                let taken = self.clauses.take_small(clause, self.context, from, (ty, &bytes));
                if let Some(taken) = taken {
                    SCRATCH.set(bytes);
                    return Ok(taken);
                }
                let weight = (1, encoded_weight(bytes.len()));
                (from, Content::Bytes { ty, bytes: bytes.into() }, weight)
            }
            What::Parcel { from, parcel } => return Err(Letter::of(arrival, from, *parcel)),
        };
        Err(Letter { arrival, from, call: None, content, weight, written: None })
    }

    /// Tries a letter on the clauses that may take it.
    #[inline(never)]
    fn try_clauses(
        &mut self,
        of: Span,
        mut clause: usize,
        lifted: Option<Arc<str>>,
        mut letter: Letter,
    ) -> Tried<T> {
        let inner = &self.context.node.inner;
        let number = letter.arrival.number;
        loop {
            match self.clauses.take(clause, self.context, letter) {
                Taken::Received(value) => {
                    self.forget_lifted(lifted, number);
                    return Tried::Received(value);
                }
                Taken::Passed(passed) => {
                    letter = passed;
                    let rest = Span { first: clause + 1, end: of.end };
                    match self.clauses.find(inner, letter.content.subject(), rest) {
                        Some(next) => clause = next,
                        None => {
                            self.put_back(lifted, letter);
                            return Tried::Next;
                        }
                    }
                }
                Taken::Unreadable(Letter { from, call, content, .. }, refusal, reader) => {
                    self.forget_lifted(lifted, number);
                    let unread = Unread { from, call, content, reader: Some(reader) };
                    refuse(inner, self.context.place, unread, refusal);
                    return Tried::Next;
                }
                Taken::Undecided(letter, ty) => {
                    let from = letter.from;
                    self.put_back(lifted, letter);
                    return Tried::Undecided(from, ty);
                }
            }
        }
    }

    /// Takes the oldest message out that has not been seen and that a clause may take.
    #[inline]
    fn next(&self, of: Span, before: u64, seen: &mut u64) -> Option<Found> {
        let inner = &self.context.node.inner;
        let mut arrived = self.context.shared.arrived.lock();
        let Arrived { inbox, front, aside, handled, .. } = &mut *arrived;
        if *front > *seen
            && let Some(aside) = aside
            && let Some((found, weight)) = self.shelved(of, *seen, before, &mut aside.shelf)
        {
            handled.add(found.what.from(), weight);
            return Some(found);
        }
        while let Some(inbox) = inbox
            && *front < before
            && let Some(entry) = inbox.entries.front()
        {
            count_examined();
            let subject = entry.subject();
            let clause = subject.and_then(|subject| self.clauses.find(inner, subject, of));
            let arrival = Arrival { number: *front, at: Instant::default() };
            *front += 1;
            let entry = inbox.remove(0)?;
            let Some(clause) = clause else {
                let at = inner.runtime.now();
                let shelf = &mut aside.get_or_insert_default().shelf;
                shelf.put(inner, Arrival { at, ..arrival }, entry, &inbox.segment);
                continue;
            };
            handled.add(entry.from(), entry.weight());
            let what = match entry {
                Envelope::Value { from, value } | Envelope::Port { from, value } => {
                    What::Value { from, value }
                }
                Envelope::Parcel { from, parcel } => What::Parcel { from, parcel },
                Envelope::Small { from, ty, start, len, .. } => {
                    let mut bytes = SCRATCH.take();
                    bytes.clear();
                    bytes.extend_from_slice(inbox.small(start, len));
                    What::Small { from, ty, bytes }
                }
            };
            return Some(Found { clause, arrival, lifted: None, what });
        }
        *seen = *front;
        None
    }

    /// Takes the oldest entry off the shelf that has not been seen and that a clause may take.
    #[inline(never)]
    fn shelved(
        &self,
        of: Span,
        seen: u64,
        before: u64,
        shelf: &mut Shelf,
    ) -> Option<(Found, (u32, u32))> {
        let (number, name) = self.oldest_shelved(of, seen, shelf)?;
        if number >= before {
            return None;
        }
        count_examined();
        let subject = shelf.get(&name, number).and_then(Envelope::subject)?;
        let clause = self.clauses.find(&self.context.node.inner, subject, of)?;
        let mut bytes = SCRATCH.take();
        let taken = if C::LOOKS {
            shelf.lift(&name, number, &mut bytes)
        } else {
            shelf.take(&name, number, &mut bytes)
        };
        let (arrival, entry) = taken?;
        let weight = entry.weight();
        let what = match entry {
            Envelope::Small { from, ty, .. } => What::Small { from, ty, bytes },
            Envelope::Value { from, value } | Envelope::Port { from, value } => {
                What::Value { from, value }
            }
            Envelope::Parcel { from, parcel } => What::Parcel { from, parcel },
        };
        Some((Found { clause, arrival, lifted: C::LOOKS.then_some(name), what }, weight))
    }

    /// The number and the type's name of that entry.
    fn oldest_shelved(&self, of: Span, seen: u64, shelf: &Shelf) -> Option<(u64, Arc<str>)> {
        let mut oldest: Option<(u64, Arc<str>)> = None;
        self.clauses.wanted(of, &mut |wanted| {
            let first = match wanted {
                Wanted::Called(name) => shelf.first(name, seen),
                Wanted::Any => shelf.first_of_any(seen),
            };
            if let Some((number, name)) = first
                && oldest.as_ref().is_none_or(|(before, _)| number < *before)
            {
                oldest = Some((number, name));
            }
        });
        oldest
    }

    /// Puts the letter that was taken last back into its place.
    fn put_back(&self, lifted: Option<Arc<str>>, mut letter: Letter) {
        let inner = &self.context.node.inner;
        if letter.arrival.at == Instant::default() {
            letter.arrival.at = inner.runtime.now();
        }
        let (arrival, from, weight) = (letter.arrival, letter.from, letter.weight);
        let entry = letter.into_entry();
        let mut arrived = self.context.shared.arrived.lock();
        arrived.handled.undo(from, weight);
        let shelf = &mut arrived.aside().shelf;
        match lifted {
            Some(name) => shelf.restore(&name, arrival.number, entry),
            None => shelf.put(inner, arrival, entry, &[]),
        }
    }

    /// What was lifted off the shelf is taken for good.
    fn forget_lifted(&self, lifted: Option<Arc<str>>, number: u64) {
        if let Some(name) = lifted {
            let mut arrived = self.context.shared.arrived.lock();
            let taken = arrived.aside().shelf.take(&name, number, &mut Vec::new());
            drop(arrived);
            drop(taken);
        }
    }
}

thread_local! {
    /// Where a small message lies while it is decoded.
    pub(crate) static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A message that a clause may take.
struct Found {
    clause: usize,
    arrival: Arrival,
    /// The type's name, when it was only lifted off the shelf.
    lifted: Option<Arc<str>>,
    what: What,
}

/// A message that was taken out.
enum What {
    Value { from: Sender, value: Box<dyn Value> },
    Small { from: Sender, ty: TypeNo, bytes: Vec<u8> },
    Parcel { from: Sender, parcel: Box<Parcel> },
}

impl What {
    const fn from(&self) -> Sender {
        match self {
            Self::Value { from, .. } | Self::Small { from, .. } | Self::Parcel { from, .. } => {
                *from
            }
        }
    }
}

/// What the clauses made of a message.
enum Tried<T> {
    Received(T),
    /// Nothing: look at the next.
    Next,
    /// It is somebody's, when this schema has come.
    Undecided(Sender, TypeNo),
}

impl<T, C> std::fmt::Debug for Receive<'_, T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receive").field("context", self.context).finish_non_exhaustive()
    }
}

#[cfg(test)]
thread_local! {
    /// Entries that receives of this thread have looked at.
    static EXAMINED: Cell<u64> = const { Cell::new(0) };
}

/// Counts an entry that is looked at.
#[inline]
fn count_examined() {
    #[cfg(test)]
    EXAMINED.set(EXAMINED.get() + 1);
}
