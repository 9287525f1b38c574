//! An endpoint under attack, with a decent peer beside the attackers.
#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, timeout};
use midflight_transport_api::{Address, Bind, EndPoint, Limits, Transport};
use midflight_transport_tcp::{TcpConfig, TcpTransport, TlsTransport};

use crate::certificates::{Authority, Issued};
use crate::decent::Decent;
use crate::host::{Door, Host};
use crate::log::{self, Log};

/// Under what the endpoint's streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    Tcp,
    Tls,
}

/// See the [module](self).
pub(crate) struct Ground {
    under: Under,
    pub(crate) config: TcpConfig,
    pub(crate) runtime: Handle,
    pub(crate) transport: Arc<dyn Transport>,
    /// What an attacker shows who has a good certificate.
    pub(crate) enrolled: Issued,
    pub(crate) endpoint: Arc<dyn EndPoint>,
    pub(crate) host: Arc<Host>,
    /// Whether there are many attacks at once.
    pub(crate) is_crowded: bool,
    log: &'static Log,
}

/// The settings of the endpoint under attack: small, so that bounds are reached.
pub(crate) fn config() -> TcpConfig {
    let mut config = TcpConfig::default();
    config.links.heartbeat = Duration::from_secs(1);
    config.links.handshake_deadline = Duration::from_secs(1);
    config.links.drain_deadline = Duration::from_millis(300);
    config.links.half_open_max = 64;
    config.links.links_max = 128;
    config.links.limits = Limits { max_message: 1 << 20, small: 64 << 10, bulk: 1 << 20 };
    config
}

/// Runs `case` against an endpoint. A decent peer is served all the while over one link, and
/// another finds the endpoint working afterwards.
pub(crate) fn attack(under: Under, case: impl AsyncFnOnce(&Ground)) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let whole = async {
        let ground = Ground::open(under, config(), runtime.clone()).await;
        let decent = Decent::begin(&ground).await;
        case(&ground).await;
        decent.served().await;
        let newcomer = Decent::begin(&ground).await;
        newcomer.served().await;
        newcomer.leave().await;
        assert_eq!(ground.panics(), 0, "a task has panicked");
    };
    tokio.block_on(timeout(&*runtime, Duration::from_secs(60), whole)).expect("no hang");
}

impl Ground {
    pub(crate) async fn open(under: Under, config: TcpConfig, runtime: Handle) -> Self {
        let names = ["node", "nowhere", "localhost", "127.0.0.1", "0.0.0.0"];
        let own = Authority::common().issue(&names);
        let transport: Arc<dyn Transport> = match under {
            Under::Tcp => Arc::new(TcpTransport::new(config.clone(), runtime.clone())),
            Under::Tls => Arc::new(
                TlsTransport::new(config.clone(), own.credentials(), runtime.clone()).unwrap(),
            ),
        };
        let host = Arc::new(Host::default());
        let listen = format!("{}:127.0.0.1:0", transport.scheme()).parse().unwrap();
        let bind = Bind::Listen { listen, advertise: None };
        let endpoint = transport.open(bind, Arc::new(Door(host.clone()))).await.unwrap();
        let log = log::captured();
        raise_descriptor_limit();
        Self {
            under,
            config,
            runtime,
            transport,
            enrolled: own,
            endpoint,
            host,
            is_crowded: false,
            log,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.under == Under::Tls
    }

    /// An address in this transport's form.
    pub(crate) fn address(&self, rest: impl std::fmt::Display) -> Address {
        format!("{}:{rest}", self.transport.scheme()).parse().unwrap()
    }

    /// A name that nobody in this process has had.
    pub(crate) fn name(&self) -> Address {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        self.address(format_args!("nowhere:{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// How many tasks have panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.log.panics()
    }

    /// Waits until the log says why `who` (where from, or of what name) was turned away.
    pub(crate) async fn logged(&self, who: &str, why: &str) {
        // Of those that come to nothing, a few in a while are listed and the others counted.
        if self.is_crowded && who.starts_with("from=") {
            return;
        }
        // The delimiter, so that no longer name is meant.
        let who = format!("{who};");
        let words = [&*who, why];
        let says = self.log.says(&words);
        if timeout(&*self.runtime, Duration::from_secs(10), says).await.is_err() {
            panic!("{why:?} was not said of {who}, but {:#?}", self.log.about(&who));
        }
    }

    /// Waits until the log says so of anybody, where it is not one of many.
    pub(crate) async fn said(&self, why: &str) {
        if !self.is_crowded {
            self.soon(why, self.log.says(&[why])).await;
        }
    }

    /// Waits until the endpoint has lost the link to `peer`, and the log says why.
    pub(crate) async fn lost(
        &self,
        peer: &Address,
        why: &str,
    ) -> midflight_transport_api::LinkLoss {
        let loss = self.host.loss(peer).await;
        assert!(loss.to_string().contains(why), "{why:?} is not in: {loss}");
        self.logged(peer.as_str(), why).await;
        loss
    }
}

/// Some attacks are about thousands of sockets, of which both ends are here.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // If it cannot be raised, the attack itself will say so.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
