//! The sending end of a typed channel.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::descriptor::Descriptor;
use crate::shape::{Body, Field, Shape};
use crate::{Message, Pid, ProcessRef, Schema};

/// The sending end of a channel for values of type `M`. It is good everywhere and travels in
/// messages; the receiving end stays with the process that made the channel.
pub struct SendPort<M> {
    owner: Pid,
    number: u32,
    takes: PhantomData<fn(M)>,
}

/// A send port on the wire.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    owner: Pid,
    number: u32,
}

impl<M> SendPort<M> {
    /// Says that `owner` has a channel of this number that takes `M`. Nothing is checked until a
    /// value arrives there.
    #[must_use]
    pub const fn new(owner: Pid, number: u32) -> Self {
        Self { owner, number, takes: PhantomData }
    }

    /// The process that made the channel and receives from it.
    #[must_use]
    pub const fn owner(self) -> Pid {
        self.owner
    }

    /// The channel's number among its owner's.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }
}

impl<M: Message> Schema for SendPort<M> {
    fn descriptor() -> Descriptor {
        let fields = vec![
            // On the wire a pid; its schema says what the channel takes.
            Field::new::<ProcessRef<M>>("owner", false, &[]),
            Field::new::<u32>("number", false, &[]),
        ];
        let shape = Shape::Struct { closed: true, fields };
        Descriptor::named::<Self>("midflight.SendPort", Some(1), Body::Plain(shape))
    }
}

impl<M> Serialize for SendPort<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Parts { owner: self.owner, number: self.number }.serialize(serializer)
    }
}

impl<'de, M> Deserialize<'de> for SendPort<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer).map(|Parts { owner, number }| Self::new(owner, number))
    }
}

impl<M> Clone for SendPort<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for SendPort<M> {}

impl<M> PartialEq for SendPort<M> {
    fn eq(&self, other: &Self) -> bool {
        (self.owner, self.number) == (other.owner, other.number)
    }
}

impl<M> Eq for SendPort<M> {}

impl<M> std::hash::Hash for SendPort<M> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.owner, self.number).hash(state);
    }
}

impl<M> fmt::Display for SendPort<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.owner, self.number)
    }
}

impl<M> fmt::Debug for SendPort<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
