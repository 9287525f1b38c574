//! What a node says about its processes.

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

/// Asks for a node's processes. The reply is [`Processes`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.ProcessesRequest", version = 1)]
pub struct ProcessesRequest {
    /// At most so many.
    pub limit: u32,
    /// Those with the longest mailboxes, the longest first; else in order of their places.
    #[serde(default)]
    pub longest_first: bool,
    /// Also who waits for each other in a circle: all processes are looked at, and some of other nodes asked.
    #[serde(default)]
    pub cycles: bool,
}

/// A node's processes.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Processes", version = 1)]
pub struct Processes {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub processes: Vec<ProcessStatus>,
    /// Who waits for each other: each for the next, the last for the first.
    #[serde(default)]
    pub cycles: Vec<Vec<Pid>>,
}

/// A process.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
pub struct ProcessStatus {
    /// The process.
    pub pid: Pid,
    /// What it runs.
    pub name: String,
    /// The version of its code; 0 for a plain function.
    pub version: u32,
    /// Its registered names.
    pub names: Vec<String>,
    /// Messages that wait for it.
    pub mailbox: u32,
    /// What it does: waiting, runnable, running, suspended, frozen.
    pub status: String,
    /// What it waits for in the middle of a message.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// What the messages that wait for it count, in bytes.
    #[serde(default)]
    pub mailbox_bytes: u32,
    /// Processes it is linked to.
    #[serde(default)]
    pub links: u64,
    /// Monitors it has set.
    #[serde(default)]
    pub monitors: u64,
    /// Monitors that others have set on it.
    #[serde(default)]
    pub watchers: u64,
    /// Whether exit signals to it become messages.
    #[serde(default)]
    pub traps_exits: bool,
    /// What its receives have passed over.
    #[serde(default)]
    pub unreceived: Vec<Unreceived>,
    /// What it waits for when it waits.
    #[serde(default)]
    pub waits: Vec<Wait>,
}

/// Something that a process waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Wait {
    /// What: a message, room, a reply, a link, a schema.
    pub kind: String,
    /// On whom, where it is somebody and known.
    pub on: Option<Pid>,
    /// For how long, in milliseconds, where that is noted.
    pub millis: Option<u64>,
}

/// Messages of one type that a process has not received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Unreceived {
    /// Their type.
    pub type_name: String,
    /// How many.
    pub count: u64,
    /// For how long the oldest has been passed over, in milliseconds.
    pub millis: u64,
    /// How many lie there for longer than the node's bound.
    #[serde(default)]
    pub old: u64,
}
