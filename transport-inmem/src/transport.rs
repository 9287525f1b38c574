//! Opens endpoints on a hub.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use midflight_runtime::Handle;
use midflight_transport_api::{
    Bind, Capabilities, EndPoint, Limits, LinkAcceptor, OpenError, Transport,
};
use midflight_transport_stream::{LinkConfig, StreamTransport};

use crate::Hub;
use crate::carrier::{Memory, SCHEME};

/// A transport on a [`Hub`]; made by [`Hub::transport`].
#[derive(Debug, Clone)]
pub struct InMemory {
    hub: Hub,
    runtime: Handle,
    links: LinkConfig,
}

impl InMemory {
    pub(crate) fn new(hub: Hub, runtime: Handle) -> Self {
        Self { hub, runtime, links: LinkConfig::default() }
    }

    /// Sets what links are like: heartbeat, deadlines, bounds.
    #[must_use]
    pub fn links(mut self, links: LinkConfig) -> Self {
        self.links = links;
        self
    }

    /// Calls a peer lost that has been silent for `bound` (default: 10 s).
    #[must_use]
    pub const fn heartbeat(mut self, bound: Duration) -> Self {
        self.links.heartbeat = bound;
        self
    }

    /// Bounds what one link holds and the longest message.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.links.limits = limits;
        self
    }

    fn streams(&self) -> StreamTransport {
        let carrier = Memory::new(self.hub.clone(), self.runtime.clone());
        StreamTransport::new(carrier, self.links.clone(), self.runtime.clone())
    }
}

#[async_trait]
impl Transport for InMemory {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        self.streams().capabilities()
    }

    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError> {
        self.streams().open(bind, acceptor).await
    }
}
