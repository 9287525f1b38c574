//! Whether a peer that has proven who it is becomes one, and what it may do.

use std::sync::Arc;

use midflight_message::NodeId;
use midflight_transport_api::{ConnectionId, Link};
use rustc_hash::FxHashMap;

use crate::membership::Card;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::texts::SIGNAL_MAX;
use crate::peer::wire::Hello;

/// Why a peer does not become one, and whether it is told.
#[derive(Debug)]
pub(crate) struct NotAdmitted {
    pub(crate) why: String,
    pub(crate) tell: bool,
}

fn refuse<T>(why: impl Into<String>) -> Result<T, NotAdmitted> {
    Err(NotAdmitted { why: why.into(), tell: true })
}

impl Inner {
    /// Makes a peer of who presents itself as `hello` on `link`.
    pub(crate) fn admit(
        &self,
        link: &Arc<dyn Link>,
        control: Option<ConnectionId>,
        hello: Hello,
    ) -> Result<Peer, NotAdmitted> {
        let name = &hello.member.name;
        let identity = link.peer().identity.as_deref();
        if self.proven_names && identity != Some(name) {
            let proven = identity.unwrap_or("nobody");
            return refuse(format!(
                "the peer calls itself `{name}`, and is proven to be `{proven}`"
            ));
        }
        self.has_place(&self.peers.read(), hello.member.id)?;
        if self.is_another(&hello.member) {
            return refuse("that incarnation is another node's");
        }
        if self.is_taken(&hello.member) {
            return refuse(format!(
                "another node called `{name}` is in the cluster: give yours another name"
            ));
        }
        let lanes: Result<Vec<_>, _> = (0..self.limits.lanes).map(|_| link.open()).collect();
        let (Some(control), Ok(lanes)) = (control, lanes) else {
            return Err(NotAdmitted { why: "no connections left on the link".into(), tell: false });
        };
        let Some(number) = self.numbers.keep(hello.member.id) else {
            return refuse("this node has as many peers as it may");
        };
        if number.unhandled().is_over(self.limits.peer_bytes) {
            return refuse(
                "what it sent over links of before lies here unhandled, and is more than may",
            );
        }
        let Some(end_point) = self.end_point.get() else {
            return refuse("this node is not open");
        };
        let granted = self.access.read().granted(name, &**link, &end_point.capabilities());
        let peer = Peer::new(number, hello, granted, link.clone(), control, lanes);
        let max = peer.message_max;
        if max < SIGNAL_MAX {
            return refuse(format!(
                "the link takes messages of {max} bytes, nodes need {SIGNAL_MAX}"
            ));
        }
        Ok(peer)
    }

    /// Whether a node may become a peer beside these.
    pub(crate) fn has_place(
        &self,
        peers: &FxHashMap<NodeId, Arc<Peer>>,
        id: NodeId,
    ) -> Result<(), NotAdmitted> {
        if peers.contains_key(&id) {
            return refuse("this node has a link to that incarnation already");
        }
        if peers.len() >= self.limits.peers {
            return refuse("this node has as many peers as it may");
        }
        Ok(())
    }

    /// Whether the incarnation is known as a node of another name or place. What is sent to that one's
    /// processes would go to this one otherwise, whenever there is no link to that one.
    fn is_another(&self, card: &Card) -> bool {
        let known = self.gossip.kernel.lock().get(card.id);
        known.is_some_and(|known| known.name != card.name || known.address != card.address)
    }

    /// Whether a living member has this one's name: operators tell nodes apart by it.
    fn is_taken(&self, member: &Card) -> bool {
        let namesake = |id, name: &str| id != member.id && name == member.name;
        let peers = self.peers.read();
        let among_peers = peers.values().any(|p| p.address.is_some() && namesake(p.id, &p.name));
        member.address.is_some() && (among_peers || namesake(self.id, &self.name))
    }
}
