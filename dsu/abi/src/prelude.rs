//! What most behaviours use: `use midflight_abi::prelude::*;`.

pub use midflight_message::{Message, NodeId, Pid, ProcessRef, Schema};

pub use crate::{
    AsyncContext, CallError, Context, ConvertError, Disconnected, Down, Exited, Letter, Level,
    Loop, NodeDown, ReconnectPolicy, SpawnError, State, Timer, Undelivered, behaviour,
};
