//! What is told of a traced process.

use std::fmt;
use std::ops::BitOr;

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::trace::TraceId;

/// What is to be traced of a process, after Erlang's trace flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// What it sends: messages, calls, replies.
    pub const SEND: Self = Self(1);
    /// What it takes in: messages, calls, replies.
    pub const RECEIVE: Self = Self(2);
    /// What becomes of it and what it has to do with others: spawned, exited, linked, monitored,
    /// registered.
    pub const PROCS: Self = Self(4);
    /// All there is.
    pub const ALL: Self = Self(7);

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it is [`NONE`](Self::NONE).
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for TraceFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Something that a traced process did, or that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.TraceEvent", version = 1)]
pub struct TraceEvent {
    /// The process.
    pub pid: Pid,
    /// When, by its node: microseconds since the beginning of 1970.
    pub unix_micros: u64,
    /// The trace it belongs to, if to any.
    pub trace: Option<TraceId>,
    /// How many messages of the trace led to it.
    pub hops: u8,
    /// How many events this follower has missed since the last one, as it had no room.
    pub missed: u64,
    /// What.
    pub what: Traced,
}

/// The kinds of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum Traced {
    /// It took something in: from now on it may receive it.
    Received {
        /// From whom; `None`: from outside any process.
        from: Option<Pid>,
        /// The message's type and version.
        message: String,
    },
    /// It sent something.
    Sent {
        /// To whom.
        to: Pid,
        /// The message's type and version.
        message: String,
    },
    /// It started a process.
    Spawned {
        /// Which.
        child: Pid,
    },
    /// It has ended.
    Exited {
        /// Why.
        reason: String,
    },
    /// It linked itself to a process.
    Linked {
        /// Which.
        to: Pid,
    },
    /// It unlinked itself from a process.
    Unlinked {
        /// Which.
        from: Pid,
    },
    /// It watches a process.
    Monitored {
        /// Which.
        target: Pid,
    },
    /// It got a name.
    Registered {
        /// Which.
        name: String,
    },
}

impl Traced {
    /// The kind in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Received { .. } => "received",
            Self::Sent { .. } => "sent",
            Self::Spawned { .. } => "spawned",
            Self::Exited { .. } => "exited",
            Self::Linked { .. } => "linked",
            Self::Unlinked { .. } => "unlinked",
            Self::Monitored { .. } => "monitored",
            Self::Registered { .. } => "registered",
        }
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Received { from: Some(from), message } => {
                write!(f, "{kind} {message} from {from}")
            }
            Self::Received { from: None, message } => write!(f, "{kind} {message} from no process"),
            Self::Sent { to, message } => write!(f, "{kind} {message} to {to}"),
            Self::Spawned { child: pid } | Self::Monitored { target: pid } => {
                write!(f, "{kind} {pid}")
            }
            Self::Linked { to } => write!(f, "{kind} to {to}"),
            Self::Unlinked { from } => write!(f, "{kind} from {from}"),
            Self::Exited { reason } => write!(f, "{kind}: {reason}"),
            Self::Registered { name } => write!(f, "{kind} as `{name}`"),
        }
    }
}
