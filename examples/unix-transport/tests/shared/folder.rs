//! The suite's network: sockets in a folder of their own.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{TokioRuntime, spawn, timeout};
use midflight_transport_api::Bind;
use midflight_transport_api::conformance::{CaseFuture, Fixture};
use midflight_transport_stream::{LinkConfig, StreamTransport};
use unix_transport::Unix;

fn links() -> LinkConfig {
    let mut links = LinkConfig::default();
    links.heartbeat = Duration::from_secs(1);
    links.drain_deadline = Duration::from_millis(500);
    links.limits.max_message = 8 << 20;
    links
}

/// Runs a case on the transport; its sockets are in a folder that is new for each.
pub(crate) fn unix(case: &dyn Fn(Fixture) -> CaseFuture) {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let [on, clock, sleeper, other] = std::array::from_fn(|_| runtime.clone());
    let folder = tempfile::tempdir().unwrap();
    let at = format!("unix:{}", folder.path().display());
    let links = links();
    let fixture = Fixture {
        transport: Arc::new(StreamTransport::new(Unix, links.clone(), runtime.clone())),
        nobody: format!("{at}/nobody").parse().unwrap(),
        bind: Arc::new(move |name: &str| Bind::Listen {
            listen: format!("{at}/{name}").parse().unwrap(),
            advertise: None,
        }),
        heartbeat: links.heartbeat,
        drain: links.drain_deadline,
        spawn: Arc::new(move |task| drop(spawn(&on, "case", task))),
        now: Arc::new(move || Duration::from_nanos(clock.now().as_nanos())),
        sleep: Arc::new(move |duration| sleeper.sleep(duration)),
        cut: Err("a socket file has no path that could be cut".into()),
        speaking: Ok(Arc::new(move |low, high| {
            let mut links = links.clone();
            links.versions = (low, high);
            Arc::new(StreamTransport::new(Unix, links, other.clone()))
        })),
        usage: Err("other tests run in this process".into()),
    };
    tokio.block_on(timeout(&*runtime, Duration::from_secs(60), case(fixture))).expect("it ends");
}
