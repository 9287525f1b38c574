//! The side that asks.

use std::marker::PhantomData;
use std::time::Duration;

use midflight_message::{
    Address, Anything, Destination, Message, NodeId, Pid, ProcessRef, Protocol, SendPort, Takes,
};

use crate::calls::PendingReply;
use crate::calls::multi::MultiReply;
use crate::channel::ReceivePort;
use crate::context::Context;
use crate::destination::OwnedAddress;
use crate::error::{CallError, SendError};

/// How long a call waits unless it is told otherwise, as in Erlang.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A message that is a question: it says of which type the answer is.
pub trait Request: Message {
    /// The answer.
    type Reply: Message;
}

/// A managed process, as others name it: by its pid, by a name on the caller's node, or by a name on
/// another node. The name is looked up anew for every call. Where it is known what the process takes,
/// that is the [protocol](crate::Protocol) `P`, and nothing else compiles.
///
/// It is a [`Destination`]: what can be sent and asked with a [`Context`] can be with it, and what is
/// here besides knows by the [`Request`] which reply belongs to it.
pub struct ServerRef<P = Anything> {
    target: OwnedAddress,
    takes: PhantomData<fn(P)>,
}

impl<P: Protocol> ServerRef<P> {
    const fn new(target: OwnedAddress) -> Self {
        Self { target, takes: PhantomData }
    }

    /// Asks, and waits five seconds at the most for the answer.
    ///
    /// # Errors
    /// See [`CallError`]: that the process has ended, has rejected the request or does not know it is an
    /// error like any other, and never an exit of the caller.
    ///
    /// # Cancel safety
    /// A dropped future drops the answer. The request may be handled all the same.
    pub async fn call<M: Request>(&self, cx: &Context, request: M) -> Result<M::Reply, CallError>
    where
        P: Takes<M>,
    {
        self.call_timeout(cx, request, TIMEOUT).await
    }

    /// As [`ServerRef::call`], waiting `timeout` at the most.
    ///
    /// # Errors
    /// As [`ServerRef::call`].
    ///
    /// # Cancel safety
    /// As [`ServerRef::call`].
    pub async fn call_timeout<M: Request>(
        &self,
        cx: &Context,
        request: M,
        timeout: Duration,
    ) -> Result<M::Reply, CallError>
    where
        P: Takes<M>,
    {
        cx.call(self, request, timeout).await
    }

    /// As [`ServerRef::call`], for whoever does not want to know why there is no answer.
    ///
    /// # Cancel safety
    /// As [`ServerRef::call`].
    pub async fn try_call<M: Request>(&self, cx: &Context, request: M) -> Option<M::Reply>
    where
        P: Takes<M>,
    {
        self.call(cx, request).await.ok()
    }

    /// Asks, and leaves the waiting to whoever has the handle; see [`Context::send_request`].
    ///
    /// # Errors
    /// As [`Context::send_request`].
    ///
    /// # Cancel safety
    /// As [`Context::send_request`].
    pub async fn send_request<M: Request>(
        &self,
        cx: &Context,
        request: M,
        timeout: Duration,
    ) -> Result<PendingReply<M::Reply>, CallError>
    where
        P: Takes<M>,
    {
        cx.send_request(self, request, timeout).await
    }

    /// Tells, and waits for nothing but room.
    ///
    /// # Errors
    /// As [`Context::send`]. That the process does not know the message is told later, by an
    /// [`Undelivered`](crate::Undelivered).
    ///
    /// # Cancel safety
    /// A dropped future has not sent the message.
    pub async fn cast<M: Message>(&self, cx: &Context, message: M) -> Result<(), SendError>
    where
        P: Takes<M>,
    {
        cx.send(self, message).await
    }

    /// Tells something that carries a port, and answers where its values come (Cloud Haskell's `callChan`):
    /// for a request whose answer comes in parts, or again and again. Nothing comes any more once the
    /// process has ended: watch it to know, or wait with a time-out.
    ///
    /// # Errors
    /// As [`ServerRef::cast`].
    ///
    /// # Cancel safety
    /// A dropped future has not sent the message.
    pub async fn call_chan<M: Message, T: Message>(
        &self,
        cx: &Context,
        request: impl FnOnce(SendPort<T>) -> M,
    ) -> Result<ReceivePort<T>, SendError>
    where
        P: Takes<M>,
    {
        let (port, values) = cx.channel();
        self.cast(cx, request(port)).await?;
        Ok(values)
    }

    /// The process it names now.
    ///
    /// # Errors
    /// `NoName`, `Whereis`.
    pub async fn resolve(&self, cx: &Context) -> Result<Pid, SendError> {
        cx.node.find(self.target.get()).await
    }
}

impl ServerRef {
    /// Says that the process takes what `P` has. Nothing is checked until a message arrives there.
    #[must_use]
    pub fn typed<P: Protocol>(self) -> ServerRef<P> {
        ServerRef::new(self.target)
    }
}

/// Asks the managed processes of this name on several nodes at once; see [`Context::multi_call`].
///
/// # Cancel safety
/// As [`Context::multi_call`].
pub async fn multi_call<M: Request + Clone>(
    cx: &Context,
    nodes: impl IntoIterator<Item = NodeId>,
    name: &str,
    request: M,
    timeout: Duration,
) -> MultiReply<M::Reply> {
    cx.multi_call(nodes, name, request, timeout).await
}

impl<M, P: Takes<M>> Destination<M> for ServerRef<P> {
    fn address(&self) -> Address<'_> {
        self.target.get()
    }
}

impl<P> Clone for ServerRef<P> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), takes: PhantomData }
    }
}

impl<P> std::fmt::Debug for ServerRef<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServerRef").field(&self.target).finish()
    }
}

impl<P: Protocol> From<ProcessRef<P>> for ServerRef<P> {
    fn from(process: ProcessRef<P>) -> Self {
        Self::new(OwnedAddress::Pid(process.pid()))
    }
}

impl From<Pid> for ServerRef {
    fn from(pid: Pid) -> Self {
        Self::new(OwnedAddress::Pid(pid))
    }
}

impl From<&str> for ServerRef {
    fn from(name: &str) -> Self {
        Self::new(OwnedAddress::Name(name.to_owned()))
    }
}

impl From<(&str, NodeId)> for ServerRef {
    fn from((name, node): (&str, NodeId)) -> Self {
        Self::new(OwnedAddress::NameOn(name.to_owned(), node))
    }
}
