//! What only the whole shows: layers, live update in the simulator and with real bundles.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod canary;
mod catching_up;
mod cloud_haskell;
mod committed;
mod deploy;
mod evolving;
mod hosted;
mod identities;
mod layers;
mod real;
mod relocation;
mod rollouts;
mod semantics;
mod spoiled;
mod spreading;
mod sweeping;
mod thesis;
mod tidy;
mod together;
