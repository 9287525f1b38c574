//! The suite's network: a hub, on any runtime.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{Handle, spawn};
use midflight_transport_api::conformance::{Cut, Fixture, Speaking};
use midflight_transport_api::{Address, Bind, Limits, Transport};
use midflight_transport_inmem::{Hub, InMemory};
use midflight_transport_stream::LinkConfig;

const HEARTBEAT: Duration = Duration::from_millis(500);

/// A hub of this seed whose batches take some milliseconds at the most, and the suite's view of it;
/// `wrap` may put something around the transport.
pub(crate) fn on(
    runtime: &Handle,
    seed: u64,
    wrap: impl FnOnce(InMemory) -> Arc<dyn Transport>,
) -> Fixture {
    let hub = Hub::new(seed);
    hub.set_delay(Duration::from_millis(seed % 8));
    hub.set_reorder(seed % 2 == 1);
    let mut links = LinkConfig::default();
    links.heartbeat = HEARTBEAT;
    links.limits = Limits { max_message: 8 << 20, ..Limits::default() };
    let transport = hub.transport(runtime.clone()).links(links.clone());
    let (other, handle) = (hub.clone(), runtime.clone());
    let speaking: Speaking = Arc::new(move |low, high| {
        let mut links = links.clone();
        links.versions = (low, high);
        Arc::new(other.transport(handle.clone()).links(links))
    });
    let (spawner, clock, sleeper) = (runtime.clone(), runtime.clone(), runtime.clone());
    let cut: Cut = Arc::new(move |a: &Address, b: &Address, cut| match cut {
        true => hub.cut(a, b),
        false => hub.heal(a, b),
    });
    Fixture {
        transport: wrap(transport),
        bind: Arc::new(|name: &str| {
            let listen = format!("mem:{name}").parse().unwrap();
            Bind::Listen { listen, advertise: None }
        }),
        nobody: "mem:nobody".parse().unwrap(),
        heartbeat: HEARTBEAT,
        drain: Duration::from_secs(5),
        spawn: Arc::new(move |task| drop(spawn(&spawner, "case", task))),
        now: Arc::new(move || Duration::from_nanos(clock.now().as_nanos())),
        sleep: Arc::new(move |duration| sleeper.sleep(duration)),
        cut: Ok(cut),
        speaking: Ok(speaking),
        usage: Err("measured in tests/leaks.rs, which has a process of its own".into()),
    }
}
