//! Sending and calling by code that is no process, such as a program's `main`.

use std::task::Poll;
use std::time::Duration;

use midflight_message::{Address, Destination, Message, Pid};
use midflight_runtime::{Instant, timeout_at};

use crate::context::Context;
use crate::error::{CallError, SendError};
use crate::mailbox::envelope::{Content, Refusal};
use crate::node::Node;
use crate::peer::ask::AskError;
use crate::peer::wire::Place;
use crate::send::NotSent;

impl Node {
    /// Sends `message` to `to`, from no process: it has no sender. Waits for room, and for a link to its
    /// node, within the node's `send_timeout`. What is sent so to one process, one send awaited after the
    /// other, keeps its order for as long as the link lives.
    ///
    /// Nobody is told what becomes of it after that: neither when it cannot be read, nor when a link is
    /// lost on which it was under way. [`call`](Self::call) to know.
    ///
    /// ```no_run
    /// # use midflight_process::{Node, Pid};
    /// # async fn example(node: Node, counter: Pid) -> Result<(), Box<dyn std::error::Error>> {
    /// node.send(counter, 1_u64).await?;
    /// node.send("counter", 1_u64).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Context::send`](crate::Context::send), but never `Disconnected`.
    ///
    /// # Cancel safety
    /// A dropped future has not sent the message.
    pub async fn send<M: Message>(
        &self,
        to: impl Destination<M>,
        message: M,
    ) -> Result<(), SendError> {
        let to = self.find(to.address()).await?;
        let deadline = self.inner.runtime.now() + self.inner.limits.send_timeout;
        let mut content = Content::Value(Box::new(message));
        loop {
            content = match self.inner.try_send(Place::NOBODY, to, None, content) {
                Ok(()) => return Ok(()),
                Err(NotSent::Full(content)) => {
                    match self.wait_and_send(to, content, deadline).await? {
                        None => return Ok(()),
                        Some(given_back) => given_back,
                    }
                }
                Err(NotSent::NotConnected(node, content)) => {
                    let unreachable = |why: String| SendError::Unreachable { to, why };
                    if self.inner.runtime.now() >= deadline {
                        return Err(unreachable("links to it are lost as they are made".into()));
                    }
                    self.connect_node(node).await.map_err(|why| unreachable(why.to_string()))?;
                    content
                }
                Err(other) => return Err(SendError::from_not_sent(other, to)),
            };
        }
    }

    /// Sends once there is room; gives the message back when there is no link any more.
    async fn wait_and_send(
        &self,
        to: Pid,
        content: Content,
        deadline: Instant,
    ) -> Result<Option<Content>, SendError> {
        let inner = &self.inner;
        let (mut attempt, mut entered) = (Some(content), None);
        let sending = std::future::poll_fn(|cx| {
            // Registered first, tried again after: room made in between is not missed.
            entered = Some(inner.wait_for_room(Place::NOBODY, to, cx.waker()));
            let Some(content) = attempt.take() else { return Poll::Ready(Ok(None)) };
            match inner.try_send(Place::NOBODY, to, None, content) {
                Ok(()) => Poll::Ready(Ok(None)),
                Err(NotSent::Full(content)) => {
                    attempt = Some(content);
                    Poll::Pending
                }
                Err(NotSent::NotConnected(_, content)) => Poll::Ready(Ok(Some(content))),
                Err(other) => Poll::Ready(Err(SendError::from_not_sent(other, to))),
            }
        });
        timeout_at(&*inner.runtime, deadline, sending)
            .await
            .unwrap_or(Err(SendError::Overloaded(to)))
    }

    /// Asks `to` and waits for its reply for `timeout` at the most, as
    /// [`Context::call`](crate::Context::call) does for a process. It is asked by a process of its own, which
    /// costs a microsecond or so: code that calls all the time is better a process itself.
    ///
    /// ```no_run
    /// # use midflight_process::{Node, Pid};
    /// # use std::time::Duration;
    /// # async fn example(node: Node, counter: Pid) -> Result<(), Box<dyn std::error::Error>> {
    /// let sum: u64 = node.call(counter, 1_u64, Duration::from_secs(1)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]; `NotSent` with [`SendError::Spawn`] when no process can be started here, and
    /// `Refused` with [`Refusal::Aborted`] when the one that asked was ended, as by a shutdown of this node:
    /// then the request may have been handled.
    ///
    /// # Cancel safety
    /// Of a future that was dropped the request may be sent and handled; its reply is dropped.
    pub async fn call<M: Message, R: Message>(
        &self,
        to: impl Destination<M>,
        message: M,
        timeout: Duration,
    ) -> Result<R, CallError> {
        let deadline = self.inner.runtime.now() + timeout;
        let address = to.address();
        let no_answer = match address {
            Address::NameOn(_, node) => AskError::NoAnswer(node),
            _ => AskError::NoAnswer(self.id()),
        };
        let found = timeout_at(&*self.inner.runtime, deadline, self.find(address)).await;
        let to: Pid = found.map_err(|_elapsed| SendError::Whereis(no_answer))??;
        let left = deadline.since(self.inner.runtime.now());
        let call = move |cx: Context| async move { cx.call(to, message, left).await };
        match self.call_apart(to, call).await {
            // The whole of it was the limit.
            Err(CallError::TimedOut { to, .. }) => Err(CallError::TimedOut { to, after: timeout }),
            called => called,
        }
    }

    /// Has a process of its own call `to`.
    pub(crate) async fn call_apart<F, R>(
        &self,
        to: Pid,
        call: impl FnOnce(Context) -> F,
    ) -> Result<R, CallError>
    where
        F: Future<Output = Result<R, CallError>> + Send + 'static,
        R: Send + 'static,
    {
        let called = self.try_run("call", call).await.map_err(SendError::Spawn)?;
        called.unwrap_or_else(|| {
            let reason = "the process that asked for it was ended".to_owned();
            Err(CallError::Refused { to, refusal: Refusal::Aborted { reason } })
        })
    }
}
