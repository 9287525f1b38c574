//! What is said between a supervisor and those who ask it.

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

use super::child::Child;
use super::error::ChildProblem;
use super::kernel::{Answer, Success, Which};
use super::spec::{ChildCounts, ChildInfo};
use crate::roles::Role;

/// Names a child: by its id, or by the process it has now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum ChildRef {
    /// By its id.
    Id(String),
    /// By its process.
    Pid(Pid),
}

impl From<&str> for ChildRef {
    fn from(id: &str) -> Self {
        Self::Id(id.to_owned())
    }
}

impl From<String> for ChildRef {
    fn from(id: String) -> Self {
        Self::Id(id)
    }
}

impl From<Pid> for ChildRef {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<ChildRef> for Which {
    fn from(child: ChildRef) -> Self {
        match child {
            ChildRef::Id(id) => Self::Id(id),
            ChildRef::Pid(pid) => Self::Pid(pid),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "midflight.supervisor.Request", version = 1)]
pub(crate) enum Request {
    /// A child that comes along as long as nobody encodes it: a function does not travel.
    Add {
        start: bool,
        #[serde(skip)]
        child: Option<Box<Child>>,
    },
    /// Another child of a template.
    Dynamic {
        argument: String,
        fingerprint: String,
        bytes: Vec<u8>,
    },
    Restart(ChildRef),
    Terminate(ChildRef),
    Delete(ChildRef),
    List,
    Look(ChildRef),
    Count,
    /// End, with `Shutdown`.
    ShutDown,
}

impl Request {
    /// What whoever asks from another node must be allowed: a supervisor ends and starts on others' behalf.
    pub(crate) const fn role(&self) -> Role {
        match self {
            Self::List | Self::Look(_) | Self::Count => Role::Inspect,
            Self::Add { .. } | Self::Dynamic { .. } | Self::Restart(_) => Role::Spawn,
            Self::Terminate(_) | Self::Delete(_) | Self::ShutDown => Role::Exit,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "midflight.supervisor.Response", version = 1)]
pub(crate) enum Response {
    Started(Option<Pid>),
    Done,
    Children(Vec<ChildInfo>),
    Child(Option<ChildInfo>),
    Counts(ChildCounts),
    Problem(ChildProblem),
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(Success::Started(pid)) => Self::Started(pid),
            Ok(Success::Done) => Self::Done,
            Ok(Success::Children(children)) => Self::Children(children),
            Ok(Success::Child(child)) => Self::Child(child),
            Ok(Success::Counts(counts)) => Self::Counts(counts),
            Err(problem) => Self::Problem(problem),
        }
    }
}
