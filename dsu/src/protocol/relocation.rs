//! Processes that move: what operators ask for, and what the two nodes of a move say to each other.

use midflight_message::{Message, NodeId, Pid, Schema};
use midflight_process::Moved;
use serde::{Deserialize, Serialize};

use super::Address;

/// Asks a node to move a process to another, wherever it lives. The reply is [`Relocated`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Relocate", version = 1)]
pub struct Relocate {
    /// The process.
    pub pid: Pid,
    /// The node on which it is to live: its name, or its id as text.
    pub to: String,
    /// Whether a node that does not have it may ask others.
    pub ask_others: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Relocated", version = 1)]
pub enum Relocated {
    /// It lives there now.
    Done {
        /// The node it has left.
        from: String,
        /// How long it stood still, in microseconds.
        micros: u64,
    },
    /// It does not live on this node; that one may know.
    Elsewhere(NodeId),
    /// It stays where it is, with the reason.
    Refused(String),
}

/// May a process come? Asked before it is frozen; who says yes has the code. The reply is [`Answer`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.MayCome", version = 1)]
pub struct MayCome {
    /// Its bundle's name.
    pub bundle: String,
    /// The bundle that it runs in.
    pub address: Address,
    /// Its behaviour.
    pub behaviour: String,
    /// The forms of its state that it can save: its own first, each as the bytes of its description.
    pub forms: Vec<Vec<u8>>,
    /// The control process from which the bundle can be fetched.
    pub from: Pid,
}

/// Whether it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.MayComeAnswer", version = 1)]
pub enum Answer {
    /// It may, and will run in this bundle.
    Yes {
        /// The bundle.
        address: Address,
        /// The version of its state in which it is to be saved.
        state: u32,
    },
    /// It may not, with the reason.
    No(String),
}

/// A process, frozen and packed: it is to be there and not to begin until its holder has given it up. The reply is
/// [`Came`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Come", version = 1)]
pub struct Come {
    /// Which move of which process.
    pub moved: Moved,
    /// The bundle in which it is to run.
    pub address: Address,
    /// Its behaviour.
    pub behaviour: String,
    /// The form of its state, as the bytes of its description.
    pub form: Vec<u8>,
    /// Its state.
    pub state: Vec<u8>,
    /// What it takes along besides, in the nodes' own form.
    pub baggage: Vec<u8>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Came", version = 1)]
pub enum Came {
    /// It is there, in this cell.
    Lodged(Pid),
    /// It cannot be, with the reason.
    No(String),
}

/// A process does not come after all. The reply is `()`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Stays", version = 1)]
pub struct Stays {
    /// The move that does not happen.
    pub moved: Moved,
}

/// Asks a node to move every process of a behaviour that it has to other members. The reply is [`Drained`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Drain", version = 1)]
pub struct Drain {
    /// The node: its name, or its id as text.
    pub node: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Drained", version = 1)]
pub enum Drained {
    /// All that can move has moved.
    Done {
        /// How many have moved, by the node that has them now.
        moved: Vec<(String, u64)>,
        /// The first of those that stay.
        left: Vec<Left>,
        /// How many stay.
        stay: u64,
    },
    /// Nothing was done, with the reason.
    Refused(String),
}

/// A process that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Left {
    /// The process.
    pub pid: Pid,
    /// What it runs.
    pub name: String,
    /// Why it stays.
    pub why: String,
}
