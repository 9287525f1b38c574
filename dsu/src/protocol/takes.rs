//! What a process takes: so that an operator can write a message for it.

use midflight_message::{Message, NodeId, Pid};
use serde::{Deserialize, Serialize};

/// Asks for the type of a message to a process. The reply is [`TakesReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Takes", version = 1)]
pub struct Takes {
    /// The process.
    pub pid: Pid,
    /// What the message is called.
    pub type_name: String,
}

/// What is known of that type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.TakesReply", version = 1)]
pub enum TakesReply {
    /// The process lives here.
    Type {
        /// The type's version.
        version: u32,
        /// The canonical text of its schema.
        schema: String,
    },
    /// It lives on another node, as far as this one knows.
    Elsewhere {
        /// That node.
        node: NodeId,
        /// Where others dial it, when that is known.
        address: Option<String>,
    },
    /// There is none, with the reason.
    Refused(String),
}
