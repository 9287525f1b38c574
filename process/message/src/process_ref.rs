//! A pid that knows what its process takes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::descriptor::Descriptor;
use crate::shape::Body;
use crate::{Pid, Protocol, Schema};

/// The pid of a process of which is known what it takes: the messages of the [protocol](Protocol) `P`,
/// which is a message type where that is all. What is sent to it is checked by the compiler. On the wire
/// it is the pid.
pub struct ProcessRef<P> {
    pid: Pid,
    takes: PhantomData<fn(P)>,
}

impl<P> ProcessRef<P> {
    /// Says that the process takes what `P` has. Nothing is checked until a message arrives there.
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

impl<P: Protocol> Schema for ProcessRef<P> {
    fn descriptor() -> Descriptor {
        let body = Body::Reference {
            name: P::NAME.to_owned(),
            version: P::VERSION,
            pid: Pid::descriptor as fn() -> Descriptor,
        };
        Descriptor::named::<Self>("ProcessRef", None, body)
    }
}

impl<P> Serialize for ProcessRef<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pid.serialize(serializer)
    }
}

impl<'de, P> Deserialize<'de> for ProcessRef<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Pid::deserialize(deserializer).map(Self::new)
    }
}

impl<P> From<ProcessRef<P>> for Pid {
    fn from(process: ProcessRef<P>) -> Self {
        process.pid
    }
}

impl<P> Clone for ProcessRef<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for ProcessRef<P> {}

impl<P> PartialEq for ProcessRef<P> {
    fn eq(&self, other: &Self) -> bool {
        self.pid == other.pid
    }
}

impl<P> Eq for ProcessRef<P> {}

impl<P> PartialOrd for ProcessRef<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for ProcessRef<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pid.cmp(&other.pid)
    }
}

impl<P> Hash for ProcessRef<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pid.hash(state);
    }
}

impl<P> fmt::Display for ProcessRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.pid, f)
    }
}

impl<P> fmt::Debug for ProcessRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.pid, f)
    }
}
