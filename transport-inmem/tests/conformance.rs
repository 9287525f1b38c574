//! The suite on the hub, under the simulator: each case with several seeds.

use std::sync::Arc;

use midflight_runtime::SimRuntime;
use midflight_transport_api::conformance::{CaseFuture, Fixture};

#[path = "shared/network.rs"]
mod network;

fn memory(case: &dyn Fn(Fixture) -> CaseFuture) {
    // `MIDFLIGHT_SEEDS=500` for a soak.
    let seeds = std::env::var("MIDFLIGHT_SEEDS").ok().and_then(|n| n.parse().ok());
    for seed in 0..seeds.unwrap_or(4_u64) {
        // What a good test prints is not shown; of one that fails this is the last.
        println!("seed {seed}");
        let sim = SimRuntime::new(seed);
        let fixture = network::on(&sim.handle(), seed, |memory| Arc::new(memory));
        let done = sim.run(3_000_000, case(fixture));
        done.unwrap_or_else(|stopped| panic!("seed {seed}: {stopped}"));
    }
}

midflight_transport_api::conformance_suite!(memory);
