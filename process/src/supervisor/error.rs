//! What can go wrong with a supervisor and its children.

use midflight_message::{Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::error::CallError;

/// A process that was to be started does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema, thiserror::Error)]
#[non_exhaustive]
pub enum NoStart {
    /// None is wanted: the start is no failure, and nothing runs.
    #[error("it wanted not to run")]
    Ignore,
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

impl NoStart {
    /// A failure with this text.
    pub fn failed(why: impl std::fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

/// Why a supervisor did not do with a child what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema, thiserror::Error)]
#[non_exhaustive]
pub enum ChildProblem {
    /// There is no such child.
    #[error("there is no such child")]
    NotFound,
    /// The child runs already, or still.
    #[error("the child runs as {0}")]
    Running(Pid),
    /// The child is there, and does not run.
    #[error("the child is there already, and does not run")]
    AlreadyPresent,
    /// The child is about to be restarted.
    #[error("the child is being restarted")]
    Restarting,
    /// It could not be started.
    #[error("it could not be started: {0}")]
    NotStarted(String),
    /// The supervisor has as many children as it may.
    #[error("the supervisor has as many children as it may")]
    TooManyChildren,
    /// The supervisor has too much to do: as many commands wait as may.
    #[error("as many commands wait for the supervisor as may")]
    Busy,
    /// The supervisor has no template for children with this argument.
    #[error("the supervisor has no template that takes {0}")]
    NoTemplate(String),
    /// The supervisor is on another node, and a function does not travel there.
    #[error("a function does not travel to a supervisor on another node; use a template")]
    NotLocal,
    /// The supervisor is ending.
    #[error("the supervisor is ending")]
    ShuttingDown,
}

/// An operation on a supervisor's child failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// The supervisor answered why.
    #[error(transparent)]
    Problem(#[from] ChildProblem),
    /// The supervisor did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl ChildError {
    /// What the supervisor answered.
    #[must_use]
    pub const fn problem(&self) -> Option<&ChildProblem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Call(_) => None,
        }
    }
}
