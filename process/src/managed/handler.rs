//! A handler, whatever message it is for.

use std::any::Any;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use midflight_message::{Message, Pid};

use super::client::Request;
use super::server::Server;
use crate::context::Context;
use crate::receive::{AnyMessage, ReadError, Received};
use crate::send::reply_to::ReplyTo;
use crate::types::TypeNo;

/// Whoever called and waits for an `R`. It can be kept, and answered later, by anyone. Dropped
/// without an answer, it tells the caller so.
#[must_use = "somebody waits for the reply"]
#[derive(Debug)]
pub struct Reply<R> {
    to: ReplyTo,
    reply: PhantomData<fn(R)>,
}

impl<R: Message> Reply<R> {
    /// Answers. Never waits.
    pub fn send(self, reply: R) {
        self.to.reply(reply);
    }

    /// Tells the caller that there is no answer, and why.
    pub fn reject(self, why: impl Into<String>) {
        self.to.abort(format!("rejected: {}", why.into()));
    }
}

/// A message that has been read for a handler.
pub(super) struct Taken {
    pub(super) message: Box<dyn Any + Send>,
    pub(super) from: Option<Pid>,
    pub(super) reply_to: Option<ReplyTo>,
}

/// What a handler leaves to be awaited; `None`: it is done.
pub(super) type Rest<'a> = Option<BoxFuture<'a, ()>>;

/// Something to be done with the state.
pub(super) type Job<S> = Box<dyn for<'a> FnOnce(&'a mut S, &'a mut Server<S>) -> Rest<'a> + Send>;

pub(super) trait Handler<S>: Send {
    /// Whether it is for this message.
    fn takes(&self, message: &AnyMessage) -> bool;

    /// The type whose schema is to be had before a message that it takes can be read, if there is one.
    fn undecided(&self, message: &AnyMessage) -> Option<TypeNo>;

    /// Whether it is for what was read for it, or for another of the same type.
    fn is_for(&self, taken: &Taken) -> bool;

    /// Reads a message that it takes.
    fn read<'a>(
        &self,
        message: AnyMessage,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Taken, ReadError>>;

    /// Does what is to be done for a message it has read.
    fn handle<'a>(
        &'a mut self,
        state: &'a mut S,
        taken: Taken,
        server: &'a mut Server<S>,
    ) -> Rest<'a>;

    /// The message's type.
    fn name(&self) -> &'static str;
}

/// A handler for messages of type `M`; `calls`: for those whose sender waits for a reply.
pub(super) struct For<M, F> {
    calls: bool,
    handle: F,
    message: PhantomData<fn(M)>,
}

impl<M: Message, F> For<M, F> {
    pub(super) const fn messages(handle: F) -> Self {
        Self { calls: false, handle, message: PhantomData }
    }

    pub(super) const fn calls(handle: F) -> Self {
        Self { calls: true, handle, message: PhantomData }
    }
}

impl<S, M, F> Handler<S> for For<M, F>
where
    M: Message,
    F: for<'a> FnMut(&'a mut S, M, Option<ReplyTo>, &'a mut Server<S>) -> Rest<'a> + Send,
{
    fn takes(&self, message: &AnyMessage) -> bool {
        message.is_call() == self.calls && message.is::<M>()
    }

    fn undecided(&self, message: &AnyMessage) -> Option<TypeNo> {
        message.undecided::<M>()
    }

    fn is_for(&self, taken: &Taken) -> bool {
        taken.reply_to.is_some() == self.calls && taken.message.is::<M>()
    }

    fn read<'a>(
        &self,
        message: AnyMessage,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Taken, ReadError>> {
        Box::pin(async move {
            let Received { message, from, reply_to, .. } = message.read::<M>(cx).await?;
            Ok(Taken { message: Box::new(message), from, reply_to })
        })
    }

    fn handle<'a>(
        &'a mut self,
        state: &'a mut S,
        taken: Taken,
        server: &'a mut Server<S>,
    ) -> Rest<'a> {
        let message = taken.message.downcast::<M>().ok()?;
        (self.handle)(state, *message, taken.reply_to, server)
    }

    fn name(&self) -> &'static str {
        M::NAME
    }
}

/// A call's reply token. Its handler takes nothing but calls.
pub(super) fn reply_of<M: Request>(to: Option<ReplyTo>) -> Option<Reply<M::Reply>> {
    Some(Reply { to: to?, reply: PhantomData })
}
