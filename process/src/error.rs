//! One error type for each operation of a process or node.

use std::time::Duration;

use midflight_message::{EncodeError, Mismatch, NodeId, Pid};

use crate::mailbox::envelope::{Content, Refusal};
use crate::mailbox::value::{Ported, downcast};
use crate::peer::ask::AskError;
use crate::send::NotSent;

/// A message could not be sent now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError<M> {
    /// The receiver has no room. The message comes back.
    #[error("the receiver has no room")]
    Full(M),
    /// There is no link to the receiver's node. The message comes back.
    #[error("there is no link to the receiver's node")]
    NotConnected(M),
    /// What this process sent to the receiver's node before may be lost, and it has not accepted that:
    /// [`Context::reconnect`](crate::Context::reconnect). The message comes back.
    #[error("messages to the receiver's node may be lost, which has not been accepted (reconnect)")]
    Disconnected(M),
    /// The message is larger than the transport takes.
    #[error("the message is larger than {max} bytes, the transport's limit")]
    TooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// The message does not encode.
    #[error(transparent)]
    Encode(EncodeError),
    /// The node knows as many message types as it may (`Limits::types`).
    #[error("the node knows as many message types as it may (Limits::types)")]
    TooManyTypes,
    /// The receiver cannot read messages of this type: it has refused one before, and no code was
    /// switched on its node since. The first is sent, and answered by
    /// [`Undelivered`](crate::Undelivered).
    #[error("the receiver cannot read it: {0}")]
    Incompatible(Box<Mismatch>),
    /// No process of this node has the name. The message comes back.
    #[error("no process has the name")]
    NoName(M),
    /// The name is one on another node, which takes asking there:
    /// [`Context::send`](crate::Context::send) does. The message comes back.
    #[error("a name on another node takes asking there")]
    Elsewhere(M),
    /// The receiver has closed the port, or never had it. On another node that is known once a value
    /// was refused, which [`Undelivered`](crate::Undelivered) tells. The value comes back.
    #[error("the port is closed")]
    Closed(M),
}

/// A message could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver had no room in time.
    #[error("{0} is overloaded: no room in time")]
    Overloaded(Pid),
    /// No link to the receiver's node could be made.
    #[error("the node of {to} is out of reach: {why}")]
    Unreachable {
        /// The receiver.
        to: Pid,
        /// Why.
        why: String,
    },
    /// What this process sent to the receiver's node before may be lost, and it has not accepted that:
    /// [`Context::reconnect`](crate::Context::reconnect).
    #[error("messages to the node of {0} may be lost, which has not been accepted (reconnect)")]
    Disconnected(Pid),
    /// A call of code that is no process ([`Node::call`](crate::Node::call)) needs one to be started.
    #[error(transparent)]
    Spawn(crate::SpawnError),
    /// The message is larger than the transport takes.
    #[error("the message is larger than {max} bytes, the transport's limit")]
    TooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// The message does not encode.
    #[error(transparent)]
    Encode(EncodeError),
    /// The node knows as many message types as it may (`Limits::types`).
    #[error("the node knows as many message types as it may (Limits::types)")]
    TooManyTypes,
    /// The receiver cannot read messages of this type: it has refused one before, and no code was
    /// switched on its node since. The first is sent, and answered by
    /// [`Undelivered`](crate::Undelivered).
    #[error("{to} cannot read it: {mismatch}")]
    Incompatible {
        /// The receiver.
        to: Pid,
        /// The type and field, and both sides' idea of it.
        mismatch: Box<Mismatch>,
    },
    /// No process of the node has the name.
    #[error("no process of node {node} has the name `{name}`")]
    NoName {
        /// The name.
        name: String,
        /// The node.
        node: NodeId,
    },
    /// The node was not to be asked who has the name.
    #[error(transparent)]
    Whereis(AskError),
    /// The receiver, which this is, has closed the port, or never had it. On another node that is known
    /// once a value was refused, which [`Undelivered`](crate::Undelivered) tells.
    #[error("the port of {0} is closed")]
    Closed(Pid),
}

/// A call has no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The request was not sent.
    #[error(transparent)]
    NotSent(SendError),
    /// No reply came in time. The request may have been handled.
    #[error("no reply from {to} within {after:?}")]
    TimedOut {
        /// The receiver.
        to: Pid,
        /// The caller's limit.
        after: Duration,
    },
    /// The receiver refused the request.
    #[error("{to} refused: {refusal}")]
    Refused {
        /// The receiver.
        to: Pid,
        /// Why.
        refusal: Refusal,
    },
    /// The reply cannot be read as the type the caller wants.
    #[error("the reply of {to} cannot be read: {refusal}")]
    Unreadable {
        /// The receiver.
        to: Pid,
        /// Why.
        refusal: Refusal,
    },
}

impl CallError {
    /// The type and field at which the two sides differ, when that is the reason.
    #[must_use]
    pub fn mismatch(&self) -> Option<&Mismatch> {
        match self {
            Self::Refused { refusal: Refusal::Incompatible(mismatch), .. }
            | Self::Unreadable { refusal: Refusal::Incompatible(mismatch), .. } => Some(mismatch),
            _ => None,
        }
    }
}

impl<M: 'static> TrySendError<M> {
    /// From the reason for which a moved `M` was not sent.
    pub(crate) fn from_not_sent(not_sent: NotSent) -> Self {
        not_sent.unsent(|content| match content {
            Content::Value(value) => match downcast::<M>(value) {
                Ok(message) => *message,
                Err(other) => match downcast::<Ported<M>>(other) {
                    Ok(ported) => ported.value,
                    Err(_) => unreachable!("it was moved in as an M"),
                },
            },
            Content::Bytes { .. } => unreachable!("it was moved in as a value"),
        })
    }
}

impl NotSent {
    /// The error of who sent it, with what `back` makes of the content.
    fn unsent<M>(self, back: impl FnOnce(Content) -> M) -> TrySendError<M> {
        match self {
            Self::Full(content) => TrySendError::Full(back(content)),
            Self::NotConnected(_, content) => TrySendError::NotConnected(back(content)),
            Self::Disconnected(content) => TrySendError::Disconnected(back(content)),
            Self::TooLarge { max } => TrySendError::TooLarge { max },
            Self::Encode(error) => TrySendError::Encode(error),
            Self::TooManyTypes => TrySendError::TooManyTypes,
            Self::Incompatible(mismatch) => TrySendError::Incompatible(mismatch),
            Self::Closed(content) => TrySendError::Closed(back(content)),
        }
    }
}

impl SendError {
    /// From an error for which waiting does not help; the others are waited out before.
    pub(crate) fn from_try<M>(error: TrySendError<M>, to: Pid) -> Self {
        match error {
            TrySendError::Full(_) => Self::Overloaded(to),
            TrySendError::NotConnected(_) => {
                Self::Unreachable { to, why: "there is no link".into() }
            }
            TrySendError::Disconnected(_) => Self::Disconnected(to),
            TrySendError::TooLarge { max } => Self::TooLarge { max },
            TrySendError::Encode(error) => Self::Encode(error),
            TrySendError::TooManyTypes => Self::TooManyTypes,
            TrySendError::Incompatible(mismatch) => Self::Incompatible { to, mismatch },
            TrySendError::NoName(_) | TrySendError::Elsewhere(_) => {
                unreachable!("it was sent to a pid")
            }
            TrySendError::Closed(_) => Self::Closed(to),
        }
    }

    /// As [`SendError::from_try`].
    pub(crate) fn from_not_sent(not_sent: NotSent, to: Pid) -> Self {
        Self::from_try(not_sent.unsent(|_content| ()), to)
    }
}

impl From<SendError> for CallError {
    /// A request that its receiver is known to refuse is refused, whether it was sent or not.
    fn from(error: SendError) -> Self {
        match error {
            SendError::Incompatible { to, mismatch } => {
                Self::Refused { to, refusal: Refusal::Incompatible(mismatch) }
            }
            error => Self::NotSent(error),
        }
    }
}
