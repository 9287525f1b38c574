//! Where a process can be switched, and what of it stays when its code is exchanged.

use std::collections::BTreeMap;
use std::time::Duration;

use midflight_message::TypeInfo;

use super::host::TestHost;
use crate::hosted::SavedState;

/// A process at a point at which it can be switched: where a node would find it between two messages, or its loop at an
/// update point.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    /// How many inputs it has taken, one that it is in the middle of included.
    pub(super) inputs: usize,
    pub(super) state: SavedState,
    pub(super) outside: Outside,
}

/// What stays when the code is exchanged.
#[derive(Debug, Clone, Default)]
pub(super) struct Outside {
    pub(super) host: TestHost,
    /// Messages to itself, by when they are due and in the order in which they were sent.
    timers: BTreeMap<(Duration, u64), Timer>,
    sent: u64,
    /// The end of a wait that it is in.
    pub(super) until: Option<Duration>,
    pub(super) has_exited: bool,
}

/// A message that a process has sent itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timer {
    /// By what it can be cancelled; 0: by nothing.
    pub(super) number: u64,
    pub(super) form: TypeInfo,
    pub(super) bytes: Vec<u8>,
}

impl Outside {
    pub(super) fn set_timer(&mut self, after: Duration, timer: Timer) {
        self.sent += 1;
        let due = self.host.now().saturating_add(after);
        self.timers.insert((due, self.sent), timer);
    }

    pub(super) fn cancel(&mut self, number: u64) {
        self.timers.retain(|_, timer| number == 0 || timer.number != number);
    }

    /// When the next message to itself is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }

    pub(super) fn take_due(&mut self) -> Option<Timer> {
        self.timers.pop_first().map(|(_, timer)| timer)
    }
}

impl Rest {
    /// Whether to switch here is to switch there.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.inputs == other.inputs
            && self.state.bytes == other.state.bytes
            && self.outside.until == other.outside.until
            && self.outside.host.now() == other.outside.host.now()
            && self.outside.timers == other.outside.timers
    }
}
