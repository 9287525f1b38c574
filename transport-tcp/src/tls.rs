//! TCP under TLS.
//!
//! Both sides show a certificate, TLS 1.3 alone is spoken, and no session is resumed: every link is
//! proven anew, by what is valid at that moment. The dialler checks that the certificate is one for
//! the host it dialled; both check that the peer's certificate allows the address at which the peer
//! says it is, so that no node takes another's place.

mod configs;
mod credentials;
mod fault;
pub mod fuzz;
mod halves;
mod handshake;
mod keys;
mod messages;
mod open;
mod proof;
mod seal;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use midflight_runtime::Handle;
use midflight_transport_api::{
    Address, Bind, Capabilities, ConnectError, ConnectErrorKind, EndPoint, LinkAcceptor, OpenError,
    Transport,
};
use midflight_transport_stream::{
    Arrival, Carrier, Listener, Stream, StreamTransport, handshake_failure,
};
use parking_lot::RwLock;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpListener;

use crate::address::{host_port, pinned};
use crate::{TcpConfig, socket};

use configs::Configs;
pub use credentials::{Credentials, CredentialsError};

/// The transport over TLS. Addresses are `tls:HOST:PORT`, with IPv6 in brackets; the peer's
/// certificate must be for that host.
///
/// [`Peer::identity`](midflight_transport_api::Peer::identity) is the first DNS name in the peer's
/// certificate. Clones are the same transport.
#[derive(Debug, Clone)]
pub struct TlsTransport {
    streams: StreamTransport,
    configs: Arc<RwLock<Configs>>,
}

impl TlsTransport {
    /// A transport with these settings that shows these credentials, whose tasks run on `runtime`
    /// (which must be tokio's).
    ///
    /// # Errors
    /// When the credentials do not belong together; see [`CredentialsError`].
    pub fn new(
        config: TcpConfig,
        credentials: Credentials,
        runtime: Handle,
    ) -> Result<Self, CredentialsError> {
        let links = config.links.clone();
        let configs = Arc::new(RwLock::new(Configs::new(credentials)?));
        let carrier =
            Tls { config: Arc::new(config), configs: configs.clone(), runtime: runtime.clone() };
        Ok(Self { streams: StreamTransport::new(carrier, links, runtime), configs })
    }

    /// Shows and demands these credentials from now on, in every endpoint. Links that are up stay,
    /// and so does what is in its handshake.
    ///
    /// # Errors
    /// As [`new`](Self::new); then the old ones stay.
    pub fn replace(&self, credentials: Credentials) -> Result<(), CredentialsError> {
        *self.configs.write() = Configs::new(credentials)?;
        Ok(())
    }
}

#[async_trait]
impl Transport for TlsTransport {
    fn scheme(&self) -> &'static str {
        self.streams.scheme()
    }

    fn capabilities(&self) -> Capabilities {
        self.streams.capabilities()
    }

    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError> {
        self.streams.open(bind, acceptor).await
    }
}

#[derive(Debug)]
struct Tls {
    config: Arc<TcpConfig>,
    configs: Arc<RwLock<Configs>>,
    runtime: Handle,
}

#[async_trait]
impl Carrier for Tls {
    fn scheme(&self) -> &'static str {
        "tls"
    }

    fn describe(&self, capabilities: &mut Capabilities) {
        capabilities.crosses_processes = true;
        capabilities.encrypted = true;
        capabilities.peer_identity = true;
    }

    fn is_well_formed(&self, rest: &str) -> bool {
        host_of(rest).is_some()
    }

    async fn listen(&self, at: &Address) -> Result<(Box<dyn Listener>, Address), OpenError> {
        let (listener, bound) = socket::listen(at, &self.config).await?;
        let listening =
            Listening { listener, config: self.config.clone(), configs: self.configs.clone() };
        Ok((Box::new(listening), bound))
    }

    async fn dial(&self, _from: &Address, peer: &Address) -> Result<Stream, ConnectError> {
        let host = host_of(peer.rest()).ok_or(ConnectErrorKind::BadAddress)?.to_owned();
        let socket = socket::dial(peer, &self.config, &self.runtime).await?;
        let config = self.configs.read().client.clone();
        let failed = |error| ConnectError::because(handshake_failure(&error), error);
        handshake::connect(config, host, socket).await.map_err(failed)
    }

    /// The certificate of each must be one for the name: that stays with the address.
    async fn resolve(&self, peer: &Address) -> Result<Vec<Address>, ConnectError> {
        socket::resolve(peer, |host, at| format!("{host}@{at}")).await
    }
}

/// For whom the certificate of the peer at `rest` must be.
fn host_of(rest: &str) -> Option<ServerName<'_>> {
    let host = pinned(rest).map(|(host, _)| host).or_else(|| Some(host_port(rest)?.0))?;
    ServerName::try_from(host).ok()
}

struct Listening {
    listener: TcpListener,
    config: Arc<TcpConfig>,
    configs: Arc<RwLock<Configs>>,
}

#[async_trait]
impl Listener for Listening {
    async fn accept(&mut self) -> io::Result<Arrival> {
        let (socket, from) = self.listener.accept().await?;
        let prepared = socket::prepare(&socket, &self.config);
        let config = self.configs.read().server.clone();
        let handshake = async move {
            prepared?;
            handshake::accept(config, socket).await
        };
        Ok(Arrival { from: from.to_string(), stream: Box::pin(handshake) })
    }
}

/// A certificate and those that vouch for it.
type Chain = Vec<CertificateDer<'static>>;
