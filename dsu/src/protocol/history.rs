//! What operators ask about a bundle's past, and to go back to it.

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

use super::Address;

/// Asks a node what was current on it, and since when. The reply is [`Changes`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.HistoryRequest", version = 1)]
pub struct HistoryRequest {
    /// The bundle's name; none: of all.
    pub name: Option<String>,
}

/// The changes that a node remembers, by bundle, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Changes", version = 1)]
pub struct Changes {
    /// The node's name.
    pub node: String,
    /// The changes.
    pub changes: Vec<ChangeStatus>,
}

/// One change of what is current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ChangeStatus {
    /// The bundle's name.
    pub name: String,
    /// The version that is current from then on; none when nothing is.
    pub version: Option<u32>,
    /// Its bundle.
    pub address: Option<Address>,
    /// When, in milliseconds since the Unix epoch, on the node's clock.
    pub unix_millis: u64,
    /// `activated`, `taken back` or `went back`.
    pub cause: String,
    /// Why, where it went back by itself, or was taken back.
    #[serde(default)]
    pub why: Option<String>,
}

/// Asks a node to have every member go back to what was current on it before. The reply is
/// [`Deployed`](super::Deployed).
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Rollback", version = 1)]
pub struct Rollback {
    /// The bundle's name.
    pub name: String,
    /// The version wanted, the one that was current last if several bundles had it; none: what was current
    /// before the present one.
    pub to: Option<u32>,
    /// Who wants to be told of each step, by [`Progress`](super::Progress) messages.
    pub watcher: Option<Pid>,
}
