//! A peer comes and goes: who is told, and what ends with its link.

use std::sync::Arc;

use midflight_transport_api::{LinkLoss, LossKind};

use crate::ExitReason;
use crate::events::{EventKinds, Happened};
use crate::mailbox::envelope::{Envelope, Parcel, Refusal, Sender};
use crate::membership::Input;
use crate::metrics::count;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::pending::Waiting;
use crate::peer::wire::{Hello, PROTOCOL, Signal};
use crate::roles::admission::NotAdmitted;
use crate::send::account::Window;

impl Inner {
    /// How this node presents itself on a new link.
    pub(crate) fn hello(&self) -> Hello {
        let mut nonce = [0; 32];
        self.runtime.fill_random(&mut nonce);
        Hello {
            protocol: PROTOCOL,
            features: 0,
            cluster: self.cluster.clone(),
            member: self.gossip.kernel.lock().own().clone(),
            authenticated: self.secret.is_some(),
            nonce,
            window: Window::of(&self.limits),
        }
    }

    /// A peer is verified and welcomes us.
    pub(crate) fn peer_up(self: &Arc<Self>, peer: Arc<Peer>) -> Result<(), NotAdmitted> {
        {
            let mut peers = self.peers.write();
            // Others may have come in since it was verified, itself over another link among them.
            self.has_place(&peers, peer.id)?;
            peer.touch(self.runtime.now());
            // The table may have changed since it was admitted.
            self.regrant(&peer);
            peers.insert(peer.id, peer.clone());
        }
        tracing::info!(peer = %peer.name, id = %peer.id, "node up");
        count(&self.counts.links_made);
        let unhandled = peer.number.unhandled();
        let bytes = unhandled.begin();
        if bytes > 0 {
            self.signal(&peer, &Signal::Unhandled { bytes });
        }
        unhandled.set_linked(true);
        // Who cannot be dialled, such as an operator's program, is a peer and no member.
        if peer.address.is_some() {
            self.membership(Input::Met(&peer.card));
        }
        self.tell_observer(&peer);
        self.tell_code(&peer);
        self.groups_link_up(&peer);
        let (node, name) = (peer.id, || peer.name.clone());
        self.event(EventKinds::LINKS, || Happened::LinkUp { node, name: name() });
        Ok(())
    }

    /// A peer's link is lost, with everything that waited on it; or it is closed, as it was idle.
    pub(crate) fn peer_lost(self: &Arc<Self>, peer: &Arc<Peer>, loss: &LinkLoss) {
        {
            let mut peers = self.peers.write();
            if peers.get(&peer.id).is_some_and(|current| Arc::ptr_eq(current, peer)) {
                peers.remove(&peer.id);
            }
        }
        // Only now: as long as it is a peer, it may still be set aside.
        let aside = self.idle.take(peer);
        let by_agreement = aside.is_some() && loss.kind == LossKind::Closed;
        if by_agreement {
            tracing::debug!(peer = %peer.name, id = %peer.id, "idle link closed");
            count(&self.counts.links_idle);
        } else {
            tracing::info!(peer = %peer.name, id = %peer.id, %loss, "node down");
            count(&self.counts.links_lost);
        }
        peer.lost();
        self.event(EventKinds::LINKS, || Happened::LinkDown {
            node: peer.id,
            name: peer.name.clone(),
            reason: loss.to_string(),
        });
        peer.number.unhandled().set_linked(false);
        self.groups_link_down(peer);
        self.forget_dormant(peer.id);
        self.relocation.forget_ways(peer.id);
        self.end_waiting(peer, loss);
        if !by_agreement {
            self.look_after(peer, loss);
        }
        if peer.is_used() {
            self.forget_debts(peer.number.get());
        }
        if let Some(aside) = aside {
            aside.tell();
        }
    }

    /// Whoever waits for a word from a peer is told that none will come.
    fn end_waiting(self: &Arc<Self>, peer: &Arc<Peer>, loss: &LinkLoss) {
        let Waiting { calls, monitors, schemas, links, watched, node_monitors, workers, .. } =
            peer.pending.end();
        for fingerprint in schemas.into_asked() {
            self.types.wake(fingerprint);
        }
        self.end_remote_monitors(peer, monitors, loss);
        self.forget_watchers(peer, watched);
        self.end_remote_links(peer, links, loss);
        self.end_node_monitors(peer, node_monitors, loss);
        self.tell_senders(peer, loss);
        let from = Sender { node: peer.number.get(), index: 0, generation: 0 };
        let mut calls: Vec<_> = calls.into_iter().collect();
        calls.sort_unstable_by_key(|(call, _)| *call);
        for (call, caller) in calls {
            let reason = format!("the link to node {} was lost ({loss})", peer.name);
            let result = Err(Refusal::Aborted { reason });
            let parcel = Box::new(Parcel::Reply { call, result });
            let _ = self.deliver(caller, Envelope::Parcel { from, parcel }, None);
        }
        let mut workers: Vec<_> = workers.into_iter().collect();
        workers.sort_unstable();
        for worker in workers {
            let why = format!("the link to its caller's node {} was lost ({loss})", peer.name);
            self.end_process(worker, Sender::NOBODY, ExitReason::NoConnection(why));
        }
    }

    /// Nobody on the node of this number is owed credit any more.
    fn forget_debts(self: &Arc<Self>, number: u32) {
        let inner = self.clone();
        let work = move || {
            for (index, generation) in inner.table.pids() {
                let Some(slot) = inner.table.slot(index) else { continue };
                let mut slot = slot.lock();
                if slot.is(generation)
                    && let Some(rare) = &mut slot.rare
                {
                    rare.owed.retain(|owed| owed.node != number);
                }
            }
        };
        self.runtime.spawn_blocking("forget debts to a lost node", Box::new(work));
    }
}
