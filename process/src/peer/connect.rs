//! Making and cutting links to other nodes.

use midflight_message::NodeId;
use midflight_runtime::timeout;
use midflight_transport_api::{Address, ConnectError, EndPoint};
use std::time::Duration;

use crate::node::Node;
use crate::peer::handshake::{Refused, Versions};

/// No link to a node could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The transport could not reach it.
    #[error("{address}: {source}")]
    Unreachable {
        /// What was dialled.
        address: String,
        /// Why.
        source: ConnectError,
    },
    /// One of the two nodes refused the other.
    #[error("{address}: {reason}")]
    Refused {
        /// What was dialled.
        address: String,
        /// Why.
        reason: String,
    },
    /// The two nodes speak no common version of the nodes' protocol: the one that is behind must be updated.
    #[error(
        "{address}: no common node protocol: this node speaks {} to {}, the other {} to {}: update the \
         one that is behind",
        ours.0, ours.1, theirs.0, theirs.1
    )]
    NoCommonProtocol {
        /// What was dialled.
        address: String,
        /// Lowest and highest version spoken here.
        ours: (u16, u16),
        /// Lowest and highest version spoken there.
        theirs: (u16, u16),
    },
    /// No answer in time.
    #[error("{address}: no answer within {after:?}")]
    TimedOut {
        /// What was dialled.
        address: String,
        /// The limit.
        after: Duration,
    },
    /// Nothing is known of the node, or it cannot be dialled.
    #[error("node {0} is not a member that can be dialled")]
    Unknown(NodeId),
    /// The member's address is not one.
    #[error("`{0}` is no address")]
    BadAddress(String),
    /// This node is closed.
    #[error("this node is closed")]
    Closed,
}

impl JoinError {
    fn refused(address: &Address, refused: Refused) -> Self {
        let address = address.to_string();
        match refused.versions {
            Some(Versions { ours, theirs }) => Self::NoCommonProtocol { address, ours, theirs },
            None => Self::Refused { address, reason: refused.reason },
        }
    }

    /// Whether somebody is there and says no.
    pub(crate) const fn says_no(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NoCommonProtocol { .. })
    }
}

impl Node {
    /// Makes a link to the node at `address`, with both nodes' handshake. Where there is a link
    /// already, answers its node.
    ///
    /// # Errors
    /// See [`JoinError`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the link.
    pub async fn connect(&self, address: &Address) -> Result<NodeId, JoinError> {
        let inner = &self.inner;
        let end_point = inner.end_point.get().ok_or(JoinError::Closed)?;
        let after = inner.limits.connect_timeout;
        let connecting = async {
            let reached = self.reach(&**end_point, address).await?;
            if inner.keeps(reached).await {
                return Ok(reached);
            }
            // It was closed for being idle, or lost, at that very moment.
            self.reach(&**end_point, address).await
        };
        timeout(&*inner.runtime, after, connecting)
            .await
            .map_err(|_elapsed| JoinError::TimedOut { address: address.to_string(), after })?
    }

    /// Makes the transport's link, and waits for the nodes' handshake on it.
    async fn reach(
        &self,
        end_point: &dyn EndPoint,
        address: &Address,
    ) -> Result<NodeId, JoinError> {
        let unreachable = |source| JoinError::Unreachable { address: address.to_string(), source };
        let link = end_point.connect(address).await.map_err(unreachable)?;
        let state = self.inner.links.lock().get(link.id());
        let refused = |refused: Refused| JoinError::refused(address, refused);
        let state = state.ok_or_else(|| refused("the link was lost at once".into()))?;
        let outcome = state.outcome().await;
        outcome.unwrap_or_else(|_gone| Err("the link was lost".into())).map_err(refused)
    }

    /// Makes a link to a member.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub async fn connect_node(&self, node: NodeId) -> Result<(), JoinError> {
        let after = self.inner.limits.connect_timeout;
        let kept = timeout(&*self.inner.runtime, after, self.inner.keeps(node)).await;
        let too_late = |_elapsed| JoinError::TimedOut { address: node.to_string(), after };
        if node == self.inner.id || kept.map_err(too_late)? {
            return Ok(());
        }
        if self.inner.gossip.kernel.lock().get(node).is_none() {
            // It may be on the other side of a handshake that is under way.
            self.finish_handshakes().await;
            if self.inner.peer(node).is_some() {
                return Ok(());
            }
        }
        let address = self.inner.gossip.kernel.lock().get(node).and_then(|m| m.address);
        let address = address.ok_or(JoinError::Unknown(node))?;
        let address: Address =
            address.parse().map_err(|_says_the_same| JoinError::BadAddress(address))?;
        let reached = self.connect(&address).await?;
        // Another incarnation answers at that address: the one that was meant is gone.
        if reached == node { Ok(()) } else { Err(JoinError::Unknown(node)) }
    }

    /// Waits for every handshake that is under way now; each has a deadline of its own.
    async fn finish_handshakes(&self) {
        let links = self.inner.links.lock().living();
        for link in links {
            // However it ended: the caller looks at what there is.
            let _ = link.outcome().await;
        }
    }

    /// Cuts the link to a node at once. Both sides are told. Answers whether there was one.
    pub fn disconnect(&self, node: NodeId) -> bool {
        let peer = self.inner.peers.read().get(&node).cloned();
        match peer {
            Some(peer) => {
                peer.link.abort("disconnected by the node's owner");
                true
            }
            None => false,
        }
    }
}
