//! What code a node has, as it tells its peers: a hash, and words that only the layer above reads.

use std::sync::Arc;

use midflight_message::NodeId;

use crate::events::{EventKinds, Happened};
use crate::membership::Input;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::Signal;
use crate::roles::Role;

/// The longest words, in bytes.
const DETAILS_MAX: usize = 16 * 1_024;

/// What code a peer has, as it said last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCode {
    /// The peer.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// The words that it gave to [`Node::code_switched`], empty before it has; `None` when it has said
    /// nothing so far, takes too many words, or does not let this node inspect it.
    pub details: Option<Vec<u8>>,
}

impl Node {
    /// Code was switched on this node: whatever was resolved against it is resolved anew, here and
    /// at every peer. `catalogue` is a hash over the code the node has now, which all members come to
    /// know. Peers that may inspect this node are told `details` as well, of any form: see
    /// [`Node::peers_code`]. More than 16 KiB of them are not told, with a line in the log.
    pub fn code_switched(&self, catalogue: [u8; 32], details: Vec<u8>) {
        let inner = &self.inner;
        inner.membership(Input::Catalogue(catalogue));
        if details.len() <= DETAILS_MAX {
            *inner.code.lock() = Some(details);
        } else {
            tracing::warn!(bytes = details.len(), "what code there is takes too many words");
            *inner.code.lock() = None;
        }
        inner.types.forget_resolutions();
        inner.refused.switched();
        let mut peers: Vec<_> = inner.peers.read().values().cloned().collect();
        peers.sort_by_key(|peer| peer.id);
        for peer in peers {
            peer.switch_told();
            inner.signal(&peer, &Signal::CodeSwitched);
            inner.tell_code(&peer);
        }
    }

    /// What code the peers have that can run processes, by their ids.
    #[must_use]
    pub fn peers_code(&self) -> Vec<PeerCode> {
        let peers = self.inner.peers.read();
        let nodes = peers.values().filter(|peer| peer.address.is_some());
        let code = nodes.map(|peer| PeerCode {
            id: peer.id,
            name: peer.name.clone(),
            details: peer.code.lock().clone(),
        });
        let mut all: Vec<_> = code.collect();
        all.sort_by_key(|code| code.id);
        all
    }
}

impl Inner {
    /// Tells a peer what code there is here. Said behind the handshake, so that a stranger hears none of it.
    pub(crate) fn tell_code(self: &Arc<Self>, peer: &Arc<Peer>) {
        if peer.granted.check(Role::Inspect).is_ok() {
            let details = self.code.lock().clone();
            self.signal(peer, &Signal::Code { details });
        }
    }

    /// A peer has said what code it has.
    pub(crate) fn code_told(&self, peer: &Peer, details: Option<Vec<u8>>) {
        *peer.code.lock() = details.filter(|details| details.len() <= DETAILS_MAX);
        // Of one that only dials, as operators do, there is nothing to tell.
        if peer.address.is_some() {
            self.event(EventKinds::CODE, || Happened::CodeTold { node: peer.id });
        }
    }
}
