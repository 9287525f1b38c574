//! Local names.

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::wire::Place;

/// Which process has which name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    names: RwLock<FxHashMap<String, Place>>,
}

/// The longest name, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// A name could not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another process has the name.
    #[error("the name `{name}` is taken by {owner}")]
    Taken {
        /// The name.
        name: String,
        /// Who has it.
        owner: midflight_message::Pid,
    },
    /// The process does not live here.
    #[error("{0} does not live on this node")]
    NoProcess(midflight_message::Pid),
    /// The name is empty or longer than 255 bytes.
    #[error("a name has 1 to 255 bytes, this one has {0}")]
    BadName(usize),
}

impl Registry {
    /// Gives `name` to `place`. Answers who has it when it is taken.
    pub(crate) fn register(&self, name: &str, place: Place) -> Result<(), Place> {
        let mut names = self.names.write();
        match names.get(name) {
            Some(owner) if *owner != place => Err(*owner),
            _ => {
                names.insert(name.into(), place);
                Ok(())
            }
        }
    }

    /// Takes a name away. Answers who had it.
    pub(crate) fn unregister(&self, name: &str) -> Option<Place> {
        self.names.write().remove(name)
    }

    /// Takes a name away from `place`, if it has it.
    pub(crate) fn remove(&self, name: &str, place: Place) {
        let mut names = self.names.write();
        if names.get(name) == Some(&place) {
            names.remove(name);
        }
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Place> {
        self.names.read().get(name).copied()
    }
}
