//! Worlds of nodes on the loopback.

#[path = "../it/world/nodes.rs"]
mod nodes;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use midflight_process::{Node, NodeBuilder};
use midflight_runtime::{Handle, TokioRuntime, timeout};
use midflight_transport_api::{Address, Transport};
use midflight_transport_tcp::{Credentials, TcpConfig, TcpTransport, TlsTransport};
pub(crate) use nodes::{keep, until};

/// For how long nothing may come where nothing is expected. The simulator waits longer: there it costs
/// nothing.
pub(crate) const QUIET: Duration = Duration::from_millis(100);
/// The largest cluster that is tried: all of its nodes share the machine with other cases.
pub(crate) const LARGEST: usize = 5;
/// How many times longer than it should something may take: the machine may be busy.
pub(crate) const SLACK: u32 = 10;
/// Time for one case: far more than any takes, since the machine may be busy.
const CASE_MAX: Duration = Duration::from_secs(120);

thread_local! {
    /// The scheme of this case's addresses, and where the nodes of its names listen. A case is a test,
    /// and a test a thread.
    static PLACES: RefCell<(&'static str, HashMap<String, Address>)> = RefCell::default();
}

/// Whether something took as long as it should: not less, and how much more is up to the machine.
pub(crate) fn took(passed: Duration, should: Duration) -> bool {
    passed >= should
}

#[derive(Clone)]
pub(crate) struct World {
    transport: Arc<dyn Transport>,
    pub(crate) runtime: Handle,
}

impl World {
    /// Where the node of that name listens, or may, when there has been none.
    pub(crate) fn address(name: &str) -> Address {
        PLACES.with_borrow(|(scheme, known)| {
            known.get(name).cloned().unwrap_or_else(|| Address::new(scheme, "127.0.0.1:0").unwrap())
        })
    }

    /// Sockets take the time they take.
    #[expect(clippy::unused_self, reason = "the simulator's has a network")]
    pub(crate) fn delay(&self, _: Duration) {}

    /// Sockets keep their own order.
    #[expect(clippy::unused_self, reason = "the simulator's has a network")]
    pub(crate) fn reorder(&self) {}

    pub(crate) async fn start(&self, builder: NodeBuilder) -> Node {
        let node = builder
            .trust_links(|_| true)
            .start(&*self.transport, self.runtime.clone())
            .await
            .unwrap();
        let (name, address) = (node.name().to_owned(), node.address().unwrap());
        PLACES.with_borrow_mut(|(_, known)| known.insert(name, address));
        node
    }
}

pub(crate) fn tcp<F: Future<Output = ()>>(scenario: impl Fn(World) -> F) {
    run("tcp", scenario, |config, runtime| Arc::new(TcpTransport::new(config, runtime)));
}

pub(crate) fn tls<F: Future<Output = ()>>(scenario: impl Fn(World) -> F) {
    run("tls", scenario, |config, runtime| {
        Arc::new(TlsTransport::new(config, credentials(), runtime).unwrap())
    });
}

fn run<F: Future<Output = ()>>(
    scheme: &'static str,
    scenario: impl Fn(World) -> F,
    transport: impl FnOnce(TcpConfig, Handle) -> Arc<dyn Transport>,
) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    PLACES.set((scheme, HashMap::new()));
    let world = World {
        transport: transport(TcpConfig::default(), runtime.clone()),
        runtime: runtime.clone(),
    };
    let case = timeout(&*runtime, CASE_MAX, scenario(world));
    tokio.block_on(case).expect("the case ends in its time");
}

/// One certificate for all nodes of this machine, by its own authority.
fn credentials() -> Credentials {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["node", "localhost", "127.0.0.1"].map(String::from);
    let certificate =
        CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap().pem();
    let (authority, key) = (authority.pem(), key.serialize_pem());
    Credentials::from_pem(authority.as_bytes(), certificate.as_bytes(), key.as_bytes()).unwrap()
}
