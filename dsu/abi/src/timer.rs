//! The handle of a timer.

use midflight_message::{Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::raw::RawPid;

/// Names one timer to who wants to cancel it. It is plain data: it may lie in the behaviour's state, where
/// it outlives a switch of code, and travel in messages to behaviours of the same node.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Schema,
)]
pub struct Timer {
    /// Who has set it.
    pub(crate) set_by: Pid,
    /// Random, and not 0: so no two of a process are the same.
    pub(crate) number: u64,
}

impl Timer {
    pub(crate) fn new(set_by: RawPid, host: Host) -> Self {
        let mut number = [0; 8];
        host.fill_random(&mut number);
        Self { set_by: set_by.into(), number: u64::from_le_bytes(number).max(1) }
    }
}
