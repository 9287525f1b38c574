//! Members are dialled: one whose link was lost, since a dial may tell at once that it is gone; one that
//! gossip is for; all, when somebody wants to know who lives.

use std::sync::Arc;
use std::time::Duration;

use midflight_message::NodeId;
use midflight_runtime::spawn;
use midflight_transport_api::{ConnectErrorKind, LinkLoss, LossKind};

use crate::membership::Input;
use crate::membership::member::{Member, MemberState};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::connect::JoinError;

/// Before the dial: a link that was just lost is often lost on both ends of a restart.
const PAUSE: Duration = Duration::from_millis(250);

impl Inner {
    /// Sees to a member whose link was lost. One that was cut on purpose is left to the gossip.
    pub(crate) fn look_after(self: &Arc<Self>, peer: &Peer, loss: &LinkLoss) {
        // One that nobody can dial comes back by itself or never.
        if peer.address.is_none() || loss.kind == LossKind::Cut || self.is_leaving() {
            return;
        }
        let known = self.gossip.kernel.lock().get(peer.id);
        if known.is_some_and(|member| member.state == MemberState::Left) {
            return;
        }
        let (node, id) = (Node { inner: self.clone() }, peer.id);
        spawn(&self.runtime, "look after a lost member", async move {
            node.inner.runtime.sleep(PAUSE).await;
            if !node.inner.is_leaving() {
                node.find_again(id).await;
            }
        });
    }
}

impl Node {
    /// Dials a member. Answers whether it is known to be gone; then it is down.
    pub(crate) async fn find_again(&self, id: NodeId) -> bool {
        let gone = match self.connect_node(id).await {
            // Nobody listens at its address, or another incarnation does.
            Err(JoinError::Unknown(_)) => true,
            Err(JoinError::Unreachable { source, .. }) => {
                *source.kind() == ConnectErrorKind::NotFound
            }
            _ => false,
        };
        if gone {
            tracing::info!(%id, "member gone");
            self.inner.membership(Input::Gone(id));
        }
        gone
    }

    /// The members that can run processes and be dialled, each dialled where there is no link:
    /// those known to be gone are left out; the others are in, reached or not, and those behind a cut
    /// among them.
    pub async fn living_members(&self) -> Vec<Member> {
        let members = self.members().into_iter().filter(|member| member.address.is_some());
        let dialled = members.map(|member| async move {
            let linked = member.id == self.id() || self.inner.peer(member.id).is_some();
            let gone = !linked && self.find_again(member.id).await;
            (!gone).then_some(member.id)
        });
        let living = futures_util::future::join_all(dialled).await;
        let mut members = self.members();
        members.retain(|member| living.contains(&Some(member.id)));
        members
    }
}
