//! Bare TCP.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use midflight_runtime::Handle;
use midflight_transport_api::{
    Address, Bind, Capabilities, ConnectError, EndPoint, LinkAcceptor, OpenError, Transport,
};
use midflight_transport_stream::{Arrival, Carrier, Listener, Stream, StreamTransport};
use tokio::net::{TcpListener, TcpStream};

use crate::address::host_port;
use crate::{TcpConfig, socket};

/// The transport over TCP. Addresses are `tcp:HOST:PORT`, with IPv6 in brackets.
///
/// Bytes are not encrypted and a peer's address is what it claims: the layer above authenticates.
#[derive(Debug, Clone)]
pub struct TcpTransport(StreamTransport);

impl TcpTransport {
    /// A transport with these settings, whose tasks run on `runtime` (which must be tokio's).
    #[must_use]
    pub fn new(config: TcpConfig, runtime: Handle) -> Self {
        let links = config.links.clone();
        let carrier = Sockets { config: Arc::new(config), runtime: runtime.clone() };
        Self(StreamTransport::new(carrier, links, runtime))
    }
}

#[async_trait]
impl Transport for TcpTransport {
    fn scheme(&self) -> &'static str {
        self.0.scheme()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError> {
        self.0.open(bind, acceptor).await
    }
}

#[derive(Debug)]
struct Sockets {
    config: Arc<TcpConfig>,
    runtime: Handle,
}

#[async_trait]
impl Carrier for Sockets {
    fn scheme(&self) -> &'static str {
        "tcp"
    }

    fn describe(&self, capabilities: &mut Capabilities) {
        capabilities.crosses_processes = true;
    }

    fn is_well_formed(&self, rest: &str) -> bool {
        host_port(rest).is_some()
    }

    async fn listen(&self, at: &Address) -> Result<(Box<dyn Listener>, Address), OpenError> {
        let (listener, bound) = socket::listen(at, &self.config).await?;
        Ok((Box::new(Listening { listener, config: self.config.clone() }), bound))
    }

    async fn dial(&self, _from: &Address, peer: &Address) -> Result<Stream, ConnectError> {
        Ok(stream(socket::dial(peer, &self.config, &self.runtime).await?))
    }

    async fn resolve(&self, peer: &Address) -> Result<Vec<Address>, ConnectError> {
        socket::resolve(peer, |_host, at| at.to_string()).await
    }
}

struct Listening {
    listener: TcpListener,
    config: Arc<TcpConfig>,
}

#[async_trait]
impl Listener for Listening {
    async fn accept(&mut self) -> io::Result<Arrival> {
        let (accepted, from) = self.listener.accept().await?;
        let prepared = socket::prepare(&accepted, &self.config);
        let stream = async move { prepared.map(|()| stream(accepted)) };
        Ok(Arrival { from: from.to_string(), stream: Box::pin(stream) })
    }
}

fn stream(socket: TcpStream) -> Stream {
    let (read, write) = socket.into_split();
    Stream::new(read, write)
}
