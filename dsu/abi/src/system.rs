//! Messages that the node itself sends to behaviours.

use midflight_message::{Message, Pid};
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
