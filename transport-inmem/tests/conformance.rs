//! The suite on the hub, under the simulator: each case with several seeds.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use midflight_runtime::{SimRuntime, spawn};
use midflight_transport_api::conformance::{CaseFuture, Fixture};
use midflight_transport_api::{Address, Bind, Limits, Transport};
use midflight_transport_inmem::{Hub, InMemory};

#[derive(Clone)]
struct Simulated {
    sim: Arc<SimRuntime>,
    hub: Hub,
    transport: Arc<InMemory>,
    names: Arc<AtomicU32>,
}

const BOUND: Duration = Duration::from_millis(500);

impl Fixture for Simulated {
    fn run(case: impl Fn(Self) -> CaseFuture) {
        // `MIDFLIGHT_SEEDS=500` for a soak.
        let seeds = std::env::var("MIDFLIGHT_SEEDS").ok().and_then(|n| n.parse().ok());
        for seed in 0..seeds.unwrap_or(4_u64) {
            let sim = SimRuntime::new(seed);
            let hub = Hub::new(seed);
            hub.set_delay(Duration::from_millis(seed % 8));
            let limits = Limits { max_message: 8 << 20, ..Limits::default() };
            let transport = hub.transport(sim.handle()).heartbeat(BOUND).limits(limits);
            let fixture = Self {
                sim: sim.clone(),
                hub,
                transport: Arc::new(transport),
                names: Arc::default(),
            };
            let done = sim.run(3_000_000, case(fixture));
            done.unwrap_or_else(|stopped| panic!("seed {seed}: {stopped}"));
        }
    }

    fn transport(&self) -> Arc<dyn Transport> {
        self.transport.clone()
    }

    fn bind(&self, name: &str) -> Bind {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let listen = format!("mem:{name}-{number}").parse().unwrap();
        Bind::Listen { listen, advertise: None }
    }

    fn nobody(&self) -> Address {
        "mem:nobody".parse().unwrap()
    }

    fn spawn(&self, task: CaseFuture) {
        spawn(&self.sim.handle(), "case", task);
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.sim.handle().now().as_nanos())
    }

    fn sleep(&self, duration: Duration) -> CaseFuture {
        self.sim.handle().sleep(duration)
    }

    fn heartbeat(&self) -> Duration {
        BOUND
    }

    fn cut(&self, a: &Address, b: &Address) -> Result<(), String> {
        self.hub.cut(a, b);
        Ok(())
    }
}

midflight_transport_api::conformance_suite!(Simulated);
