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
    names: RwLock<Names>,
}

#[derive(Debug, Default)]
struct Names {
    by_name: FxHashMap<String, Owner>,
    /// The names that go with what is watched.
    by_monitor: FxHashMap<MonitorRef, String>,
}

impl Names {
    /// Answers who had the name.
    fn insert(&mut self, name: &str, owner: Owner) -> Option<Owner> {
        let had = self.by_name.insert(name.to_owned(), owner);
        if let Some(monitor) = had.and_then(|had| had.monitor) {
            self.by_monitor.remove(&monitor);
        }
        if let Some(monitor) = owner.monitor {
            self.by_monitor.insert(monitor, name.to_owned());
        }
        had
    }

    fn remove(&mut self, name: &str) -> Option<Owner> {
        let had = self.by_name.remove(name)?;
        if let Some(monitor) = had.monitor {
            self.by_monitor.remove(&monitor);
        }
        Some(had)
    }
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
        match names.by_name.get(name) {
            Some(other) if other.pid == owner.pid => return Ok(false),
            Some(other) => {
                return Err(RegisterError::Taken { name: name.to_owned(), owner: other.pid });
            }
            None if names.by_name.len() >= max => return Err(RegisterError::TooMany),
            None => {}
        }
        names.insert(name, owner);
        Ok(true)
    }

    /// Gives a name that somebody has to `owner`. Answers who had it.
    pub(crate) fn replace(&self, name: &str, owner: Owner) -> Result<Owner, RegisterError> {
        let not_taken = || RegisterError::NotTaken(name.to_owned());
        let mut names = self.names.write();
        match names.by_name.get(name) {
            Some(had) if had.pid == owner.pid => Ok(owner),
            Some(_) => names.insert(name, owner).ok_or_else(not_taken),
            None => Err(not_taken()),
        }
    }

    /// Takes a name away. Answers who had it.
    pub(crate) fn unregister(&self, name: &str) -> Option<Owner> {
        self.names.write().remove(name)
    }

    /// Takes a name away from `pid`, if it has it. Answers whether it had.
    pub(crate) fn remove(&self, name: &str, pid: Pid) -> bool {
        let mut names = self.names.write();
        let had = names.by_name.get(name).is_some_and(|owner| owner.pid == pid);
        if had {
            names.remove(name);
        }
        had
    }

    /// What this node watched by `monitor` is gone: so is the name. Answers both.
    pub(crate) fn is_down(&self, monitor: MonitorRef) -> Option<(String, Pid)> {
        let mut names = self.names.write();
        let name = names.by_monitor.remove(&monitor)?;
        let owner = names.by_name.remove(&name)?;
        Some((name, owner.pid))
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        self.names.read().by_name.get(name).map(|owner| owner.pid)
    }

    /// All names, in order.
    pub(crate) fn all(&self) -> Vec<(String, Pid)> {
        let names = self.names.read();
        let names = names.by_name.iter();
        let mut all: Vec<_> = names.map(|(name, owner)| (name.clone(), owner.pid)).collect();
        all.sort();
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.names.read().by_name.len()
    }
}

#[cfg(test)]
mod tests {
    use midflight_message::NodeId;

    use super::*;

    fn owner(index: u32, monitor: Option<u64>) -> Owner {
        let pid = Pid { node: NodeId(1), index, generation: 0 };
        Owner { pid, monitor: monitor.map(MonitorRef) }
    }

    #[test]
    fn a_name_goes_with_the_monitor_of_its_last_owner_alone() {
        let registry = Registry::default();
        assert_eq!(registry.register("a", owner(1, Some(7)), 9), Ok(true));
        assert_eq!(registry.register("b", owner(1, Some(8)), 9), Ok(true));
        assert_eq!(registry.replace("a", owner(2, Some(9))), Ok(owner(1, Some(7))));
        registry.is_down(MonitorRef(7));
        assert_eq!(registry.whereis("a"), Some(owner(2, None).pid));
        registry.is_down(MonitorRef(8));
        assert_eq!(registry.whereis("b"), None);
        assert_eq!(registry.replace("a", owner(3, None)), Ok(owner(2, Some(9))));
        registry.is_down(MonitorRef(9));
        assert_eq!(registry.unregister("a"), Some(owner(3, None)));
        let names = registry.names.read();
        assert!(names.by_name.is_empty() && names.by_monitor.is_empty());
    }

    /// The more names there are, the more the end of one owner must not cost.
    #[test]
    fn a_hundred_thousand_owners_that_end_are_looked_up_and_not_searched_for() {
        let registry = Registry::default();
        for n in 0..100_000_u32 {
            let owner = owner(n, Some(n.into()));
            assert_eq!(registry.register(&n.to_string(), owner, usize::MAX), Ok(true));
        }
        for n in 0..100_000 {
            registry.is_down(MonitorRef(n));
        }
        assert_eq!(registry.len(), 0);
    }
}
