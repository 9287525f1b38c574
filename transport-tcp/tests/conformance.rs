//! The suite over sockets on the loopback.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, spawn, timeout};
use midflight_transport_api::conformance::{CaseFuture, Fixture};
use midflight_transport_api::{Address, Bind, Limits, Transport};
use midflight_transport_tcp::{TcpConfig, TcpTransport};

#[derive(Clone)]
struct Loopback {
    runtime: Handle,
    transport: Arc<TcpTransport>,
}

const BOUND: Duration = Duration::from_secs(1);

impl Fixture for Loopback {
    fn run(case: impl Fn(Self) -> CaseFuture) {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let tokio = tokio.unwrap();
        let runtime = TokioRuntime::on(tokio.handle().clone());
        let mut config = TcpConfig::default();
        config.links.heartbeat = BOUND;
        config.links.limits = Limits { max_message: 8 << 20, ..Limits::default() };
        let transport = Arc::new(TcpTransport::new(config, runtime.clone()));
        let case = case(Self { runtime: runtime.clone(), transport });
        tokio
            .block_on(timeout(&*runtime, Duration::from_secs(60), case))
            .expect("the case ends within a minute");
    }

    fn transport(&self) -> Arc<dyn Transport> {
        self.transport.clone()
    }

    fn bind(&self, _name: &str) -> Bind {
        Bind::Listen { listen: "tcp:127.0.0.1:0".parse().unwrap(), advertise: None }
    }

    fn nobody(&self) -> Address {
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("tcp:{}", free.local_addr().unwrap()).parse().unwrap()
    }

    fn spawn(&self, task: CaseFuture) {
        spawn(&self.runtime, "case", task);
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.runtime.now().as_nanos())
    }

    fn sleep(&self, duration: Duration) -> CaseFuture {
        self.runtime.sleep(duration)
    }

    fn heartbeat(&self) -> Duration {
        BOUND
    }

    fn cut(&self, _: &Address, _: &Address) -> Result<(), String> {
        Err("the loopback cannot be silenced; tests/hostile.rs does it with a raw socket".into())
    }
}

midflight_transport_api::conformance_suite!(Loopback);
