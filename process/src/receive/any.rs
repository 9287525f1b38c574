//! A message of whatever type, before anybody has read it: to look at, to read, or to pass on.

use std::sync::Arc;

use midflight_message::{Message, Pid};

use super::Received;
use super::letter::{Letter, Looked, Read, Unread, read_written, schema_missing};
use crate::context::Context;
use crate::error::SendError;
use crate::letters::notice::is_unasked;
use crate::letters::unread::refuse;
use crate::mailbox::envelope::{CallRef, Content, Refusal, Subject, TOLD_WEIGHT};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::send::reply_to::ReplyTo;
use crate::types::{Reading, TypeNo};

/// Calls that a process has passed on and that wait for their replies.
const RELAYS_MAX: usize = 4_096;

/// A message of whatever type, taken out of the mailbox undecoded. One that is dropped is gone; if
/// it is a call, its caller is told that there is no reply.
pub struct AnyMessage {
    inner: Arc<Inner>,
    me: Place,
    /// `None` once it has been read or passed on.
    letter: Option<Letter>,
}

/// A message was not read as the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is of another type. The message comes back.
    #[error("it is of another type: {0:?}")]
    AnotherType(AnyMessage),
    /// It is of that name and cannot be read. It has become a dead letter, and its sender knows.
    #[error("it cannot be read: {0}")]
    Unreadable(Refusal),
}

impl AnyMessage {
    pub(super) fn new(context: &Context, letter: Letter) -> Self {
        Self { inner: context.node.inner.clone(), me: context.place, letter: Some(letter) }
    }

    /// Takes the letter out again.
    pub(super) fn into_letter(mut self) -> Letter {
        self.take()
    }

    fn take(&mut self) -> Letter {
        self.letter.take().expect("whoever takes the letter ends the message")
    }

    fn letter(&self) -> &Letter {
        self.letter.as_ref().expect("whoever takes the letter ends the message")
    }

    /// Who sent it; `None` when it came from outside any process.
    #[must_use]
    pub fn from(&self) -> Option<Pid> {
        self.inner.pid(self.letter().from)
    }

    /// Whether its sender waits for a reply.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.letter().call.is_some()
    }

    /// Whether it is a notice of the node's own that comes unasked.
    pub(crate) fn is_unasked(&self) -> bool {
        !self.is_call() && is_unasked(&self.type_name())
    }

    /// Whether the node says it in the place of its sender: no process can send such a message.
    pub(crate) fn is_told(&self) -> bool {
        self.letter().weight == TOLD_WEIGHT
    }

    /// What its type is called.
    #[must_use]
    pub fn type_name(&self) -> Arc<str> {
        match self.letter().content.subject() {
            Subject::Value(value) => value.type_info().name().into(),
            Subject::Type(ty) => self.inner.types.entry(ty).name.clone(),
        }
    }

    /// The version of its type that it has here: its sender's while it is undecoded.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self.letter().content.subject() {
            Subject::Value(value) => value.type_info().version(),
            Subject::Type(ty) => self.inner.types.entry(ty).version,
        }
    }

    /// Whether it is called as `M` is, of whatever version.
    #[must_use]
    pub fn is<M: Message>(&self) -> bool {
        *self.type_name() == *M::NAME
    }

    /// The message as an `M`. `None` when it is of another type, cannot be read, or the schema of
    /// its sender's type is still to be asked for ([`AnyMessage::read`] does). It is decoded once.
    pub fn peek<M: Message>(&mut self) -> Option<&M> {
        if !self.is::<M>() {
            return None;
        }
        let looked = self.take().look::<M>(&self.inner);
        let (Looked::At(letter) | Looked::Unreadable(letter, _) | Looked::Undecided(letter, _)) =
            looked;
        self.letter.insert(letter).message()
    }

    /// The type whose schema is to be had before it can be read as an `M`, if there is one.
    pub(crate) fn undecided<M: Message>(&self) -> Option<TypeNo> {
        let Letter { content: Content::Bytes { ty, .. }, .. } = self.letter() else { return None };
        // Known first: most that come are of this very type.
        self.inner.types.of::<M>().ok()?;
        let reading = self.inner.types.reading_as::<M>(*ty);
        matches!(reading, Reading::SchemaUnknown).then_some(*ty)
    }

    /// Reads it as an `M`.
    ///
    /// # Errors
    /// See [`ReadError`].
    ///
    /// # Cancel safety
    /// A dropped future drops the message.
    pub async fn read<M: Message>(mut self, cx: &Context) -> Result<Received<M>, ReadError> {
        if !self.is::<M>() {
            return Err(ReadError::AnotherType(self));
        }
        loop {
            let Letter { arrival, from, call, content, weight, written } = self.take();
            match read_written::<M>(&self.inner, content, written) {
                Read::Message(message) => {
                    let reply_to = call.map(|call| ReplyTo::new(cx, from, call));
                    let inner = &self.inner;
                    let (from, node, again) = (inner.pid(from), inner.asker(from), from.letter());
                    return Ok(Received { message, from, node, reply_to, again });
                }
                Read::Unreadable(content, refusal) => {
                    let unread = Unread::new(from, call, content, Some(M::VERSION));
                    refuse(&self.inner, self.me, unread, refusal.clone());
                    return Err(ReadError::Unreadable(refusal));
                }
                Read::Undecided(content, ty) => {
                    let letter = Letter { arrival, from, call, content, weight, written: None };
                    self.letter = Some(letter);
                    let inner = self.inner.clone();
                    if !inner.await_schema(ty, || inner.request_schema(from, ty)).await {
                        let refusal = schema_missing(&inner, ty);
                        let Letter { from, call, content, .. } = self.take();
                        let unread = Unread::new(from, call, content, Some(M::VERSION));
                        refuse(&inner, self.me, unread, refusal.clone());
                        return Err(ReadError::Unreadable(refusal));
                    }
                }
            }
        }
    }

    /// Passes it on to `to`, undecoded, as a message of this process. When it is a call, `to`'s
    /// reply goes to its caller.
    ///
    /// # Errors
    /// As [`Context::send`]; `Overloaded` also when 4,096 calls that this process has passed on
    /// wait for their replies. A call's caller is told that there is none.
    ///
    /// # Cancel safety
    /// A dropped future has not sent the message, and drops it.
    pub async fn forward(mut self, cx: &Context, to: Pid) -> Result<(), SendError> {
        let Letter { from, call, content, written, .. } = self.take();
        let content = match written {
            Some(written) => Content::Bytes { ty: written.0, bytes: written.1 },
            None => content,
        };
        match call {
            None => cx.send_waiting(to, None, content).await,
            Some(call) => {
                let caller = ReplyTo::new(cx, from, call);
                let relay = Relay::begin(cx, caller).ok_or(SendError::Overloaded(to))?;
                cx.send_waiting(to, Some(relay.call), content).await?;
                relay.keep();
                Ok(())
            }
        }
    }
}

impl AnyMessage {
    /// Tells its sender that it is none of `accepts`; it is kept as a dead letter, and counted.
    pub(crate) fn refuse(mut self, accepts: Vec<String>, behaviour: &str) {
        let (type_name, version) = (self.type_name().to_string(), self.version());
        let behaviour = behaviour.to_owned();
        let refusal = Refusal::NotAccepted { type_name, version, accepts, behaviour };
        let Letter { from, call, content, written, .. } = self.take();
        let content = match written {
            Some(written) => Content::Bytes { ty: written.0, bytes: written.1 },
            None => content,
        };
        let unread = Unread::new(from, call, content, None);
        refuse(&self.inner, self.me, unread, refusal);
    }
}

impl Drop for AnyMessage {
    fn drop(&mut self) {
        if let Some(Letter { from, call: Some(call), .. }) = self.letter {
            drop(ReplyTo::of(self.inner.clone(), self.me, from, call));
        }
    }
}

impl std::fmt::Debug for AnyMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnyMessage")
            .field("type", &self.type_name())
            .field("from", &self.from())
            .field("is_call", &self.is_call())
            .finish()
    }
}

/// A call that is being passed on; given up unless it was sent.
struct Relay<'a> {
    cx: &'a Context,
    call: CallRef,
}

impl<'a> Relay<'a> {
    /// Enters the caller; `None` when too many wait already.
    fn begin(cx: &'a Context, caller: ReplyTo) -> Option<Self> {
        let call = cx.node.inner.next_call();
        let mut arrived = cx.shared.lock();
        let relays = &mut arrived.aside().relays;
        if relays.len() >= RELAYS_MAX {
            drop(arrived);
            drop(caller);
            return None;
        }
        relays.insert(call, caller);
        drop(arrived);
        Some(Self { cx, call })
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        let caller = self.cx.shared.lock().aside().relays.remove(&self.call);
        // Outside the lock: it tells the caller.
        drop(caller);
    }
}

impl Context {
    /// Passes every message on to `to`, of whatever type. Ends when one could not be sent.
    pub async fn relay(&self, to: Pid) -> SendError {
        self.delegate(to, |_| true).await
    }

    /// Passes those messages on to `to` that `wanted` wants; the others stay. Ends when one could
    /// not be sent.
    pub async fn delegate(
        &self,
        to: Pid,
        mut wanted: impl FnMut(&mut AnyMessage) -> bool,
    ) -> SendError {
        loop {
            let message = self.receive().any_if(&mut wanted, |message| message).forever().await;
            if let Err(error) = message.forward(self, to).await {
                return error;
            }
        }
    }

    /// Passes those messages of type `M` on to `to` that `wanted` wants, and drops the other `M`s;
    /// messages of other types stay. Ends when one could not be sent.
    pub async fn proxy<M: Message>(
        &self,
        to: Pid,
        mut wanted: impl FnMut(&M) -> bool,
    ) -> SendError {
        loop {
            let is_m = |message: &mut AnyMessage| message.is::<M>();
            let mut message = self.receive().any_if(is_m, |message| message).forever().await;
            if message.peek::<M>().is_some_and(&mut wanted)
                && let Err(error) = message.forward(self, to).await
            {
                return error;
            }
        }
    }
}
