//! Opens endpoints on a hub.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use midflight_runtime::Handle;
use midflight_transport_api::{
    Address, Bind, Capabilities, EndPoint, Limits, LinkAcceptor, OpenError, OpenErrorKind,
    Transport,
};

use crate::Hub;
use crate::endpoint::{Local, MemoryEndPoint};

pub(crate) const SCHEME: &str = "mem";

/// A transport on a [`Hub`]; made by [`Hub::transport`].
#[derive(Clone)]
pub struct InMemory {
    hub: Hub,
    pub(crate) settings: Settings,
}

/// What the endpoints of one transport share.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) runtime: Handle,
    /// A peer that is silent for so long is lost.
    pub(crate) heartbeat: Duration,
    /// How long a connect waits for an answer.
    pub(crate) connect_deadline: Duration,
    /// How long a polite close may take.
    pub(crate) drain_deadline: Duration,
    pub(crate) limits: Limits,
}

impl InMemory {
    pub(crate) fn new(hub: Hub, runtime: Handle) -> Self {
        let settings = Settings {
            runtime,
            heartbeat: Duration::from_secs(10),
            connect_deadline: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(5),
            limits: Limits::default(),
        };
        Self { hub, settings }
    }

    /// Calls a peer lost that has been silent for `bound` (default: 10 s).
    #[must_use]
    pub const fn heartbeat(mut self, bound: Duration) -> Self {
        self.settings.heartbeat = bound;
        self
    }

    /// Bounds what one link holds and the longest message.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }
}

#[async_trait]
impl Transport for InMemory {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capabilities(&self) -> Capabilities {
        // Nobody else can read the memory, but nothing is encrypted either.
        Capabilities::new(self.settings.limits.max_message)
    }

    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError> {
        let (address, reachable) = match bind {
            Bind::Listen { listen, advertise } => (advertise.unwrap_or(listen), true),
            _ => {
                let name = self.hub.with(|hub| hub.make_up());
                let address = Address::new(SCHEME, &name)
                    .map_err(|e| OpenError::because(OpenErrorKind::BadAddress, e))?;
                (address, false)
            }
        };
        if address.scheme() != SCHEME || (reachable && address.rest().starts_with('~')) {
            return Err(OpenErrorKind::BadAddress.into());
        }
        let local =
            Arc::new(Local::new(address.clone(), reachable, self.settings.clone(), acceptor));
        let taken = self.hub.with(|hub| {
            let taken = hub.endpoints.contains_key(&address);
            if !taken {
                hub.endpoints.insert(address, local.clone());
            }
            taken
        });
        if taken {
            return Err(OpenErrorKind::InUse.into());
        }
        Ok(Arc::new(MemoryEndPoint::new(self.hub.clone(), local)))
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").field("heartbeat", &self.settings.heartbeat).finish()
    }
}
