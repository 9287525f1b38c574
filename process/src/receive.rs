//! Selective receive: the oldest message that a clause takes; the others stay, in order.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::{Message, Pid, Resolution, decode_resolved};
use midflight_runtime::BoxFuture;

use crate::context::Context;
use crate::envelope::{CallRef, Content, Refusal};
use crate::function::Letter;
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

/// What a clause makes of a letter.
enum Taken<T> {
    /// It is another clause's.
    NotMine(Letter),
    Value(T),
    /// It is this clause's and cannot be read.
    Unreadable(Letter, Refusal),
    /// It may be this clause's: the writer's schema is on its way.
    Undecided(Letter, TypeNo),
}

trait Clause<T> {
    /// Whether the letter's type has the clause's name.
    fn may_take(&self, inner: &Inner, content: &Content) -> bool;
    fn take(&mut self, context: &Context, letter: Letter) -> Taken<T>;
}

/// A receive with several clauses. The oldest message that any clause takes is received; where
/// several would take it, the first clause does.
#[must_use = "a receive does nothing until it is awaited"]
pub struct Receive<'a, T> {
    context: &'a Context,
    clauses: Vec<Box<dyn Clause<T> + Send + 'a>>,
    /// Letters up to here were refused by every clause: they are not looked at again.
    seen: usize,
}

impl<'a, T> Receive<'a, T> {
    pub(crate) const fn new(context: &'a Context) -> Self {
        Self { context, clauses: Vec::new(), seen: 0 }
    }

    /// Adds a clause for messages of type `M`.
    pub fn on<M: Message>(mut self, then: impl FnMut(Received<M>) -> T + Send + 'a) -> Self {
        self.clauses.push(Box::new(On {
            then,
            ty: None,
            message: std::marker::PhantomData::<fn() -> M>,
        }));
        self
    }

    /// Waits for as long as it takes.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    pub async fn forever(mut self) -> T {
        let mut waiting = None;
        std::future::poll_fn(|cx| self.poll(cx, &mut waiting)).await
    }

    /// Waits for `timeout` at the most; zero takes what is there.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    pub async fn timeout(mut self, timeout: Duration) -> Option<T> {
        let runtime = &self.context.node.inner.runtime;
        let deadline = runtime.now() + timeout;
        let (mut timer, mut waiting): (Option<BoxFuture<()>>, _) = (None, None);
        std::future::poll_fn(|cx| {
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
        .await
    }

    /// `waiting` is the deadline for a schema that is on its way, while one is.
    fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
        waiting: &mut Option<(TypeNo, BoxFuture<()>)>,
    ) -> Poll<T> {
        let inner = &self.context.node.inner;
        loop {
            let Some((at, letter)) = self.next_letter() else { return Poll::Pending };
            match self.offer(letter) {
                Taken::Value(value) => return Poll::Ready(value),
                Taken::NotMine(letter) => self.put_back(at, letter, true),
                Taken::Unreadable(letter, refusal) => {
                    self.book(&letter);
                    refuse(inner, self.context.place, letter.into(), refusal);
                }
                Taken::Undecided(letter, ty) => {
                    let from = letter.from;
                    self.put_back(at, letter, false);
                    let (awaited, timer) = waiting.get_or_insert_with(|| {
                        inner.request_schema(from, ty);
                        (ty, inner.runtime.sleep(inner.limits.schema_timeout))
                    });
                    let overdue = *awaited == ty && timer.as_mut().poll(cx).is_ready();
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
    }

    /// Takes the oldest letter that has not been seen and that a clause may take.
    fn next_letter(&mut self) -> Option<(usize, Letter)> {
        let inner = &self.context.node.inner;
        let mut arrived = self.context.shared.arrived.lock();
        while let Some(letter) = arrived.letters.get(self.seen) {
            if self.clauses.iter().any(|clause| clause.may_take(inner, &letter.content)) {
                return Some((self.seen, arrived.letters.remove(self.seen)?));
            }
            self.seen += 1;
        }
        None
    }

    fn offer(&mut self, letter: Letter) -> Taken<T> {
        let inner = &self.context.node.inner;
        let (from, weight) = (letter.from, letter.weight);
        let mut letter = letter;
        for clause in &mut self.clauses {
            if !clause.may_take(inner, &letter.content) {
                continue;
            }
            match clause.take(self.context, letter) {
                Taken::NotMine(given_back) => letter = given_back,
                Taken::Value(value) => {
                    self.context.shared.arrived.lock().handled.add(from, weight);
                    return Taken::Value(value);
                }
                other => return other,
            }
        }
        Taken::NotMine(letter)
    }

    fn book(&self, letter: &Letter) {
        self.context.shared.arrived.lock().handled.add(letter.from, letter.weight);
    }

    fn put_back(&mut self, at: usize, letter: Letter, seen: bool) {
        self.context.shared.arrived.lock().letters.insert(at, letter);
        self.seen = at + usize::from(seen);
    }
}

impl<T> std::fmt::Debug for Receive<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receive").field("clauses", &self.clauses.len()).finish()
    }
}

struct On<M, F> {
    then: F,
    ty: Option<TypeNo>,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<T, M: Message, F: FnMut(Received<M>) -> T> Clause<T> for On<M, F> {
    fn may_take(&self, inner: &Inner, content: &Content) -> bool {
        match content {
            Content::Value(value) => {
                (**value).as_any().is::<M>() || value.type_info().name() == M::NAME
            }
            Content::Bytes { ty, .. } => {
                self.ty == Some(*ty) || &*inner.types.entry(*ty).name == M::NAME
            }
        }
    }

    fn take(&mut self, context: &Context, letter: Letter) -> Taken<T> {
        let Letter { from, call, content, weight } = letter;
        match read::<M>(&context.node.inner, &mut self.ty, content) {
            Read::Message(message) => {
                let reply_to = call.map(|call| ReplyTo::new(context, from, call));
                let from = context.node.inner.pid(from);
                Taken::Value((self.then)(Received { message, from, reply_to }))
            }
            Read::Unreadable(content, refusal) => {
                Taken::Unreadable(Letter { from, call, content, weight }, refusal)
            }
            Read::Undecided(content, ty) => {
                Taken::Undecided(Letter { from, call, content, weight }, ty)
            }
        }
    }
}

/// What reading a content as a type came to.
pub(crate) enum Read<M> {
    Message(M),
    Unreadable(Content, Refusal),
    Undecided(Content, TypeNo),
}

/// Reads a content as a message of type `M`. `cached` is `M`'s number, once known.
pub(crate) fn read<M: Message>(
    inner: &Arc<Inner>,
    cached: &mut Option<TypeNo>,
    content: Content,
) -> Read<M> {
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
    let reader = match cached {
        Some(reader) => *reader,
        None => match inner.types.of::<M>() {
            Ok(reader) => *cached.insert(reader),
            Err(_) => return unreadable(content, "the node knows too many types".into()),
        },
    };
    match inner.types.reading(*ty, reader) {
        Reading::Resolved(resolution) => match decode_resolved::<M>(bytes, &resolution) {
            Ok(message) => Read::Message(message),
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
    pub(crate) from: crate::envelope::Sender,
    pub(crate) call: Option<CallRef>,
    pub(crate) content: Content,
}

impl From<Letter> for Unread {
    fn from(letter: Letter) -> Self {
        Self { from: letter.from, call: letter.call, content: letter.content }
    }
}
