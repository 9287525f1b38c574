//! Endpoints with credentials of their own.

use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, timeout};
use midflight_transport_api::conformance::{Party, send};
use midflight_transport_api::{Address, Bind, ConnectError, Link};
use midflight_transport_tcp::{Credentials, TcpConfig, TlsTransport};

use crate::certificates::Issued;

/// See the [module](self).
pub(crate) struct Net {
    runtime: Handle,
}

/// Runs `case`, which ends within half a minute.
pub(crate) fn run(case: impl AsyncFnOnce(&Net)) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let net = Net { runtime: runtime.clone() };
    let ends = timeout(&*runtime, Duration::from_secs(30), case(&net));
    tokio.block_on(ends).expect("no hang");
}

impl Net {
    pub(crate) fn config() -> TcpConfig {
        let mut config = TcpConfig::default();
        config.links.drain_deadline = Duration::from_millis(500);
        config
    }

    pub(crate) fn transport(&self, credentials: Credentials) -> TlsTransport {
        TlsTransport::new(Self::config(), credentials, self.runtime.clone()).unwrap()
    }

    /// An endpoint with these credentials that listens.
    pub(crate) async fn party(&self, issued: &Issued) -> Party {
        Party::with(&self.transport(issued.credentials()), listening(None), false).await
    }

    /// The same, which calls itself `address`.
    pub(crate) async fn impostor(&self, issued: &Issued, address: &Address) -> Party {
        let transport = self.transport(issued.credentials());
        Party::with(&transport, listening(Some(address)), false).await
    }

    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }
}

/// Anywhere on this machine.
pub(crate) fn listening(advertise: Option<&Address>) -> Bind {
    Bind::Listen { listen: "tls:127.0.0.1:0".parse().unwrap(), advertise: advertise.cloned() }
}

/// Sends one message over `link`, which comes to `to`.
pub(crate) async fn talk(link: &dyn Link, to: &Party) {
    let connection = link.open().unwrap();
    send(link, connection, b"hello").await.unwrap();
    assert_eq!(to.received().await.1[..], *b"hello");
}

/// The error of a dial that must fail.
pub(crate) async fn refused(from: &Party, to: &Party) -> ConnectError {
    from.end().connect(to.address()).await.expect_err("it must not connect")
}
