//! What operators say about traces.

use midflight_message::{Message, Pid};
use serde::{Deserialize, Serialize};

/// Traces a process of the node, and no longer what was traced of it before; nothing of it, when all are
/// false. The reply is [`TraceReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.TraceRequest", version = 1)]
pub struct TraceRequest {
    /// Which.
    pub pid: Pid,
    /// What it sends.
    pub send: bool,
    /// What it takes in.
    pub receive: bool,
    /// What becomes of it and what it has to do with others.
    pub procs: bool,
    /// Whether the caller gets each event, as a [`TraceEvent`](midflight_process::trace::TraceEvent), until
    /// it ends or is out of reach; then the process is traced no longer.
    pub follow: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.TraceReply", version = 1)]
pub enum TraceReply {
    /// It is so from the process's next turn on.
    Set,
    /// Nothing has changed, with the reason.
    Refused(String),
}
