//! What nodes and processes promise, on the in-memory transport: in the simulator where an
//! interleaving is worth fearing.
#![expect(clippy::unwrap_used, reason = "a test may")]

/// Cases that only the simulator can run: `tests/transports` has the others over sockets.
macro_rules! simulated {
    ($($item:item)*) => { $($item)* };
}

mod binaries;
mod call_on;
mod calls;
mod channels;
mod cloud_haskell;
mod events;
mod exits;
mod groups;
mod idle;
mod impostor;
mod in_turn;
mod incarnations;
mod info;
mod joining;
mod kinds;
mod letters;
mod links;
#[path = "../../src/hostile/log.rs"]
mod log;
mod losses;
mod managed;
mod members;
mod metrics;
mod mismatch;
mod monitors;
mod moved;
mod names;
mod order;
mod outside;
mod processes;
mod receive;
mod refusals;
mod requests;
mod roles;
mod room;
mod scene;
mod shutdown;
mod silent;
mod sources;
mod spawn_on;
mod supervisors;
mod timers;
mod traces;
mod unreceived;
mod waits;
mod world;
