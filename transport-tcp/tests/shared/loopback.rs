//! The suite's network on the loopback, for any backend of this crate.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, spawn, timeout};
use midflight_transport_api::conformance::{CaseFuture, Fixture};
use midflight_transport_api::{Address, Bind, Limits, Transport};
use midflight_transport_tcp::TcpConfig;

#[path = "relay.rs"]
mod relay;
use relay::Relay;

/// What all of them set. `MIDFLIGHT_HEARTBEAT_MS=2000` for another bound.
pub(crate) fn config() -> TcpConfig {
    let heartbeat = std::env::var("MIDFLIGHT_HEARTBEAT_MS").ok().and_then(|ms| ms.parse().ok());
    let mut config = TcpConfig::default();
    config.links.heartbeat = Duration::from_millis(heartbeat.unwrap_or(1000));
    config.links.drain_deadline = Duration::from_secs(2);
    config.links.limits = Limits { max_message: 8 << 20, ..Limits::default() };
    config
}

/// Runs a case on the transport that `make` makes, whose addresses are `scheme:127.0.0.1:…`.
pub(crate) fn run(
    case: &dyn Fn(Fixture) -> CaseFuture,
    scheme: &'static str,
    make: fn(TcpConfig, Handle) -> Arc<dyn Transport>,
) {
    run_on(case, scheme, make, |fixture, _| fixture);
}

/// The same, with relays between the endpoints, so that paths can be cut.
pub(crate) fn run_relayed(
    case: &dyn Fn(Fixture) -> CaseFuture,
    scheme: &'static str,
    make: fn(TcpConfig, Handle) -> Arc<dyn Transport>,
) {
    run_on(case, scheme, make, |fixture, runtime| relayed(fixture, scheme, runtime.clone()));
}

/// The same network, with a relay before each endpoint. A cut silences all that goes through either's.
fn relayed(fixture: Fixture, scheme: &'static str, runtime: Handle) -> Fixture {
    let relays = Arc::new(Mutex::new(Vec::<Relay>::new()));
    let all = relays.clone();
    let bind = move |_: &str| {
        let relay = Relay::open(&runtime, false);
        let bind = relay.bind(scheme);
        relays.lock().unwrap().push(relay);
        bind
    };
    let cut = move |a: &Address, b: &Address, silent| {
        let relays = all.lock().unwrap();
        relays.iter().filter(|way| way.leads_to(a) || way.leads_to(b)).for_each(|way| {
            way.silence(silent);
        });
    };
    Fixture { bind: Arc::new(bind), cut: Ok(Arc::new(cut)), ..fixture }
}

fn run_on(
    case: &dyn Fn(Fixture) -> CaseFuture,
    scheme: &'static str,
    make: fn(TcpConfig, Handle) -> Arc<dyn Transport>,
    between: impl FnOnce(Fixture, &Handle) -> Fixture,
) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let (spawner, clock, sleeper) = (runtime.clone(), runtime.clone(), runtime.clone());
    let other = runtime.clone();
    // A port that is taken and not listened at: nobody else gets it meanwhile.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let fixture = Fixture {
        transport: make(config(), runtime.clone()),
        bind: Arc::new(move |_: &str| {
            let listen = format!("{scheme}:127.0.0.1:0").parse().unwrap();
            Bind::Listen { listen, advertise: None }
        }),
        nobody: format!("{scheme}:{}", nobody.local_addr().unwrap()).parse().unwrap(),
        heartbeat: config().links.heartbeat,
        drain: config().links.drain_deadline,
        spawn: Arc::new(move |task| drop(spawn(&spawner, "case", task))),
        now: Arc::new(move || Duration::from_nanos(clock.now().as_nanos())),
        sleep: Arc::new(move |duration| sleeper.sleep(duration)),
        cut: Err("sockets cannot be silenced; `relayed` in tests/conformance.rs has this".into()),
        speaking: Ok(Arc::new(move |low, high| {
            let mut config = config();
            config.links.versions = (low, high);
            make(config, other.clone())
        })),
        usage: Err("measured in tests/leaks.rs, which has a process of its own".into()),
    };
    let case = case(between(fixture, &runtime));
    tokio
        .block_on(timeout(&*runtime, Duration::from_secs(60), case))
        .expect("the case ends within a minute");
}
