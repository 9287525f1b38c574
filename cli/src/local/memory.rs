//! A node in this program's own process, on a network in memory.

use std::time::Duration;

use midflight_dsu::switch::SwitchLimits;
use midflight_dsu::voting::VoterNames;
use midflight_process::Node;
use midflight_runtime::{Handle, timeout};
use midflight_transport_api::{Address, Transport};

use super::Plan;
use crate::error::Error;
use crate::host::{self, DataFolder};
use crate::trust;

/// A node beside this program's own.
#[derive(Debug)]
pub(crate) struct MemoryNode {
    node: Node,
    /// Locked for as long as the node is there.
    data: DataFolder,
}

impl MemoryNode {
    /// Starts a node, which joins the one at `seed`. Answers where it is.
    pub(crate) async fn start(
        transport: &dyn Transport,
        runtime: &Handle,
        name: &str,
        seed: Option<&Address>,
        plan: &Plan<'_>,
    ) -> Result<(Self, Address), Error> {
        let data = host::prepared(&plan.folder.join(name))?;
        let address = Address::new(transport.scheme(), name)
            .map_err(|_too_long| Error::BadAddress { address: name.to_owned() })?;
        let node = Node::builder(name)
            .listen(address.clone())
            .start(transport, runtime.clone())
            .await
            .map_err(|source| Error::Start { listen: address.to_string(), source })?;
        let node = Self { node, data };
        let trusted = trust::keys(plan.trusted, 1)?;
        host::serve_code(
            &node.node,
            node.data.path.clone(),
            trusted,
            SwitchLimits::default(),
            VoterNames::default(),
        )?;
        if let Some(seed) = seed {
            let joined = node.node.connect(seed).await;
            joined.map_err(|source| Error::Join { node: seed.to_string(), source })?;
            node.node.join(vec![seed.clone()]);
        }
        Ok((node, address))
    }

    /// Ends it politely.
    pub(crate) async fn stop(self, runtime: &Handle, within: Duration, name: &str) {
        if timeout(&**runtime, within, self.node.shutdown()).await.is_err() {
            tracing::debug!(node = name, "a node did not end in time");
        }
    }
}
