//! The names of a node: which process has which.
//!
//! A process of another node may have one here, too. It is watched for that, and the name goes with it.

use midflight_message::Pid;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::MonitorRef;

/// Which process has which name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    names: RwLock<FxHashMap<String, Owner>>,
}

/// Who has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: Pid,
    /// By what this node watches a process of another.
    pub(crate) monitor: Option<MonitorRef>,
}

/// The longest name, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// A name could not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another process has the name.
    #[error("the name `{name}` is taken by {owner}")]
    Taken {
        /// The name.
        name: String,
        /// Who has it.
        owner: Pid,
    },
    /// The process does not live.
    #[error("{0} does not live")]
    NoProcess(Pid),
    /// The name is empty or longer than 255 bytes.
    #[error("a name has 1 to 255 bytes, this one has {0}")]
    BadName(usize),
    /// The process is of another node, and there is no link to that: nobody would hear of its end.
    #[error("there is no link to the node of {0}")]
    NotConnected(Pid),
    /// No process has the name, so it cannot be given to another.
    #[error("no process has the name `{0}`")]
    NotTaken(String),
    /// The node knows as many names as it may (`Limits::names`).
    #[error("the node knows as many names as it may (Limits::names)")]
    TooMany,
}

impl Registry {
    /// Gives `name` to `owner`. Answers whether it is news.
    pub(crate) fn register(
        &self,
        name: &str,
        owner: Owner,
        max: usize,
    ) -> Result<bool, RegisterError> {
        let mut names = self.names.write();
        match names.get(name) {
            Some(other) if other.pid == owner.pid => return Ok(false),
            Some(other) => {
                return Err(RegisterError::Taken { name: name.to_owned(), owner: other.pid });
            }
            None if names.len() >= max => return Err(RegisterError::TooMany),
            None => {}
        }
        names.insert(name.into(), owner);
        Ok(true)
    }

    /// Gives a name that somebody has to `owner`. Answers who had it.
    pub(crate) fn replace(&self, name: &str, owner: Owner) -> Result<Owner, RegisterError> {
        let mut names = self.names.write();
        match names.get_mut(name) {
            Some(had) if had.pid == owner.pid => Ok(Owner { monitor: owner.monitor, ..*had }),
            Some(had) => Ok(std::mem::replace(had, owner)),
            None => Err(RegisterError::NotTaken(name.to_owned())),
        }
    }

    /// Takes a name away. Answers who had it.
    pub(crate) fn unregister(&self, name: &str) -> Option<Owner> {
        self.names.write().remove(name)
    }

    /// Takes a name away from `pid`, if it has it.
    pub(crate) fn remove(&self, name: &str, pid: Pid) {
        let mut names = self.names.write();
        if names.get(name).is_some_and(|owner| owner.pid == pid) {
            names.remove(name);
        }
    }

    /// What this node watched by `monitor` is gone: so is the name.
    pub(crate) fn is_down(&self, monitor: MonitorRef) {
        self.names.write().retain(|_, owner| owner.monitor != Some(monitor));
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        self.names.read().get(name).map(|owner| owner.pid)
    }

    /// All names, in order.
    pub(crate) fn all(&self) -> Vec<(String, Pid)> {
        let names = self.names.read();
        let mut all: Vec<_> = names.iter().map(|(name, owner)| (name.clone(), owner.pid)).collect();
        all.sort();
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.names.read().len()
    }
}
