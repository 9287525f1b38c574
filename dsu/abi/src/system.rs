//! Messages that the node itself sends to behaviours.

use midflight_message::{Message, NodeId, Pid};
use serde::{Deserialize, Serialize};

/// A process that was monitored is dead, or its node is out of reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.Down", version = 1)]
pub struct Down {
    /// The process.
    pub pid: Pid,
    /// Why, as its exit said.
    pub reason: String,
}

/// The link to a node that was monitored is lost, or none could be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.NodeDown", version = 1)]
pub struct NodeDown {
    /// The node.
    pub node: NodeId,
    /// Why, in words.
    pub reason: String,
}

/// An exit signal, as a process that traps exits gets it: a process that is linked to it has ended or is out
/// of reach, or somebody has told it to exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.Exited", version = 1)]
pub struct Exited {
    /// Who has ended, or who sent the signal.
    pub from: Pid,
    /// Why, in words.
    pub reason: String,
}

/// What becomes of a process's sending when a link it had sent messages on is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReconnectPolicy {
    /// It is told by a [`Disconnected`] message, and what it sends to that node is given up, with a line in
    /// the log, until it reconnects.
    Ask,
    /// It has accepted whatever is lost: its sending goes on over the next link. The loss is counted and
    /// logged.
    #[default]
    Accept,
}

/// The link to a node was lost, on which this process had sent messages: some of them, the last ones, may
/// not have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.Disconnected", version = 1)]
pub struct Disconnected {
    /// The node.
    pub node: NodeId,
    /// Why, in words.
    pub reason: String,
}

/// A message of the process's was not taken by its receiver, and will not be: the two have different ideas
/// of it, or the receiver does not take such messages. It comes in the place of an answer; a behaviour
/// that has no handler for it has it logged by its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.Undelivered", version = 1)]
pub struct Undelivered {
    /// The receiver.
    pub to: Pid,
    /// The message's type, where it is known.
    pub type_name: String,
    /// The field at which the two sides differ, where that is the reason.
    pub field: Option<String>,
    /// The whole reason, in words.
    pub reason: String,
}
