//! Why a process ended, and what its watchers are told.

use std::fmt;

use midflight_message::{Message, NodeId, Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::roles::NotAllowed;

/// Why a process ended, or why it cannot be watched any longer. Of a text longer than 4 KiB those who are
/// told get the beginning, and how long it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum ExitReason {
    /// It was done.
    Normal,
    /// It gave this reason.
    Error(String),
    /// Its code panicked with this message.
    Panic(String),
    /// It was ended by `kill`, with this reason.
    Killed(String),
    /// The node was shut down.
    Shutdown,
    /// It did not live when the monitor or link was set.
    NoProcess,
    /// The link to its node was lost, or none could be made. It may live on.
    NoConnection(String),
    /// Its node does not let this one link to its processes. It may live on.
    NotAllowed(NotAllowed),
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Error(text) => write!(f, "error: {text}"),
            Self::Panic(text) => write!(f, "panic: {text}"),
            Self::Killed(text) => write!(f, "killed: {text}"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::NoProcess => f.write_str("no such process"),
            Self::NoConnection(text) => write!(f, "no connection: {text}"),
            Self::NotAllowed(no) => no.fmt(f),
        }
    }
}

/// Names one monitor; the [`Down`] or [`NodeDown`] that ends it carries the same.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Schema,
)]
pub struct MonitorRef(pub u64);

/// The one message of a monitor: the watched process is gone, or out of reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.Down", version = 1)]
pub struct Down {
    /// Which monitor.
    pub monitor: MonitorRef,
    /// The watched process.
    pub process: Pid,
    /// Why.
    pub reason: ExitReason,
}

/// The one message of a node's monitor: the link to the node is lost, or none could be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.NodeDown", version = 1)]
pub struct NodeDown {
    /// Which monitor.
    pub monitor: MonitorRef,
    /// The node.
    pub node: NodeId,
    /// Why, in words.
    pub reason: String,
}

/// An exit signal, as a process that traps exits gets it: a process that is linked to it has ended or
/// is out of reach, or somebody has called `exit` on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.Exited", version = 1)]
pub struct Exited {
    /// Who has ended, or who sent the signal. When it was sent from outside any process, a pid of the
    /// sending node that no process has.
    pub from: Pid,
    /// Why.
    pub reason: ExitReason,
}
