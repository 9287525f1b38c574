//! A node in this program's own process, on a network in memory.

use std::path::Path;

use midflight_dsu::signature::PublicKey;
use midflight_dsu::switch::SwitchLimits;
use midflight_process::Node;
use midflight_runtime::{Handle, timeout};
use midflight_transport_api::{Address, Transport};

use super::ENDED_WITHIN;
use crate::error::Error;
use crate::host::{self, DataFolder};

/// A node beside this program's own.
#[derive(Debug)]
pub(crate) struct LocalNode {
    node: Node,
    /// Locked for as long as the node is there.
    data: DataFolder,
}

impl LocalNode {
    /// Starts a node, which joins the one at `seed`. Answers where it is.
    pub(crate) async fn start(
        transport: &dyn Transport,
        runtime: &Handle,
        name: &str,
        seed: Option<&Address>,
        folder: &Path,
        trusted: PublicKey,
    ) -> Result<(Self, Address), Error> {
        let data = host::prepared(&folder.join(name))?;
        let address = Address::new(transport.scheme(), name)
            .map_err(|_too_long| Error::BadAddress { address: name.to_owned() })?;
        let node = Node::builder(name)
            .listen(address.clone())
            .start(transport, runtime.clone())
            .await
            .map_err(|source| Error::Start { listen: address.to_string(), source })?;
        let node = Self { node, data };
        let trusted = std::iter::once(trusted).collect();
        host::serve_code(&node.node, node.data.path.clone(), trusted, SwitchLimits::default())?;
        if let Some(seed) = seed {
            let joined = node.node.connect(seed).await;
            joined.map_err(|source| Error::Join { node: seed.to_string(), source })?;
            node.node.join(vec![seed.clone()]);
        }
        Ok((node, address))
    }

    /// Ends it politely.
    pub(crate) async fn stop(self, runtime: &Handle, name: &str) {
        if timeout(&**runtime, ENDED_WITHIN, self.node.shutdown()).await.is_err() {
            tracing::debug!(node = name, "a node did not end in time");
        }
    }
}
