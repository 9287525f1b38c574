//! What the workloads send.

use midflight_process::Pid;
use midflight_process::message::{Binary, Descriptor, Message, Schema};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a small message.
pub(crate) const SMALL: usize = 64;

#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Ping", version = 1)]
pub(crate) struct Ping {
    pub(crate) reply_to: Pid,
    pub(crate) number: u64,
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Pong", version = 1)]
pub(crate) struct Pong {
    pub(crate) number: u64,
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Add", version = 1)]
pub(crate) struct Add {
    pub(crate) amount: u64,
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Token", version = 1)]
pub(crate) struct Token {
    pub(crate) hops_left: usize,
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Done", version = 1)]
pub(crate) struct Done {
    pub(crate) count: u64,
}

/// So many messages of a stream follow; the count is to be acknowledged.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Begin", version = 1)]
pub(crate) struct Begin {
    pub(crate) count: u64,
    pub(crate) reply_to: Pid,
}

/// A small message of a stream.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Packet", version = 1)]
pub(crate) struct Packet(pub(crate) Small);

/// A large message of a stream.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "bench.Block", version = 1)]
pub(crate) struct Block(pub(crate) Binary);

/// Bytes that serde is handed in one piece; a `Vec<u8>` is a list of numbers to it.
pub(crate) struct Small(pub(crate) [u8; SMALL]);

impl Schema for Small {
    fn descriptor() -> Descriptor {
        Vec::<u8>::descriptor()
    }
}

impl Serialize for Small {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Small {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_bytes(Borrowed)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_slice| D::Error::invalid_length(bytes.len(), &Borrowed))
    }
}

struct Borrowed;

impl<'de> Visitor<'de> for Borrowed {
    type Value = &'de [u8];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(bytes)
    }
}
