//! What operators ask about a node's load.

use midflight_message::{Message, Schema};
use serde::{Deserialize, Serialize};

/// Asks a node for its numbers. The reply is [`Numbers`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.NumbersRequest", version = 1)]
pub struct NumbersRequest;

/// A node in numbers; those called totals only grow, so that two answers give a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Numbers", version = 1)]
pub struct Numbers {
    /// The node's name.
    pub node: String,
    /// Milliseconds on the node's clock: the distance of two answers.
    pub at_millis: u64,
    /// Processes that live.
    pub processes: u64,
    /// Total of processes started.
    pub spawned: u64,
    /// Total of processes that have ended.
    pub ended: u64,
    /// Of those, how many ended by a panic, an error or a kill.
    pub ended_badly: u64,
    /// Messages that wait in mailboxes.
    pub mailbox_messages: u64,
    /// What they count, in bytes.
    pub mailbox_bytes: u64,
    /// Processes that wait for a turn.
    pub run_queue: u64,
    /// Total of turns.
    pub turns: u64,
    /// Total of messages that processes handled.
    pub handled: u64,
    /// Total of links lost.
    pub links_lost: u64,
    /// Dead letters kept.
    pub dead_letters: u64,
    /// Total of messages that were not taken, or not sent.
    pub refused: u64,
    /// The nodes it has a link to.
    pub peers: Vec<PeerNumbers>,
}

/// A peer in numbers, since its link was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct PeerNumbers {
    /// Its name.
    pub name: String,
    /// Messages and bytes sent to it.
    pub sent: (u64, u64),
    /// Messages and bytes that came from it.
    pub received: (u64, u64),
}
