//! The endpoint's handle.

use std::sync::Arc;

use async_trait::async_trait;
use midflight_runtime::{Task, spawn, timeout};
use midflight_transport_api::{
    Address, Capabilities, ConnectError, ConnectErrorKind, EndPoint, Link, LinkLoss, LossKind,
};

use crate::shared::Shared;
use crate::table::Connect;
use crate::{dial, transport};

/// An endpoint; dropping it cuts its links and stops listening.
#[derive(Debug)]
pub(crate) struct StreamEndPoint {
    shared: Arc<Shared>,
    accepting: Option<Task>,
}

impl StreamEndPoint {
    pub(crate) const fn new(shared: Arc<Shared>, accepting: Option<Task>) -> Self {
        Self { shared, accepting }
    }

    async fn find(&self, peer: &Address) -> Result<Arc<dyn Link>, ConnectError> {
        let dialable = transport::is_dialable(&*self.shared.carrier, peer);
        let found = self.shared.until(|links| {
            if !dialable && links.link(peer).is_none() {
                return Some(Err(ConnectErrorKind::BadAddress));
            }
            let found = links.connect(peer, Arc::default);
            (!matches!(found, Connect::Wait)).then_some(Ok(found))
        });
        let shared_dial = match found.await? {
            Connect::Use(link) => return Ok(link),
            Connect::Join(dial) => dial,
            Connect::Dial(ticket, result) => {
                let run = dial::run(self.shared.clone(), peer.clone(), ticket, result.clone());
                spawn(&self.shared.runtime, "dial", run);
                result
            }
            Connect::TooMany => return Err(ConnectErrorKind::TooMany.into()),
            Connect::Wait | Connect::Closed => return Err(ConnectErrorKind::Closed.into()),
        };
        let link = self.shared.until(|_| shared_dial.get().cloned()).await?;
        Ok(link)
    }

    fn leave(&self) {
        self.shared.change(|links| links.close());
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
        self.shared.half_open.end();
    }
}

#[async_trait]
impl EndPoint for StreamEndPoint {
    fn address(&self) -> &Address {
        &self.shared.address
    }

    fn capabilities(&self) -> Capabilities {
        transport::capabilities(&*self.shared.carrier, &self.shared.config)
    }

    async fn connect(&self, peer: &Address) -> Result<Arc<dyn Link>, ConnectError> {
        if *peer == self.shared.address {
            return Err(ConnectError::because(
                ConnectErrorKind::BadAddress,
                "it is the endpoint's own",
            ));
        }
        // A dial has its own deadline; before it, the loss of an old link may have to be told.
        let deadline = self.shared.config.handshake_deadline * 2;
        timeout(&*self.shared.runtime, deadline, self.find(peer))
            .await
            .unwrap_or_else(|_elapsed| Err(ConnectErrorKind::TimedOut.into()))
    }

    async fn resolve(&self, peer: &Address) -> Result<Vec<Address>, ConnectError> {
        let carrier = &self.shared.carrier;
        if !transport::is_dialable(&**carrier, peer) {
            return Err(ConnectErrorKind::BadAddress.into());
        }
        carrier.resolve(peer).await
    }

    fn break_link(&self, peer: &Address) -> bool {
        let link = self.shared.look(|links| links.link(peer));
        link.is_some_and(|link| {
            link.outbox.fail(LinkLoss::new(LossKind::Cut, "broken on purpose by this side"))
        })
    }

    async fn close(&self) {
        self.leave();
        if let Some(accepting) = &self.accepting {
            accepting.ended().await;
        }
        // One may have come in before that.
        self.shared.half_open.end();
        for link in self.shared.look(|links| links.links()) {
            link.close();
        }
        // Each drains or is cut within its deadline, and so does its stream.
        self.shared.until(|links| links.is_at_rest().then_some(())).await;
    }
}

impl Drop for StreamEndPoint {
    fn drop(&mut self) {
        self.leave();
        for link in self.shared.look(|links| links.links()) {
            link.outbox.fail(LinkLoss::new(LossKind::Cut, "the endpoint was dropped"));
        }
    }
}
