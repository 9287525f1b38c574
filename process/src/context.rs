//! What a process made of an async function can do.

mod relations;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use midflight_message::{Address, Destination, Message, Pid};
use midflight_runtime::{Instant, wake_again};

use crate::error::{SendError, TrySendError};
use crate::mailbox::envelope::Content;
use crate::names::registry::RegisterError;
use crate::node::Node;
use crate::peer::wire::Place;
use crate::receive::{Receive, Received};
use crate::scheduler::function::Shared;
use crate::send::{Kind, NotSent, Route};
use crate::timers::deadline::{Deadline, Waits};
use crate::waits::{WaitKind, Waiting};

/// A process's own view of itself and the world. It belongs to one process and is handed to its
/// function.
#[derive(Debug)]
pub struct Context {
    pub(crate) node: Node,
    pub(crate) place: Place,
    pub(crate) shared: Arc<Shared>,
}

impl Context {
    /// The same once more, for what outlives a borrow. The process has one, which is not given away twice.
    pub(crate) fn again(&self) -> Self {
        Self { node: self.node.clone(), place: self.place, shared: self.shared.clone() }
    }

    /// The process itself.
    #[must_use]
    pub fn me(&self) -> Pid {
        self.node.inner.local_pid(self.place)
    }

    /// The node it runs on.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Now, on the node's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.node.inner.runtime.now()
    }

    /// The process, for what it waits for.
    pub(crate) const fn waits(&self) -> Waits<'_> {
        Waits { inner: &self.node.inner, place: self.place, shared: &self.shared }
    }

    /// Ends after `duration`, not before.
    pub async fn sleep(&self, duration: Duration) {
        let mut end = Deadline::after(&self.node.inner, duration);
        std::future::poll_fn(|cx| end.poll(self.waits(), cx)).await;
    }

    /// Sends `message` to `to`, if there is room for it now.
    ///
    /// As in Erlang, a message to a process that has ended goes nowhere: watch the process, or
    /// call it, to know.
    ///
    /// # Errors
    /// `Full`, `NotConnected`, `Disconnected`, `NoName` and `Elsewhere` give the message back.
    pub fn try_send<M: Message>(
        &self,
        to: impl Destination<M>,
        message: M,
    ) -> Result<(), TrySendError<M>> {
        let node = &self.node;
        let to = match to.address() {
            Address::Pid(pid) => Some(pid),
            Address::Name(name) => node.whereis(name),
            Address::NameOn(name, on) if on == node.id() => node.whereis(name),
            Address::NameOn(..) => return Err(TrySendError::Elsewhere(message)),
        };
        match to {
            Some(to) => self.try_send_to(to, message),
            None => Err(TrySendError::NoName(message)),
        }
    }

    #[inline]
    fn try_send_to<M: Message>(&self, to: Pid, message: M) -> Result<(), TrySendError<M>> {
        let inner = &self.node.inner;
        let sent = match inner.route_to_send(self.place, to) {
            Route::Local(place) => inner.send_moved(self.place, place, Box::new(message)),
            Route::Remote(peer, place) => {
                return inner.send_remote_ref(self.place, &peer, place, None, message);
            }
            route @ Route::NotConnected(_) => {
                let content = Content::Value(Box::new(message));
                inner.send_by(route, self.place, Kind::Message, content)
            }
        };
        sent.map_err(TrySendError::from_not_sent)
    }

    /// Sends `message` to `to`; waits for room, and for a link to its node, within the node's
    /// `send_timeout`.
    ///
    /// ```
    /// use midflight_process::message::{Message, NodeId};
    /// use midflight_process::{Context, ProcessRef};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// struct Add(u64);
    ///
    /// async fn add(cx: &Context, counter: ProcessRef<Add>, node: NodeId) -> Result<(), Box<dyn std::error::Error>> {
    ///     cx.send(counter, Add(1)).await?;
    ///     cx.send(counter.pid(), Add(1)).await?;
    ///     cx.send("counter", Add(1)).await?;
    ///     cx.send(("counter", node), Add(1)).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// `Overloaded` when the receiver had no room in time; `Unreachable` when no link to its node
    /// could be made; `Disconnected` when this process has not accepted that what it sent there before
    /// may be lost; `NoName` and `Whereis` when `to` is a name.
    ///
    /// # Cancel safety
    /// A dropped future has not sent the message.
    pub async fn send<M: Message>(
        &self,
        to: impl Destination<M>,
        message: M,
    ) -> Result<(), SendError> {
        let to = match to.address() {
            Address::Pid(pid) => pid,
            name => self.node.find(name).await?,
        };
        match self.try_send_to(to, message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message) | TrySendError::NotConnected(message)) => {
                // Boxed, as it is rare and large: every send would move it along otherwise.
                Box::pin(self.send_waiting(to, None, Content::Value(Box::new(message)))).await
            }
            Err(error) => Err(SendError::from_try(error, to)),
        }
    }

    /// Sends once there is room and a link.
    pub(crate) async fn send_waiting(
        &self,
        to: Pid,
        kind: impl Into<Kind>,
        content: Content,
    ) -> Result<(), SendError> {
        let kind = kind.into();
        let inner = &self.node.inner;
        let deadline = inner.runtime.now() + inner.limits.send_timeout;
        let mut content = Some(content);
        while let Some(attempt) = content.take() {
            match inner.try_send(self.place, to, kind, attempt) {
                Ok(()) => return Ok(()),
                Err(NotSent::Full(given_back)) => {
                    let mut deadline = Deadline::at(deadline);
                    let (mut attempt, mut entered) = (Some(given_back), None);
                    let _waits = Waiting::begin(self, WaitKind::Room, to);
                    // Registered first, tried again after: room made in between is not missed.
                    let waited = std::future::poll_fn(|cx| {
                        if deadline.poll(self.waits(), cx).is_ready() {
                            return Poll::Ready(Err(SendError::Overloaded(to)));
                        }
                        entered = Some(inner.wait_for_room(self.place, to, cx.waker()));
                        let Some(content) = attempt.take() else { return Poll::Ready(Ok(None)) };
                        match inner.try_send(self.place, to, kind, content) {
                            Ok(()) => Poll::Ready(Ok(None)),
                            Err(NotSent::Full(content)) => {
                                attempt = Some(content);
                                Poll::Pending
                            }
                            Err(other) => Poll::Ready(Ok(Some(other))),
                        }
                    })
                    .await?;
                    match waited {
                        None => return Ok(()),
                        Some(NotSent::NotConnected(_, given_back)) => content = Some(given_back),
                        Some(other) => return Err(SendError::from_not_sent(other, to)),
                    }
                }
                Err(NotSent::NotConnected(node, given_back)) => {
                    let _waits = Waiting::begin(self, WaitKind::Link, to);
                    if let Err(why) = self.node.connect_node(node).await {
                        // What fails at once must not let a process that tries again and again
                        // keep its runner to itself.
                        wake_again().await;
                        return Err(SendError::Unreachable { to, why: why.to_string() });
                    }
                    content = Some(given_back);
                }
                Err(other) => return Err(SendError::from_not_sent(other, to)),
            }
        }
        Ok(())
    }

    /// Receives the oldest message of type `M`; waits for one as long as it takes. Messages of
    /// other types stay, in order.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    pub fn expect<M: Message>(&self) -> impl Future<Output = M> {
        self.receive().on(|received: Received<M>| received.message).forever()
    }

    /// As [`Context::expect`], for `timeout` at the most; zero takes what is there.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    pub fn expect_timeout<M: Message>(&self, timeout: Duration) -> impl Future<Output = Option<M>> {
        self.receive().on(|received: Received<M>| received.message).timeout(timeout)
    }

    /// Receives the oldest message of type `M` with its sender, and the caller who wants a reply.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    pub fn receive_one<M: Message>(&self) -> impl Future<Output = Received<M>> {
        self.receive().on(|received: Received<M>| received).forever()
    }

    /// Receives the oldest message that one of several clauses takes.
    pub fn receive<T>(&self) -> Receive<'_, T> {
        Receive::new(self)
    }

    /// Gives this process a name on its node.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn register(&self, name: &str) -> Result<(), RegisterError> {
        self.node.register(name, self.me())
    }
}
