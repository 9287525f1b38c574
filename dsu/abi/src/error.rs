//! What can go wrong in a behaviour, as its author says it or gets to see it.

use std::fmt;

use crate::status::Status;

/// Why a conversion of state was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertError {
    reason: String,
}

impl ConvertError {
    /// A refusal with its reason, which the operator of the update reads.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConvertError {}

impl From<&str> for ConvertError {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for ConvertError {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

/// Why an awaited call has no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// No reply came in time. The call may still be handled.
    Timeout,
    /// The process called is not there, or went away before it replied.
    Gone,
    /// The message was refused; the text says why.
    Refused(String),
    /// The reply is not what was declared.
    Reply(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no reply came in time"),
            Self::Gone => f.write_str("the process called is gone"),
            Self::Refused(why) => write!(f, "the call was refused: {why}"),
            Self::Reply(why) => write!(f, "the reply cannot be read: {why}"),
        }
    }
}

impl std::error::Error for CallError {}

/// The node has no room for another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpawnError;

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node has no room for another process")
    }
}

impl std::error::Error for SpawnError {}

/// What the machinery tells the host instead of a result: a status below zero and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) status: Status,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(status: Status, text: impl Into<String>) -> Self {
        debug_assert!(!status.is_ok(), "a failure has a failing status");
        Self { status, text: text.into() }
    }

    /// The author's health function says that the process is not well.
    pub fn unhealthy(reason: impl fmt::Display) -> Self {
        Self::new(Status::UNHEALTHY, reason.to_string())
    }

    /// The author's code said no.
    pub fn refused(reason: impl fmt::Display) -> Self {
        Self::new(Status::REFUSED, reason.to_string())
    }
}

impl From<crate::effect::Unwritable> for Failure {
    fn from(unwritable: crate::effect::Unwritable) -> Self {
        Self::new(Status::REFUSED, unwritable.0)
    }
}
