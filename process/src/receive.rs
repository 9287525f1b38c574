//! Selective receive: the oldest message that a clause takes; the others stay, in order.
//!
//! Entries are taken off the inbox one by one. What no clause wants goes to the [`Shelf`], by type:
//! the next receive looks there at its own types alone, and then at what has come since.
//!
//! [`Shelf`]: crate::receive::shelf::Shelf

mod any;
mod clause;
mod held;
mod letter;
mod lying;
mod next;
pub(crate) mod shelf;
mod sources;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::{Message, NodeId, Pid};

pub use any::{AnyMessage, ReadError};
use clause::any::{OnAny, OnDecided};
use clause::{And, Clauses, Glance, NoClause, On, OnIf, Span, Taken};
pub(crate) use held::Held;
pub(crate) use letter::{Letter, Read, Unread, encoded, read, schema_missing};
use next::{Found, What};
use sources::Choice;

use crate::LetterId;
use crate::context::Context;
use crate::letters::unread::refuse;
use crate::mailbox::envelope::{Content, Sender, encoded_weight};
use crate::receive::shelf::Arrival;
use crate::scheduler::polling::{Fresh, receives};
use crate::send::reply_to::ReplyTo;
use crate::timers::deadline::Deadline;
use crate::types::TypeNo;

/// A message with where it came from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received<M> {
    /// The message.
    pub message: M,
    /// Who sent it; `None` when it came from outside any process. One that has moved is called by the pid that it
    /// has kept, whose node is then not the one that it sent from: rights go by [`Received::node`].
    pub from: Option<Pid>,
    /// The node that it came from: the one at the other end of its link, as that has proven, or this one. `None`
    /// where `from` is.
    pub node: Option<NodeId>,
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

    /// Adds a clause for messages of any type. One that cannot be read before the schema of the type that
    /// `undecided` names has come waits for that in the mailbox.
    pub(crate) fn any_decided<
        P: FnMut(&AnyMessage) -> Option<TypeNo>,
        F: FnMut(AnyMessage) -> T,
    >(
        self,
        undecided: P,
        then: F,
    ) -> Receive<'a, T, And<C, OnDecided<P, F>>> {
        self.with(OnDecided { undecided, then })
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
        std::future::poll_fn(move |cx| {
            let polled = self.poll(cx, &mut waiting);
            if polled.is_pending() {
                receives();
            }
            polled
        })
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
            let over = deadline.poll(self.context.waits(), cx);
            if over.is_pending() {
                receives();
            }
            over.map(|()| None)
        })
    }

    #[inline]
    fn poll(&mut self, cx: &mut TaskContext<'_>, held: &mut Option<Box<Held>>) -> Poll<T> {
        if C::PORTS == 0 && !C::LOOKS && held.is_none() {
            // Most find a message on top that is seen at once to be theirs, or nothing.
            match self.context.shared.take_fresh() {
                Fresh::Value(from, value) => {
                    match self.clauses.glance(Span::ALL, self.context, from, value) {
                        Glance::Received(taken) => return Poll::Ready(taken),
                        Glance::Passed(value) | Glance::Unsure(value) => {
                            self.context.shared.put_fresh_back(from, value);
                        }
                    }
                }
                Fresh::Nothing => {
                    self.context.shared.wait(cx);
                    return Poll::Pending;
                }
                Fresh::Unsure => {}
            }
        }
        self.poll_all(cx, held)
    }

    #[inline(never)]
    fn poll_all(&mut self, cx: &mut TaskContext<'_>, held: &mut Option<Box<Held>>) -> Poll<T> {
        loop {
            let inner = &self.context.node.inner;
            if let Some(decided) = held.take_if(|held| held.is_decided(inner)) {
                self.seen = self.seen.min(decided.first());
            }
            let polled = self.poll_once(cx, held);
            let inner = &self.context.node.inner;
            let waits = held.as_ref().is_none_or(|held| held.wait(inner, cx.waker()));
            if polled.is_ready() || waits {
                return polled;
            }
        }
    }

    fn poll_once(&mut self, cx: &mut TaskContext<'_>, held: &mut Option<Box<Held>>) -> Poll<T> {
        if C::PORTS > 0 {
            return self.poll_sources(cx, held);
        }
        let mut seen = self.seen;
        let polled = self.poll_messages(cx, held, (Span::ALL, u64::MAX), &mut seen);
        self.seen = seen;
        polled
    }

    /// Polls some of the clauses for messages, for a message that came before the one with this number.
    #[inline]
    fn poll_messages(
        &mut self,
        cx: &mut TaskContext<'_>,
        held: &mut Option<Box<Held>>,
        (of, before): (Span, u64),
        seen: &mut u64,
    ) -> Poll<T> {
        while let Some(found) = self.next(of, before, seen, held.as_deref()) {
            let Found { clause, arrival, lifted, what } = found;
            let letter = match self.take_at_once(clause, arrival, what) {
                Ok(taken) => {
                    self.forget_lifted(lifted, arrival.number);
                    return Poll::Ready(taken);
                }
                Err(letter) => letter,
            };
            match self.try_clauses(of, clause, lifted, letter) {
                Tried::Received(taken) => return Poll::Ready(taken),
                Tried::Next => {}
                Tried::Undecided(from, ty) => {
                    held.get_or_insert_default().hold(arrival.number, from, ty);
                }
            }
            // The entries before it were refused, or wait, too.
            *seen = arrival.number + 1;
        }
        self.context.shared.wait(cx);
        Poll::Pending
    }

    /// Takes a message that is known to be the clause's, as most are.
    #[inline]
    fn take_at_once(&mut self, clause: usize, arrival: Arrival, what: What) -> Result<T, Letter> {
        let (from, content, weight) = match what {
            What::Value { from, value, weight } => {
                let of = Span { first: clause, end: clause + 1 };
                match self.clauses.glance(of, self.context, from, value) {
                    Glance::Received(taken) => return Ok(taken),
                    Glance::Passed(value) | Glance::Unsure(value) => {
                        (from, Content::Value(value), weight)
                    }
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
                    let unread = Unread::new(from, call, content, Some(reader));
                    refuse(inner, self.context.place, unread, refusal);
                    return Tried::Next;
                }
                Taken::Undecided(letter, ty, _) if inner.request_schema(letter.from, ty) => {
                    let from = letter.from;
                    self.put_back(lifted, letter);
                    return Tried::Undecided(from, ty);
                }
                // It may have come in the meantime.
                Taken::Undecided(undecided, ty, _) if inner.types.is_known(ty) => {
                    letter = undecided;
                }
                Taken::Undecided(Letter { from, call, content, .. }, ty, reader) => {
                    self.forget_lifted(lifted, number);
                    let unread = Unread::new(from, call, content, reader);
                    refuse(inner, self.context.place, unread, schema_missing(inner, ty));
                    return Tried::Next;
                }
            }
        }
    }
}

thread_local! {
    /// Where a small message lies while it is decoded.
    pub(crate) static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
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
