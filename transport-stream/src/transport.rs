//! Opens endpoints.

use std::sync::Arc;

use async_trait::async_trait;
use midflight_runtime::{Handle, spawn};
use midflight_transport_api::{
    Address, Bind, Capabilities, EndPoint, LinkAcceptor, OpenError, OpenErrorKind, Transport,
};

use crate::endpoint::StreamEndPoint;
use crate::shared::Shared;
use crate::{Carrier, LinkConfig, accept};

/// A transport over the streams of a [`Carrier`].
#[derive(Debug, Clone)]
pub struct StreamTransport {
    carrier: Arc<dyn Carrier>,
    config: LinkConfig,
    runtime: Handle,
}

impl StreamTransport {
    /// A transport with these settings, whose tasks run on `runtime`.
    pub fn new(carrier: impl Carrier, config: LinkConfig, runtime: Handle) -> Self {
        Self { carrier: Arc::new(carrier), config, runtime }
    }
}

#[async_trait]
impl Transport for StreamTransport {
    fn scheme(&self) -> &'static str {
        self.carrier.scheme()
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(&*self.carrier, &self.config)
    }

    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError> {
        let mut nonce = [0; 16];
        self.runtime.fill_random(&mut nonce);
        let (address, listener) = match bind {
            Bind::Listen { listen, advertise } => {
                for address in [Some(&listen), advertise.as_ref()].into_iter().flatten() {
                    if !is_dialable(&*self.carrier, address) {
                        let text = format!("{address} is no address of {}", self.scheme());
                        return Err(OpenError::because(OpenErrorKind::BadAddress, text));
                    }
                }
                let (listener, bound) = self.carrier.listen(&listen).await?;
                (advertise.unwrap_or(bound), Some(listener))
            }
            _ => {
                let made_up = format!("~{:032x}", u128::from_le_bytes(nonce));
                let address = Address::new(self.scheme(), &made_up)
                    .map_err(|e| OpenError::because(OpenErrorKind::BadAddress, e))?;
                (address, None)
            }
        };
        let shared = Shared::new(
            address,
            nonce,
            self.carrier.clone(),
            self.config.clone(),
            self.runtime.clone(),
            acceptor,
        );
        let accepting = listener
            .map(|listener| spawn(&self.runtime, "accept", accept::run(shared.clone(), listener)));
        Ok(Arc::new(StreamEndPoint::new(shared, accepting)))
    }
}

pub(crate) fn capabilities(carrier: &dyn Carrier, config: &LinkConfig) -> Capabilities {
    let mut capabilities = Capabilities::new(config.limits.max_message);
    carrier.describe(&mut capabilities);
    capabilities
}

/// Whether `address` can be listened at or dialled.
pub(crate) fn is_dialable(carrier: &dyn Carrier, address: &Address) -> bool {
    address.scheme() == carrier.scheme()
        && !address.rest().starts_with('~')
        && carrier.is_well_formed(address.rest())
}
