//! Opens endpoints.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use midflight_runtime::{Handle, spawn};
use midflight_transport_api::{
    Address, Bind, Capabilities, EndPoint, LinkAcceptor, OpenError, OpenErrorKind, Transport,
};
use tokio::net::TcpListener;

use crate::endpoint::TcpEndPoint;
use crate::shared::Shared;
use crate::{TcpConfig, accept};

pub(crate) const SCHEME: &str = "tcp";

/// The transport over TCP. Addresses are `tcp:HOST:PORT`, with IPv6 in brackets.
///
/// Bytes are not encrypted and a peer's address is what it claims: the layer above authenticates.
#[derive(Debug, Clone)]
pub struct TcpTransport {
    config: TcpConfig,
    runtime: Handle,
}

impl TcpTransport {
    /// A transport with these settings, whose tasks run on `runtime` (which must be tokio's).
    #[must_use]
    pub const fn new(config: TcpConfig, runtime: Handle) -> Self {
        Self { config, runtime }
    }
}

#[async_trait]
impl Transport for TcpTransport {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&self.config)
    }

    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError> {
        let bad = |e| OpenError::because(OpenErrorKind::BadAddress, e);
        let mut nonce = [0; 16];
        self.runtime.fill_random(&mut nonce);
        let (address, listener) = match bind {
            Bind::Listen { listen, advertise } => {
                let (listener, port) = self.listen(&listen).await?;
                let (host, _) = host_port(&listen).ok_or(OpenErrorKind::BadAddress)?;
                let bound = Address::new(SCHEME, &format!("{host}:{port}")).map_err(bad)?;
                let address = advertise.unwrap_or(bound);
                host_port(&address).ok_or(OpenErrorKind::BadAddress)?;
                (address, Some(listener))
            }
            _ => {
                let number = u128::from_le_bytes(nonce);
                (Address::new(SCHEME, &format!("~{number:032x}")).map_err(bad)?, None)
            }
        };
        let shared =
            Shared::new(address, nonce, self.config.clone(), self.runtime.clone(), acceptor);
        let accepting = listener.map(|listener| {
            spawn(&self.runtime, "tcp accept", accept::run(shared.clone(), listener))
        });
        Ok(Arc::new(TcpEndPoint::new(shared, accepting)))
    }
}

impl TcpTransport {
    /// Listens, and says at which port.
    async fn listen(&self, address: &Address) -> Result<(TcpListener, u16), OpenError> {
        host_port(address).ok_or(OpenErrorKind::BadAddress)?;
        let bound = async {
            let listener = TcpListener::bind(address.rest()).await?;
            let port = listener.local_addr()?.port();
            io::Result::Ok((listener, port))
        };
        bound.await.map_err(|e| {
            let kind = match e.kind() {
                io::ErrorKind::AddrInUse => OpenErrorKind::InUse,
                _ => OpenErrorKind::System,
            };
            OpenError::because(kind, e)
        })
    }
}

pub(crate) const fn capabilities(config: &TcpConfig) -> Capabilities {
    let mut capabilities = Capabilities::new(config.limits.max_message);
    capabilities.crosses_processes = true;
    capabilities
}

/// Host and port, when `address` can be dialled.
pub(crate) fn host_port(address: &Address) -> Option<(&str, u16)> {
    let (host, port) = address.rest().rsplit_once(':')?;
    let bare_colons = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    let dialable =
        address.scheme() == SCHEME && !host.is_empty() && !host.starts_with('~') && !bare_colons;
    Some((host, port.parse().ok()?)).filter(|_| dialable)
}
