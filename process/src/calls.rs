//! Calls: a request is sent, and its reply awaited until a deadline, in one go or apart.

pub(crate) mod encoded;
pub(crate) mod many;
pub(crate) mod multi;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::{Address, Destination, Message, Pid};
use midflight_runtime::{BoxFuture, Instant};

use crate::context::Context;
use crate::error::{CallError, SendError};
use crate::mailbox::envelope::{CallRef, Content, Refusal};
use crate::peer::ask::AskError;
use crate::receive::{Read, read};
use crate::send::NotSent;
use crate::send::reply_to::read_reply;
use crate::timers::deadline::Deadline;

impl Context {
    /// Asks `to` and waits for its reply for `timeout` at the most, which covers all of it: the name, the
    /// link, the sending and the waiting.
    ///
    /// # Errors
    /// See [`CallError`]. After `TimedOut` the request may still be handled; its reply is dropped.
    ///
    /// # Cancel safety
    /// A dropped future drops the reply.
    pub async fn call<M: Message, R: Message>(
        &self,
        to: impl Destination<M>,
        message: M,
        timeout: Duration,
    ) -> Result<R, CallError> {
        ask(self, to.address(), message, timeout).await?.await
    }

    /// Sends a request as [`Context::call`] does, and leaves the waiting for its reply to whoever has
    /// the handle (Erlang's `send_request`). `timeout` counts from now on, also before anybody waits.
    ///
    /// ```
    /// # use midflight_process::{CallError, Context, PendingReply, Pid};
    /// # use std::time::Duration;
    /// async fn both(cx: &Context, left: Pid, right: Pid) -> Result<u64, CallError> {
    ///     let second = Duration::from_secs(1);
    ///     let left: PendingReply<u64> = cx.send_request(left, 1_u64, second).await?;
    ///     let right: PendingReply<u64> = cx.send_request(right, 2_u64, second).await?;
    ///     // Both are at work.
    ///     Ok(left.await? + right.await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// `NotSent`, `TimedOut` and `Refused` when it was not sent. Why there is no reply to a request that
    /// was sent says the handle.
    ///
    /// # Cancel safety
    /// Of a future that was dropped the request may be sent; its reply is dropped.
    pub async fn send_request<M: Message, R: Message>(
        &self,
        to: impl Destination<M>,
        message: M,
        timeout: Duration,
    ) -> Result<PendingReply<R>, CallError> {
        let awaited = ask(self.again(), to.address(), message, timeout).await?;
        Ok(PendingReply { awaited })
    }
}

/// A reply that is to come, or word that there is none: await it (Erlang's request identifiers; what
/// [`Context::send_request`] gives). It answers at the request's deadline at the latest. Dropped, it forgets
/// the call: a reply that comes later goes nowhere.
///
/// It belongs to the process that asked and may lie in its state; the reply comes to that process,
/// so that it is of no use once that has ended. Several are awaited together in [`PendingReplies`], or in
/// whatever awaits futures together.
///
/// # Panics
/// Polled again once it has answered.
///
/// [`PendingReplies`]: crate::PendingReplies
#[must_use = "a reply that nobody waits for is dropped: to send without waiting there is `send`"]
pub struct PendingReply<R> {
    awaited: Awaited<Context, R>,
}

impl<R: Message> PendingReply<R> {
    /// Waits for `timeout` at the most, and no longer than the request's deadline; zero takes what is there
    /// (Erlang's `check_response`). `None`: nothing yet, and the reply can be waited for again.
    ///
    /// # Cancel safety
    /// A dropped future has taken nothing.
    ///
    /// # Panics
    /// Once it has answered.
    pub fn wait_timeout(
        &mut self,
        timeout: Duration,
    ) -> impl Future<Output = Option<Result<R, CallError>>> {
        let cx = self.context().again();
        let deadline = Deadline::after(&cx.node.inner, timeout);
        async move {
            let answered = cx.waits().within(deadline, &mut *self).await;
            if answered.is_none() {
                self.is_left();
            }
            answered
        }
    }

    /// Nobody waits for it for the time being.
    pub(crate) fn is_left(&self) {
        let mut arrived = self.context().shared.lock();
        if let Some(asked) = arrived.calls.get_mut(&self.awaited.guard.call) {
            asked.polled = Polled::Never;
        }
    }

    /// When it answers at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.awaited.deadline.time()
    }

    /// Who was asked.
    #[must_use]
    pub const fn to(&self) -> Pid {
        self.awaited.guard.to
    }

    const fn context(&self) -> &Context {
        &self.awaited.guard.context
    }
}

impl<R: Message> Future for PendingReply<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.awaited).poll(cx)
    }
}

impl<R> std::fmt::Debug for PendingReply<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingReply({:?})", self.awaited.guard.to)
    }
}

/// Sends a request within `timeout`.
async fn ask<C: Borrow<Context> + Unpin, M: Message, R: Message>(
    asks: C,
    address: Address<'_>,
    message: M,
    timeout: Duration,
) -> Result<Awaited<C, R>, CallError> {
    let content = Content::Value(Box::new(message));
    let (guard, deadline) = request(asks, address, content, timeout).await?;
    let deadline = Deadline::at(deadline);
    Ok(Awaited { guard, deadline, after: timeout, reading: None, is_over: false })
}

/// Sends a request of any content within `timeout`. With it comes when its reply is awaited no longer.
async fn request<C: Borrow<Context> + Unpin>(
    asks: C,
    address: Address<'_>,
    content: Content,
    timeout: Duration,
) -> Result<(CallGuard<C>, Instant), CallError> {
    let context = asks.borrow();
    let inner = &context.node.inner;
    let now = inner.runtime.now();
    let deadline = now + timeout;
    let to = match address {
        Address::Pid(pid) => pid,
        Address::Name(_) => context.node.find(address).await?,
        Address::NameOn(_, node) => {
            let finding = context.node.find(address);
            let found = context.waits().within(Deadline::at(deadline), finding).await;
            found.ok_or(SendError::Whereis(AskError::NoAnswer(node)))??
        }
    };
    let guard = CallGuard::new(asks, to, now);
    let (context, call) = (guard.context.borrow(), guard.call);
    let inner = &context.node.inner;
    match inner.try_send(context.place, to, Some(call), content) {
        Ok(()) => {}
        Err(NotSent::Full(content) | NotSent::NotConnected(_, content)) => {
            let sending = Box::pin(context.send_waiting(to, Some(call), content));
            let sent = context.waits().within(Deadline::at(deadline), sending).await;
            sent.ok_or(CallError::TimedOut { to, after: timeout })??;
        }
        Err(other) => return Err(SendError::from_not_sent(other, to).into()),
    }
    Ok((guard, deadline))
}

/// The reply to a request that was sent; `C` is the context of who asked.
struct Awaited<C: Borrow<Context>, R> {
    guard: CallGuard<C>,
    deadline: Deadline,
    after: Duration,
    /// A reply that is there and cannot be read before its schema has come.
    reading: Option<BoxFuture<Result<R, CallError>>>,
    is_over: bool,
}

impl<C: Borrow<Context> + Unpin, R: Message> Awaited<C, R> {
    fn poll_reply(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<R, CallError>> {
        let Self { guard, deadline, after, reading, .. } = self;
        let (inner, to) = (&guard.context.borrow().node.inner, guard.to);
        let timed_out = CallError::TimedOut { to, after: *after };
        let reading = match reading {
            Some(reading) => reading,
            none => match std::task::ready!(guard.poll_reply(cx, deadline)) {
                None => return Poll::Ready(Err(timed_out)),
                Some(Err(refusal)) => {
                    return Poll::Ready(Err(CallError::Refused { to, refusal }));
                }
                Some(Ok(content)) => match read::<R>(inner, content) {
                    Read::Message(reply) => return Poll::Ready(Ok(reply)),
                    Read::Unreadable(_, refusal) => {
                        return Poll::Ready(Err(CallError::Unreadable { to, refusal }));
                    }
                    Read::Undecided(content, _) => {
                        none.insert(Box::pin(read_reply(inner.clone(), to, content)))
                    }
                },
            },
        };
        if let Poll::Ready(reply) = reading.as_mut().poll(cx) {
            return Poll::Ready(reply);
        }
        deadline.poll(guard.context.borrow().waits(), cx).map(|()| Err(timed_out))
    }
}

impl<C: Borrow<Context> + Unpin, R: Message> Future for Awaited<C, R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        assert!(!self.is_over, "the reply was waited for after it had come");
        let polled = self.poll_reply(cx);
        self.is_over = polled.is_ready();
        polled
    }
}

/// A call that was made and is not over.
pub(crate) struct Asked {
    pub(crate) to: Pid,
    pub(crate) since: Instant,
    /// When its reply was waited for last.
    polled: Polled,
    /// What has come.
    pub(crate) reply: Option<Result<Content, Refusal>>,
}

/// When a reply was waited for last: what is polled whenever the process is and was not the last time is not
/// waited for any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polled {
    Never,
    /// In this poll of its process.
    In(u32),
    /// By a waker of its own.
    Apart,
}

impl Asked {
    /// Whether the reply is waited for, and has not come, when its process was polled so often.
    pub(crate) fn is_awaited(&self, polls: u32) -> bool {
        let last = Polled::In(polls);
        self.reply.is_none() && (self.polled == last || self.polled == Polled::Apart)
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Asked({})", self.to)
    }
}

/// Forgets a call when it is over, however it ends.
pub(crate) struct CallGuard<C: Borrow<Context>> {
    context: C,
    to: Pid,
    pub(crate) call: CallRef,
}

impl<C: Borrow<Context>> CallGuard<C> {
    /// Numbers a call that is made now to `to`, of which only the node counts, and keeps a place for its reply.
    pub(crate) fn new(context: C, to: Pid, now: Instant) -> Self {
        let Context { node, shared, .. } = context.borrow();
        let call = node.inner.next_call();
        let asked = Asked { to, since: now, polled: Polled::Never, reply: None };
        shared.lock().calls.insert(call, asked);
        Self { context, to, call }
    }

    /// Waits for the reply. `None`: none came in time.
    pub(crate) async fn reply(&self, deadline: Instant) -> Option<Result<Content, Refusal>> {
        let mut deadline = Deadline::at(deadline);
        std::future::poll_fn(|cx| self.poll_reply(cx, &mut deadline)).await
    }

    fn poll_reply(
        &self,
        cx: &mut TaskContext<'_>,
        deadline: &mut Deadline,
    ) -> Poll<Option<Result<Content, Refusal>>> {
        let context = self.context.borrow();
        let shared = &context.shared;
        shared.wait(cx);
        let is_own = shared.is_own(cx);
        let reply = {
            let mut arrived = shared.lock();
            let polled = if is_own { Polled::In(shared.polls()) } else { Polled::Apart };
            arrived.calls.get_mut(&self.call).and_then(|asked| {
                asked.polled = polled;
                asked.reply.take()
            })
        };
        if reply.is_some() {
            return Poll::Ready(reply);
        }
        deadline.poll(context.waits(), cx).map(|()| None)
    }
}

impl<C: Borrow<Context>> Drop for CallGuard<C> {
    fn drop(&mut self) {
        let Context { node, shared, .. } = self.context.borrow();
        shared.lock().calls.remove(&self.call);
        node.forget_call(self.to, self.call);
    }
}
