//! The side that asks.

use std::time::Duration;

use midflight_message::{Message, NodeId, Pid};

use crate::context::Context;
use crate::error::{CallError, SendError};
use crate::peer::ask::AskError;

/// How long a call waits unless it is told otherwise, as in Erlang.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A message that is a question: it says of which type the answer is.
pub trait Request: Message {
    /// The answer.
    type Reply: Message;
}

/// A managed process, as others name it: by its pid, by a name on the caller's node, or by a name on
/// another node. The name is looked up anew for every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRef(Target);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Pid(Pid),
    Name(String),
    Remote(NodeId, String),
}

/// A managed process could not be asked or told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No process has the name.
    #[error("no process is called `{0}`")]
    NoName(String),
    /// The name could not be looked up on the other node.
    #[error(transparent)]
    Whereis(#[from] AskError),
    /// There is no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl ServerRef {
    /// Asks, and waits five seconds at the most for the answer.
    ///
    /// # Errors
    /// See [`RequestError`] and [`CallError`]: that the process has ended, has rejected the request
    /// or does not know it is an error like any other, and never an exit of the caller.
    ///
    /// # Cancel safety
    /// A dropped future drops the answer. The request may be handled all the same.
    pub async fn call<M: Request>(
        &self,
        cx: &Context,
        request: M,
    ) -> Result<M::Reply, RequestError> {
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
    ) -> Result<M::Reply, RequestError> {
        let to = self.resolve(cx).await?;
        Ok(cx.call(to, request, timeout).await?)
    }

    /// As [`ServerRef::call`], for whoever does not want to know why there is no answer.
    ///
    /// # Cancel safety
    /// As [`ServerRef::call`].
    pub async fn try_call<M: Request>(&self, cx: &Context, request: M) -> Option<M::Reply> {
        self.call(cx, request).await.ok()
    }

    /// Tells, and waits for nothing but room.
    ///
    /// # Errors
    /// See [`RequestError`]. That the process does not know the message is told later, by an
    /// [`Undelivered`](crate::Undelivered).
    ///
    /// # Cancel safety
    /// A dropped future has not sent the message.
    pub async fn cast<M: Message>(&self, cx: &Context, message: M) -> Result<(), RequestError> {
        let to = self.resolve(cx).await?;
        Ok(cx.send(to, message).await?)
    }

    /// The process it names now.
    ///
    /// # Errors
    /// `NoName`, `Whereis`.
    pub async fn resolve(&self, cx: &Context) -> Result<Pid, RequestError> {
        let (found, name) = match &self.0 {
            Target::Pid(pid) => return Ok(*pid),
            Target::Name(name) => (cx.node().whereis(name), name),
            Target::Remote(node, name) => (cx.node().whereis_on(*node, name).await?, name),
        };
        found.ok_or_else(|| RequestError::NoName(name.clone()))
    }
}

impl From<Pid> for ServerRef {
    fn from(pid: Pid) -> Self {
        Self(Target::Pid(pid))
    }
}

impl From<&str> for ServerRef {
    fn from(name: &str) -> Self {
        Self(Target::Name(name.to_owned()))
    }
}

impl From<(NodeId, &str)> for ServerRef {
    fn from((node, name): (NodeId, &str)) -> Self {
        Self(Target::Remote(node, name.to_owned()))
    }
}
