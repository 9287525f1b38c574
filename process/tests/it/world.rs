//! A simulated world of nodes.

mod nodes;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use midflight_process::{Node, NodeBuilder};
use midflight_runtime::{Handle, SimRuntime};
use midflight_transport_api::Address;
use midflight_transport_inmem::Hub;
pub(crate) use nodes::{keep, until};

/// For how long nothing may come where nothing is expected.
pub(crate) const QUIET: Duration = Duration::from_secs(1);
/// The largest cluster that is tried.
pub(crate) const LARGEST: usize = 128;
/// How many times longer than it should something may take.
pub(crate) const SLACK: u32 = 1;
/// Steps a scenario may take.
const STEPS_MAX: u64 = 5_000_000;

/// Whether something took as long as it should: here, to the nanosecond.
pub(crate) fn took(passed: Duration, should: Duration) -> bool {
    passed == should
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) runtime: Handle,
}

impl World {
    pub(crate) fn address(name: &str) -> Address {
        Address::new("mem", name).unwrap()
    }

    /// From now on all that is sent takes so long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.hub.set_delay(delay);
    }

    /// From now on connections overtake each other, where the transport may have them do so.
    pub(crate) fn reorder(&self) {
        self.hub.set_reorder(true);
    }

    pub(crate) async fn start(&self, builder: NodeBuilder) -> Node {
        let transport = self.hub.transport(self.runtime.clone());
        builder.start(&transport, self.runtime.clone()).await.unwrap()
    }
}

/// Runs a scenario under each of a few seeds; a failure names its seed.
pub(crate) fn simulate<F>(scenario: impl Fn(World) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for seed in 0..20 {
        run(seed, &scenario);
    }
}

/// Runs a scenario under one seed; answers the steps it took.
pub(crate) fn run<F>(seed: u64, scenario: impl Fn(World) -> F) -> u64
where
    F: Future<Output = ()> + Send + 'static,
{
    let sim: Arc<SimRuntime> = SimRuntime::new(seed);
    let world = World { hub: Hub::new(seed), runtime: sim.handle() };
    let guard = SeedOnPanic(seed);
    sim.run(STEPS_MAX, scenario(world)).unwrap();
    std::mem::forget(guard);
    sim.steps()
}

struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        eprintln!("the failing seed is {}", self.0);
    }
}
