//! A pid that knows what its process takes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::descriptor::Descriptor;
use crate::shape::Body;
use crate::{Message, Pid, Schema};

/// The pid of a process that takes messages of type `M`. On the wire it is the pid.
pub struct ProcessRef<M> {
    pid: Pid,
    takes: PhantomData<fn(M)>,
}

impl<M> ProcessRef<M> {
    /// Says that the process takes `M`. Nothing is checked until a message arrives there.
    #[must_use]
    pub const fn new(pid: Pid) -> Self {
        Self { pid, takes: PhantomData }
    }

    /// The plain pid.
    #[must_use]
    pub const fn pid(self) -> Pid {
        self.pid
    }
}

impl<M: Message> Schema for ProcessRef<M> {
    fn descriptor() -> Descriptor {
        let body = Body::Reference {
            name: M::NAME.to_owned(),
            version: M::VERSION,
            pid: Pid::descriptor as fn() -> Descriptor,
        };
        Descriptor::named::<Self>("ProcessRef", None, body)
    }
}

impl<M> Serialize for ProcessRef<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pid.serialize(serializer)
    }
}

impl<'de, M> Deserialize<'de> for ProcessRef<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Pid::deserialize(deserializer).map(Self::new)
    }
}

impl<M> From<ProcessRef<M>> for Pid {
    fn from(process: ProcessRef<M>) -> Self {
        process.pid
    }
}

impl<M> Clone for ProcessRef<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for ProcessRef<M> {}

impl<M> PartialEq for ProcessRef<M> {
    fn eq(&self, other: &Self) -> bool {
        self.pid == other.pid
    }
}

impl<M> Eq for ProcessRef<M> {}

impl<M> PartialOrd for ProcessRef<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> Ord for ProcessRef<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pid.cmp(&other.pid)
    }
}

impl<M> Hash for ProcessRef<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pid.hash(state);
    }
}

impl<M> fmt::Display for ProcessRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.pid, f)
    }
}

impl<M> fmt::Debug for ProcessRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.pid, f)
    }
}
