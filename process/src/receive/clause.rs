//! The clauses of a receive.

pub(super) mod any;

use std::marker::PhantomData;
use std::task::{Context as TaskContext, Poll};

use midflight_message::{Message, decode};

use super::Received;
use super::letter::{Letter, Looked, Read, read_written};
use crate::channel::ports::Order;
use crate::context::Context;
use crate::mailbox::envelope::{Refusal, Sender, Subject};
use crate::mailbox::value::{Value, downcast, is};
use crate::node::inner::Inner;
use crate::scheduler::function::Arrived;
use crate::send::reply_to::ReplyTo;
use crate::types::TypeNo;

/// What a clause makes of a letter.
pub(super) enum Taken<T> {
    Received(T),
    /// It does not want this one.
    Passed(Letter),
    /// It is this clause's, whose type has this version, and cannot be read.
    Unreadable(Letter, Refusal, u32),
    /// It may be this clause's, whose type has this version if it has one: the writer's schema is to be
    /// had first.
    Undecided(Letter, TypeNo, Option<u32>),
}

/// What clauses make of a moved message at the first glance.
pub(super) enum Glance<T> {
    Received(T),
    /// None of them may take it.
    Passed(Box<dyn Value>),
    /// One of them may: it has to look closer.
    Unsure(Box<dyn Value>),
}

/// Which messages a clause may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Called(&'static str),
    Any,
}

/// Clauses in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) first: usize,
    /// Behind the last.
    pub(super) end: usize,
}

impl Span {
    pub(super) const ALL: Self = Self { first: 0, end: usize::MAX };

    const fn has(self, clause: usize) -> bool {
        self.first <= clause && clause < self.end
    }
}

/// The clauses of a receive, numbered in the order in which they were added.
pub(super) trait Clauses<T> {
    const COUNT: usize;
    /// Whether a clause must look into a message to know whether it wants it.
    const LOOKS: bool;

    /// How many of them are ports.
    const PORTS: usize;

    /// The first of these clauses that may take what it goes by.
    fn find(&self, inner: &Inner, subject: Subject<'_>, of: Span) -> Option<usize>;

    /// Calls `each` with what each of these clauses may take.
    fn wanted(&self, of: Span, each: &mut dyn FnMut(Wanted));

    /// Reads a letter as the clause's type.
    fn take(&mut self, clause: usize, context: &Context, letter: Letter) -> Taken<T>;

    /// Takes a moved message if it is seen at once to be one of these clauses'.
    fn glance(
        &mut self,
        of: Span,
        context: &Context,
        from: Sender,
        value: Box<dyn Value>,
    ) -> Glance<T>;

    /// Reads a small message if its type is known to be the clause's; `None` says nothing.
    fn take_small(
        &mut self,
        clause: usize,
        context: &Context,
        from: Sender,
        small: (TypeNo, &[u8]),
    ) -> Option<T>;

    /// Whether a clause is a port.
    fn is_port(clause: usize) -> bool;

    /// Takes a value of the clause that is this port.
    fn poll_port(&mut self, clause: usize, cx: &mut TaskContext<'_>) -> Poll<T>;

    /// When the oldest value of all its ports came, and of which clause it is.
    fn oldest_value(&self, arrived: &Arrived) -> Option<(Order, usize)>;
}

/// A receive that has no clause yet.
#[derive(Debug)]
pub struct NoClause(pub(super) ());

impl<T> Clauses<T> for NoClause {
    const COUNT: usize = 0;
    const LOOKS: bool = false;
    const PORTS: usize = 0;

    fn find(&self, _: &Inner, _: Subject<'_>, _: Span) -> Option<usize> {
        None
    }

    fn wanted(&self, _: Span, _: &mut dyn FnMut(Wanted)) {}

    fn is_port(_: usize) -> bool {
        false
    }

    fn poll_port(&mut self, _: usize, _: &mut TaskContext<'_>) -> Poll<T> {
        Poll::Pending
    }

    fn oldest_value(&self, _: &Arrived) -> Option<(Order, usize)> {
        None
    }

    fn take(&mut self, _: usize, _: &Context, _: Letter) -> Taken<T> {
        unreachable!("`find` finds nothing")
    }

    #[inline]
    fn glance(&mut self, _: Span, _: &Context, _: Sender, value: Box<dyn Value>) -> Glance<T> {
        Glance::Passed(value)
    }

    fn take_small(&mut self, _: usize, _: &Context, _: Sender, _: (TypeNo, &[u8])) -> Option<T> {
        None
    }
}

/// One clause.
pub(super) trait Clause<T> {
    /// Whether it must look into a message to know whether it wants it.
    const LOOKS: bool;
    /// Whether it is a port: then it takes no messages.
    const IS_PORT: bool = false;

    /// Whether it may take what goes by `subject`.
    fn may_take(&self, inner: &Inner, subject: Subject<'_>) -> bool;

    /// What it may take; `None` for no message.
    fn wanted(&self) -> Option<Wanted>;

    /// See [`Clauses::take`].
    fn take(&mut self, context: &Context, letter: Letter) -> Taken<T>;

    /// See [`Clauses::glance`].
    fn glance(&mut self, context: &Context, _: Sender, value: Box<dyn Value>) -> Glance<T> {
        if self.may_take(&context.node.inner, Subject::Value(&*value)) {
            return Glance::Unsure(value);
        }
        Glance::Passed(value)
    }

    /// See [`Clauses::take_small`].
    fn take_small(&mut self, _: &Context, _: Sender, _: (TypeNo, &[u8])) -> Option<T> {
        None
    }

    /// Takes a value of the port.
    fn poll_port(&mut self, _: &mut TaskContext<'_>) -> Poll<T> {
        Poll::Pending
    }

    /// When the port's oldest value came.
    fn oldest_value(&self, _: &Arrived) -> Option<Order> {
        None
    }
}

/// The clauses `before`, then one more.
#[derive(Debug)]
pub struct And<C, K> {
    pub(super) before: C,
    pub(super) clause: K,
}

impl<T, C: Clauses<T>, K: Clause<T>> Clauses<T> for And<C, K> {
    const COUNT: usize = C::COUNT + 1;
    const LOOKS: bool = C::LOOKS || K::LOOKS;
    const PORTS: usize = C::PORTS + K::IS_PORT as usize;

    #[inline]
    fn find(&self, inner: &Inner, subject: Subject<'_>, of: Span) -> Option<usize> {
        self.before.find(inner, subject, of).or_else(|| {
            (of.has(C::COUNT) && self.clause.may_take(inner, subject)).then_some(C::COUNT)
        })
    }

    fn wanted(&self, of: Span, each: &mut dyn FnMut(Wanted)) {
        self.before.wanted(of, each);
        if of.has(C::COUNT)
            && let Some(wanted) = self.clause.wanted()
        {
            each(wanted);
        }
    }

    fn take(&mut self, clause: usize, context: &Context, letter: Letter) -> Taken<T> {
        if clause < C::COUNT {
            return self.before.take(clause, context, letter);
        }
        self.clause.take(context, letter)
    }

    #[inline]
    fn glance(
        &mut self,
        of: Span,
        context: &Context,
        from: Sender,
        value: Box<dyn Value>,
    ) -> Glance<T> {
        match self.before.glance(of, context, from, value) {
            Glance::Passed(value) if of.has(C::COUNT) => self.clause.glance(context, from, value),
            glance => glance,
        }
    }

    fn take_small(
        &mut self,
        clause: usize,
        context: &Context,
        from: Sender,
        small: (TypeNo, &[u8]),
    ) -> Option<T> {
        if clause < C::COUNT {
            return self.before.take_small(clause, context, from, small);
        }
        self.clause.take_small(context, from, small)
    }

    fn is_port(clause: usize) -> bool {
        (clause == C::COUNT && K::IS_PORT) || C::is_port(clause)
    }

    fn poll_port(&mut self, clause: usize, cx: &mut TaskContext<'_>) -> Poll<T> {
        if clause < C::COUNT {
            return self.before.poll_port(clause, cx);
        }
        self.clause.poll_port(cx)
    }

    fn oldest_value(&self, arrived: &Arrived) -> Option<(Order, usize)> {
        let own = self.clause.oldest_value(arrived).map(|order| (order, C::COUNT));
        own.into_iter().chain(self.before.oldest_value(arrived)).min()
    }
}

/// A clause for messages of type `M`.
pub struct On<M, F> {
    pub(super) then: F,
    pub(super) message: PhantomData<fn() -> M>,
}

/// A clause for those messages of type `M` that a predicate wants.
pub struct OnIf<M, P, F> {
    pub(super) predicate: P,
    pub(super) then: F,
    pub(super) message: PhantomData<fn() -> M>,
}

impl<M: Message, F> std::fmt::Debug for On<M, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "On({})", M::NAME)
    }
}

impl<M: Message, P, F> std::fmt::Debug for OnIf<M, P, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OnIf({})", M::NAME)
    }
}

fn is_called<M: Message>(inner: &Inner, subject: Subject<'_>) -> bool {
    match subject {
        Subject::Value(value) => is::<M>(value) || value.type_info().name() == M::NAME,
        Subject::Type(ty) => inner.types.is_same::<M>(ty) || inner.types.is_called(ty, M::NAME),
    }
}

/// Reads a letter as `M` and hands it to its clause.
fn hand<T, M: Message>(
    context: &Context,
    letter: Letter,
    then: impl FnOnce(Received<M>) -> T,
) -> Taken<T> {
    let Letter { arrival, from, call, content, weight, written } = letter;
    let back = |content| Letter { arrival, from, call, content, weight, written: None };
    match read_written::<M>(&context.node.inner, content, written) {
        Read::Message(message) => {
            let reply_to = call.map(|call| ReplyTo::new(context, from, call));
            let inner = &context.node.inner;
            let (from, node, again) = (inner.pid(from), inner.asker(from), from.letter());
            Taken::Received(then(Received { message, from, node, reply_to, again }))
        }
        Read::Unreadable(content, refusal) => Taken::Unreadable(back(content), refusal, M::VERSION),
        Read::Undecided(content, ty) => Taken::Undecided(back(content), ty, Some(M::VERSION)),
    }
}

impl<T, M: Message, F: FnMut(Received<M>) -> T> Clause<T> for On<M, F> {
    const LOOKS: bool = false;

    #[inline]
    fn may_take(&self, inner: &Inner, subject: Subject<'_>) -> bool {
        is_called::<M>(inner, subject)
    }

    fn wanted(&self) -> Option<Wanted> {
        Some(Wanted::Called(M::NAME))
    }

    fn take(&mut self, context: &Context, letter: Letter) -> Taken<T> {
        hand(context, letter, &mut self.then)
    }

    #[inline]
    fn glance(&mut self, context: &Context, from: Sender, value: Box<dyn Value>) -> Glance<T> {
        match downcast::<M>(value) {
            Ok(message) => {
                let inner = &context.node.inner;
                let (from, node, again) = (inner.pid(from), inner.asker(from), from.letter());
                let received = Received { message: *message, from, node, reply_to: None, again };
                Glance::Received((self.then)(received))
            }
            Err(value) if value.type_info().name() == M::NAME => Glance::Unsure(value),
            Err(value) => Glance::Passed(value),
        }
    }

    fn take_small(
        &mut self,
        context: &Context,
        from: Sender,
        (ty, bytes): (TypeNo, &[u8]),
    ) -> Option<T> {
        let inner = &context.node.inner;
        if !inner.types.is_same::<M>(ty) {
            return None;
        }
        // What does not decode is read again, for the reason.
        let message = decode::<M>(bytes).ok()?;
        let (from, node, again) = (inner.pid(from), inner.asker(from), from.letter());
        Some((self.then)(Received { message, from, node, reply_to: None, again }))
    }
}

impl<T, M: Message, P: FnMut(&M) -> bool, F: FnMut(Received<M>) -> T> Clause<T> for OnIf<M, P, F> {
    const LOOKS: bool = true;

    fn may_take(&self, inner: &Inner, subject: Subject<'_>) -> bool {
        is_called::<M>(inner, subject)
    }

    fn wanted(&self) -> Option<Wanted> {
        Some(Wanted::Called(M::NAME))
    }

    fn take(&mut self, context: &Context, letter: Letter) -> Taken<T> {
        match letter.look::<M>(&context.node.inner) {
            Looked::At(letter) => {
                let wanted = letter.message().is_some_and(&mut self.predicate);
                if wanted { hand(context, letter, &mut self.then) } else { Taken::Passed(letter) }
            }
            Looked::Unreadable(letter, refusal) => Taken::Unreadable(letter, refusal, M::VERSION),
            Looked::Undecided(letter, ty) => Taken::Undecided(letter, ty, Some(M::VERSION)),
        }
    }
}
