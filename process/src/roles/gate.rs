//! What a peer asks for and may not do is not done, and it is told (P9). What is allowed is in
//! `roles.rs`.

use std::sync::Arc;

use midflight_message::NodeId;

use crate::ExitReason;
use crate::mailbox::envelope::{CallRef, Refusal, encoded_weight};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::ask::Answer;
use crate::peer::wire::{Place, Signal};
use crate::roles::{NotAllowed, Role, Roles, for_signal};

/// A peer may do something else than before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Regranted {
    before: Roles,
    now: Roles,
}

impl Peer {
    pub(crate) fn say_regranted(&self, regranted: Option<Regranted>) {
        if let Some(Regranted { before, now }) = regranted {
            tracing::info!(peer = %self.name, %before, roles = %now, "other roles");
        }
    }
}

impl Node {
    /// Whether a node may do something on this one. This node may do everything here; one that there
    /// is no link to, nothing. For processes that act for others, such as one that takes code.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn may(&self, asker: NodeId, role: Role) -> Result<(), NotAllowed> {
        self.inner.may(asker, role)
    }
}

impl Inner {
    /// See [`Node::may`].
    pub(crate) fn may(&self, asker: NodeId, role: Role) -> Result<(), NotAllowed> {
        if asker == self.id {
            return Ok(());
        }
        let peer = self.peer(asker);
        peer.map_or(Err(NotAllowed { role, link: false }), |peer| peer.granted.check(role))
    }

    /// Looks up again what the peer of a link may do, and says so where that has changed; answers
    /// whether it has. Called with no lock in hand.
    pub(crate) fn judge(&self, peer: &Peer) -> bool {
        let regranted = self.regrant(peer);
        peer.say_regranted(regranted);
        regranted.is_some()
    }

    /// As [`Inner::judge`], in silence; answers what it might do before, where that has changed.
    pub(crate) fn regrant(&self, peer: &Peer) -> Option<Regranted> {
        let name = peer.link.peer().identity.as_deref().unwrap_or(&peer.name);
        // Held until it has them: of two tables at once, the last to come is the one that counts.
        let access = self.access.read();
        let now = access.table.of(name);
        let before = peer.granted.replace(now);
        (before != now).then_some(Regranted { before, now })
    }

    /// Answers whether a peer may say this; one that may not is told.
    pub(crate) fn lets_signal(self: &Arc<Self>, peer: &Arc<Peer>, signal: &Signal) -> bool {
        let Some(Err(no)) = for_signal(signal).map(|role| peer.granted.check(role)) else {
            return true;
        };
        tracing::warn!(peer = %peer.name, role = %no.role, "not allowed");
        match *signal {
            Signal::Exit { to, from, .. } | Signal::Kill { to, from, .. } => {
                self.undelivered(peer, to, from, no);
            }
            Signal::Link { to, from } => {
                let reason = ExitReason::NotAllowed(no);
                self.signal_pair(peer, to, from, Signal::LinkEnded { to: from, from: to, reason });
            }
            Signal::Ask { request, .. } => {
                self.signal(peer, &Signal::Answer { request, answer: Answer::NotAllowed(no) });
            }
            _ => {}
        }
        false
    }

    /// A peer may not send messages: its process is told in this one's place, and has its credit back.
    pub(crate) fn refuse_message(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        to: Place,
        from: Place,
        len: usize,
        no: NotAllowed,
    ) {
        self.undelivered(peer, to, from, no);
        let bytes = encoded_weight(len);
        self.signal(peer, &Signal::Credit { process: to, messages: 1, bytes });
    }

    /// As [`Inner::refuse_message`], for a call.
    pub(crate) fn refuse_call(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        (to, from): (Place, Place),
        len: usize,
        call: CallRef,
        no: NotAllowed,
    ) {
        let refusal = Refusal::NotAllowed(no);
        self.signal_pair(peer, to, from, Signal::Refuse { to: from, from: to, call, refusal });
        let bytes = encoded_weight(len);
        self.signal(peer, &Signal::Credit { process: to, messages: 1, bytes });
    }

    fn undelivered(self: &Arc<Self>, peer: &Arc<Peer>, to: Place, from: Place, no: NotAllowed) {
        let refusal = Refusal::NotAllowed(no);
        self.signal_pair(peer, to, from, Signal::Undelivered { to: from, from: to, refusal });
    }
}
