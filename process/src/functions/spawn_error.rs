//! Why a registered function was not started.

use std::time::Duration;

use midflight_message::{EncodeError, Mismatch, NodeId, Pid};

use crate::functions::spawned::NotSpawned;
use crate::mailbox::envelope::Refusal;
use crate::roles::NotAllowed;

/// A registered function was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnOnError {
    /// The node has no function of that name.
    #[error("node {node} has no function `{function}`")]
    NoFunction {
        /// The node.
        node: NodeId,
        /// The function.
        function: String,
    },
    /// The function there cannot read the argument: another type, or another form of it.
    #[error("the function `{function}` of node {node} cannot take the argument: {refusal}")]
    Argument {
        /// The node.
        node: NodeId,
        /// The function.
        function: String,
        /// Why.
        refusal: Refusal,
    },
    /// The function there answers no calls.
    #[error("the function `{function}` of node {node} answers no calls")]
    NotCallable {
        /// The node.
        node: NodeId,
        /// The function.
        function: String,
    },
    /// The function there has no channel, or one for values of another type.
    #[error("the function `{function}` of node {node} has {}", channel_of(.takes.as_deref()))]
    Channel {
        /// The node.
        node: NodeId,
        /// The function.
        function: String,
        /// The type of what its channel is for, if it has one.
        takes: Option<String>,
    },
    /// The node has as many processes as it may, or is closing.
    #[error("node {0} has as many processes as it may (Limits::processes), or is closing")]
    Full(NodeId),
    /// Another process of the node has the name.
    #[error("the name `{name}` is taken by {owner}")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        owner: Pid,
    },
    /// A name of a process or a function is empty or longer than 255 bytes.
    #[error("a name has 1 to 255 bytes, this one has {0}")]
    BadName(usize),
    /// No link to the node could be made.
    #[error("node {node} is out of reach: {why}")]
    Unreachable {
        /// The node.
        node: NodeId,
        /// Why.
        why: String,
    },
    /// The link was lost before the answer came. The process may run.
    #[error("the link to node {0} was lost before it answered")]
    Lost(NodeId),
    /// No answer came in time. The process may run.
    #[error("no answer from node {node} within {after:?}")]
    TimedOut {
        /// The node.
        node: NodeId,
        /// The caller's limit.
        after: Duration,
    },
    /// The argument is larger than the transport takes.
    #[error("the argument is larger than {max} bytes, the transport's limit")]
    TooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// The argument does not encode.
    #[error(transparent)]
    Encode(EncodeError),
    /// The node knows as many message types as it may (`Limits::types`).
    #[error("the node knows as many message types as it may (Limits::types)")]
    TooManyTypes,
    /// The process was ended before the function ran.
    #[error("the process was ended on node {0} before its function ran")]
    Aborted(NodeId),
    /// This node may not start functions there.
    #[error("node {node}: {source}")]
    NotAllowed {
        /// The node.
        node: NodeId,
        /// Why.
        source: NotAllowed,
    },
}

impl SpawnOnError {
    /// The type and field at which the two sides differ, when that is the reason.
    #[must_use]
    pub fn mismatch(&self) -> Option<&Mismatch> {
        match self {
            Self::Argument { refusal: Refusal::Incompatible(mismatch), .. } => Some(mismatch),
            _ => None,
        }
    }

    pub(crate) fn new(node: NodeId, function: &str, why: NotSpawned) -> Self {
        let function = || function.to_owned();
        match why {
            NotSpawned::NoFunction => Self::NoFunction { node, function: function() },
            NotSpawned::Argument(refusal) => Self::Argument { node, function: function(), refusal },
            NotSpawned::NotCallable => Self::NotCallable { node, function: function() },
            NotSpawned::Channel(takes) => Self::Channel { node, function: function(), takes },
            NotSpawned::Full => Self::Full(node),
            NotSpawned::NameTaken { name, owner } => Self::NameTaken { name, owner },
            NotSpawned::BadName(len) => Self::BadName(len as usize),
            NotSpawned::Aborted => Self::Aborted(node),
            NotSpawned::NotAllowed(source) => Self::NotAllowed { node, source },
        }
    }
}

fn channel_of(takes: Option<&str>) -> String {
    takes.map_or_else(|| "no channel".into(), |takes| format!("a channel for {takes}"))
}
