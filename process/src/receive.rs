//! Selective receive: the oldest message that a clause takes; the others stay, in order.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::{Message, Pid, Resolution, decode, decode_resolved};
use midflight_runtime::BoxFuture;

use crate::context::Context;
use crate::envelope::{CallRef, Content, Envelope, Parcel, Refusal, Sender};
use crate::function::Arrived;
use crate::inner::Inner;
use crate::reply::ReplyTo;
use crate::types::{Reading, TypeNo};
use crate::unread::refuse;
use crate::value::Value;

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
}

/// A message that was taken out of the inbox to be read.
struct Letter {
    from: Sender,
    call: Option<CallRef>,
    content: Content,
    weight: (u32, u32),
}

/// What a clause makes of a letter.
enum Taken<T> {
    Received(T),
    /// It is this clause's and cannot be read.
    Unreadable(Letter, Refusal),
    /// It may be this clause's: the writer's schema is on its way.
    Undecided(Letter, TypeNo),
}

/// The clauses of a receive, numbered in the order in which they were added.
trait Clauses<T> {
    const COUNT: usize;

    /// The first clause for messages of the entry's name.
    fn find(&self, inner: &Inner, entry: &Envelope) -> Option<usize>;

    /// Reads a letter as the clause's type.
    fn take(&mut self, clause: usize, context: &Context, letter: Letter) -> Taken<T>;

    /// Reads a small message if its type is known to be the clause's; `None` says nothing.
    fn take_small(
        &mut self,
        clause: usize,
        context: &Context,
        from: Sender,
        small: (TypeNo, &[u8]),
    ) -> Option<T>;
}

/// A receive with several clauses. The oldest message that any clause takes is received; where
/// several would take it, the first clause does.
#[must_use = "a receive does nothing until it is awaited"]
pub struct Receive<'a, T, C = NoClause> {
    context: &'a Context,
    clauses: C,
    /// Entries up to here were refused by every clause: they are not looked at again,
    seen: usize,
    /// unless some were taken out since.
    removals: u32,
    output: PhantomData<fn() -> T>,
}

impl<'a, T> Receive<'a, T> {
    pub(crate) const fn new(context: &'a Context) -> Self {
        Self { context, clauses: NoClause(()), seen: 0, removals: 0, output: PhantomData }
    }
}

#[expect(private_bounds, reason = "clauses are made by `on` alone")]
impl<'a, T, C: Clauses<T>> Receive<'a, T, C> {
    /// Adds a clause for messages of type `M`.
    pub fn on<M: Message, F: FnMut(Received<M>) -> T>(
        self,
        then: F,
    ) -> Receive<'a, T, On<C, M, F>> {
        let Self { context, clauses, seen, removals, output } = self;
        let clauses = On { before: clauses, then, message: PhantomData };
        Receive { context, clauses, seen, removals, output }
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
        let runtime = &self.context.node.inner.runtime;
        let deadline = runtime.now() + timeout;
        let (mut timer, mut waiting): (Option<BoxFuture<()>>, _) = (None, None);
        std::future::poll_fn(move |cx| {
            if let Poll::Ready(taken) = self.poll(cx, &mut waiting) {
                return Poll::Ready(Some(taken));
            }
            if timeout.is_zero() {
                return Poll::Ready(None);
            }
            let runtime = &self.context.node.inner.runtime;
            let timer = timer.get_or_insert_with(|| runtime.sleep_until(deadline));
            timer.as_mut().poll(cx).map(|()| None)
        })
    }

    fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
        waiting: &mut Option<Box<AwaitedSchema>>,
    ) -> Poll<T> {
        let inner = &self.context.node.inner;
        while let Some(found) = self.next() {
            let (clause, letter) = match found {
                Found::Letter { clause, letter } => (clause, letter),
                Found::Small { clause, from, ty, bytes, weight } => {
                    let taken = self.clauses.take_small(clause, self.context, from, (ty, &bytes));
                    if let Some(value) = taken {
                        SCRATCH.set(bytes);
                        return Poll::Ready(value);
                    }
                    let content = Content::Bytes { ty, bytes: bytes.into() };
                    (clause, Letter { from, call: None, content, weight })
                }
            };
            match self.clauses.take(clause, self.context, letter) {
                Taken::Received(value) => return Poll::Ready(value),
                Taken::Unreadable(Letter { from, call, content, .. }, refusal) => {
                    refuse(inner, self.context.place, Unread { from, call, content }, refusal);
                }
                Taken::Undecided(letter, ty) => {
                    let from = letter.from;
                    self.put_back(letter);
                    if waiting.as_ref().is_some_and(|awaited| awaited.ty != ty) {
                        *waiting = None;
                    }
                    let awaited = waiting.get_or_insert_with(|| {
                        inner.request_schema(from, ty);
                        let timer = inner.runtime.sleep(inner.limits.schema_timeout);
                        Box::new(AwaitedSchema { ty, timer })
                    });
                    let overdue = awaited.timer.as_mut().poll(cx).is_ready();
                    if overdue {
                        inner.types.give_up(inner.types.entry(ty).fingerprint);
                    }
                    if overdue || !inner.types.wait_for_schema(ty, cx.waker()) {
                        *waiting = None;
                        continue;
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Pending
    }

    /// Takes the oldest message out that has not been seen and that a clause may take.
    fn next(&mut self) -> Option<Found> {
        let inner = &self.context.node.inner;
        let mut arrived = self.context.shared.arrived.lock();
        let Arrived { inbox, removals, handled, .. } = &mut *arrived;
        if std::mem::replace(&mut self.removals, *removals) != *removals {
            self.seen = 0;
        }
        let inbox = inbox.as_mut()?;
        while let Some(entry) = inbox.entries.get(self.seen) {
            let Some(clause) = self.clauses.find(inner, entry) else {
                self.seen += 1;
                continue;
            };
            let entry = inbox.remove(self.seen)?;
            *removals = removals.wrapping_add(1);
            self.removals = *removals;
            let (from, weight) = (entry.from(), entry.weight());
            handled.add(from, weight);
            return Some(match entry {
                Envelope::Small { ty, start, len, .. } => {
                    let mut bytes = SCRATCH.take();
                    bytes.clear();
                    bytes.extend_from_slice(inbox.small(start, len));
                    Found::Small { clause, from, ty, bytes, weight }
                }
                entry => {
                    let (call, content) = crate::send::content_of(entry);
                    Found::Letter { clause, letter: Letter { from, call, content, weight } }
                }
            });
        }
        None
    }

    /// Puts the letter that was taken last back into its place.
    fn put_back(&mut self, letter: Letter) {
        let Letter { from, call, content, weight } = letter;
        let mut arrived = self.context.shared.arrived.lock();
        arrived.handled.undo(from, weight);
        let inbox = arrived.inbox.get_or_insert_default();
        let at = self.seen.min(inbox.entries.len());
        inbox.entries.insert(at, crate::send::entry(from, call, content));
    }
}

thread_local! {
    /// Where a small message lies while it is decoded.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A message that a clause may take.
enum Found {
    Small { clause: usize, from: Sender, ty: TypeNo, bytes: Vec<u8>, weight: (u32, u32) },
    Letter { clause: usize, letter: Letter },
}

/// A schema that is on its way, and how long it is waited for.
struct AwaitedSchema {
    ty: TypeNo,
    timer: BoxFuture<()>,
}

impl<T, C> std::fmt::Debug for Receive<'_, T, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receive").field("context", self.context).finish_non_exhaustive()
    }
}

/// A receive that has no clause yet.
#[derive(Debug)]
pub struct NoClause(());

impl<T> Clauses<T> for NoClause {
    const COUNT: usize = 0;

    fn find(&self, _: &Inner, _: &Envelope) -> Option<usize> {
        None
    }

    fn take(&mut self, _: usize, _: &Context, _: Letter) -> Taken<T> {
        unreachable!("`find` finds nothing")
    }

    fn take_small(&mut self, _: usize, _: &Context, _: Sender, _: (TypeNo, &[u8])) -> Option<T> {
        None
    }
}

/// The clauses `before`, then one for messages of type `M`.
pub struct On<C, M, F> {
    before: C,
    then: F,
    message: PhantomData<fn() -> M>,
}

impl<C, M: Message, F> std::fmt::Debug for On<C, M, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "On({})", M::NAME)
    }
}

impl<T, C: Clauses<T>, M: Message, F: FnMut(Received<M>) -> T> Clauses<T> for On<C, M, F> {
    const COUNT: usize = C::COUNT + 1;

    fn find(&self, inner: &Inner, entry: &Envelope) -> Option<usize> {
        let value =
            |value: &dyn Value| value.as_any().is::<M>() || value.type_info().name() == M::NAME;
        let bytes = |ty| inner.types.is_same::<M>(ty) || inner.types.is_called(ty, M::NAME);
        self.before.find(inner, entry).or_else(|| {
            let is_mine = match entry {
                Envelope::Value { value: boxed, .. } => value(&**boxed),
                Envelope::Small { ty, .. } => bytes(*ty),
                Envelope::Parcel { parcel, .. } => match &**parcel {
                    Parcel::Call { content: Content::Value(boxed), .. } => value(&**boxed),
                    Parcel::Large { ty, .. }
                    | Parcel::Call { content: Content::Bytes { ty, .. }, .. } => bytes(*ty),
                    Parcel::Reply { .. } | Parcel::Exit { .. } => false,
                },
            };
            is_mine.then_some(C::COUNT)
        })
    }

    fn take(&mut self, clause: usize, context: &Context, letter: Letter) -> Taken<T> {
        if clause < C::COUNT {
            return self.before.take(clause, context, letter);
        }
        let Letter { from, call, content, weight } = letter;
        match read::<M>(&context.node.inner, content) {
            Read::Message(message) => {
                let reply_to = call.map(|call| ReplyTo::new(context, from, call));
                let from = context.node.inner.pid(from);
                Taken::Received((self.then)(Received { message, from, reply_to }))
            }
            Read::Unreadable(content, refusal) => {
                Taken::Unreadable(Letter { from, call, content, weight }, refusal)
            }
            Read::Undecided(content, ty) => {
                Taken::Undecided(Letter { from, call, content, weight }, ty)
            }
        }
    }

    fn take_small(
        &mut self,
        clause: usize,
        context: &Context,
        from: Sender,
        (ty, bytes): (TypeNo, &[u8]),
    ) -> Option<T> {
        if clause < C::COUNT {
            return self.before.take_small(clause, context, from, (ty, bytes));
        }
        let inner = &context.node.inner;
        if !inner.types.is_same::<M>(ty) {
            return None;
        }
        // What does not decode is read again, for the reason.
        let message = decode::<M>(bytes).ok()?;
        let from = inner.pid(from);
        Some((self.then)(Received { message, from, reply_to: None }))
    }
}

/// What reading a content as a type came to.
pub(crate) enum Read<M> {
    Message(M),
    Unreadable(Content, Refusal),
    Undecided(Content, TypeNo),
}

/// Reads a content as a message of type `M`.
pub(crate) fn read<M: Message>(inner: &Arc<Inner>, content: Content) -> Read<M> {
    let content = match content {
        Content::Value(value) if (*value).as_any().is::<M>() => match value.into_any().downcast() {
            Ok(message) => return Read::Message(*message),
            Err(_) => unreachable!("its type has just been asked for"),
        },
        Content::Value(value) => match encoded(inner, &*value) {
            Some(content) => content,
            None => return unreadable(Content::Value(value), "it does not encode".into()),
        },
        content @ Content::Bytes { .. } => content,
    };
    let Content::Bytes { ty, bytes } = &content else { unreachable!("encoded above") };
    if inner.types.of::<M>().is_err() {
        return unreadable(content, "the node knows too many types".into());
    }
    match inner.types.reading_as::<M>(*ty) {
        Reading::Resolved(resolution) => match decode_resolved::<M>(bytes, &resolution) {
            Ok(message) => {
                if matches!(*resolution, Resolution::Same) {
                    inner.types.learn_same::<M>(*ty);
                }
                Read::Message(message)
            }
            Err(error) => match &*resolution {
                Resolution::Incompatible(mismatch) => {
                    let refusal = Refusal::Incompatible(Box::new(mismatch.clone()));
                    Read::Unreadable(content, refusal)
                }
                _ => unreadable(content, error.to_string()),
            },
        },
        Reading::SchemaUnknown => {
            let ty = *ty;
            Read::Undecided(content, ty)
        }
        Reading::SchemaUnavailable => {
            unreadable(content, "its schema differs from ours and cannot be had".into())
        }
    }
}

fn unreadable<M: Message>(content: Content, detail: String) -> Read<M> {
    Read::Unreadable(content, Refusal::Garbled { type_name: M::NAME.into(), detail })
}

/// A value of another Rust type with the same name, as bytes.
pub(crate) fn encoded(inner: &Inner, value: &dyn Value) -> Option<Content> {
    let ty = inner.types.intern_static(value.type_info()).ok()?;
    let mut bytes = Vec::new();
    value.encode(&mut bytes).ok()?;
    Some(Content::Bytes { ty, bytes: bytes.into() })
}

/// What is left of a letter that nobody can read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) from: Sender,
    pub(crate) call: Option<CallRef>,
    pub(crate) content: Content,
}
