//! What becomes of a member whose link was lost: it is dialled again, and forgotten once it is
//! known to be gone.

use std::sync::Arc;
use std::time::Duration;

use midflight_message::NodeId;
use midflight_runtime::spawn;
use midflight_transport_api::{ConnectErrorKind, LinkLoss, LossKind};

use crate::connect::JoinError;
use crate::inner::Inner;
use crate::node::Node;
use crate::peer::Peer;

/// Before the first dial: a link that was just lost is often lost on both ends of a restart.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause between two dials.
const PAUSE_MAX: Duration = Duration::from_secs(10);

impl Inner {
    /// Sees to a member whose link was lost. One that was cut on purpose is left alone.
    pub(crate) fn look_after(self: &Arc<Self>, peer: &Peer, loss: &LinkLoss) {
        if peer.address.is_none() {
            // Nobody can dial it: it comes back by itself or never.
            return self.membership.lock().forget(peer.id);
        }
        if loss.kind == LossKind::Cut || self.is_closing() {
            return;
        }
        let (node, id) = (Node { inner: self.clone() }, peer.id);
        spawn(&self.runtime, "look after a lost member", async move {
            let mut pause = PAUSE_FIRST;
            while !node.inner.is_closing() {
                node.inner.runtime.sleep(pause).await;
                if node.find_again(id).await {
                    return;
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        });
    }
}

impl Node {
    /// Dials a member. Answers true when it is linked again, or known to be gone and forgotten.
    pub(crate) async fn find_again(&self, id: NodeId) -> bool {
        let gone = match self.connect_node(id).await {
            Ok(()) => return true,
            // Nobody listens at its address, or another incarnation does.
            Err(JoinError::Unknown(_)) => true,
            Err(JoinError::Unreachable { source, .. }) => {
                *source.kind() == ConnectErrorKind::NotFound
            }
            Err(_) => false,
        };
        if gone {
            tracing::info!(%id, "member gone");
            self.inner.membership.lock().forget(id);
        }
        gone
    }

    /// The members that can run processes and be dialled, each dialled where there is no link:
    /// those known to be gone are forgotten and left out; the others are in, reached or not.
    pub async fn living_members(&self) -> Vec<crate::Member> {
        let members = self.members().into_iter().filter(|member| member.address.is_some());
        let dialled = members.map(|member| async move {
            let linked = member.id == self.id() || self.inner.peer(member.id).is_some();
            if !linked {
                self.find_again(member.id).await;
            }
        });
        futures_util::future::join_all(dialled).await;
        let members = self.members().into_iter();
        members.filter(|member| member.address.is_some()).collect()
    }
}
