//! At most once, and loss is told (P3): when a link between nodes is lost, every process that had sent
//! messages on it learns that, and sends no more to that node until it has accepted it.

pub(crate) mod senders;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use midflight_message::{Message, NodeId};
use midflight_transport_api::LinkLoss;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::mailbox::envelope::Sender;
use crate::mailbox::value::Value;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::Place;
use crate::reconnect::senders::Sent;
use crate::table::slot::Slot;
use crate::{MemberState, ReconnectPolicy};

/// The link to a node was lost, on which this process had sent messages: some of them, the last ones, may
/// not have arrived, and nobody knows how many. Sending there fails until the process has called
/// [`Context::reconnect`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.Disconnected", version = 1)]
pub struct Disconnected {
    /// The node.
    pub node: NodeId,
    /// Why, in words.
    pub reason: String,
}

/// Why a process may not send to a node now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MayNot {
    /// It has not accepted a loss.
    Disconnected,
    /// The link was lost a moment ago.
    NotConnected,
}

impl Context {
    /// Accepts that messages to the processes of a node may be lost, as a
    /// [`Disconnected`] has said: what is sent from now on goes over the next link.
    /// Takes a node or a pid of one. Answers whether there was a loss to be accepted.
    pub fn reconnect(&self, to: impl Into<NodeId>) -> bool {
        let node = to.into();
        let inner = &self.node.inner;
        inner.relations_of(self.place, |r| r.losses.accept(node)).unwrap_or_default()
    }

    /// Says what becomes of sending when a link is lost (until this is called,
    /// [`ReconnectPolicy::Ask`]). Answers what was said before. Accepting holds for losses of which the
    /// process was told before, too.
    #[expect(clippy::must_use_candidate, reason = "few ask what was said before")]
    pub fn reconnect_policy(&self, policy: ReconnectPolicy) -> ReconnectPolicy {
        let set = |relations: &mut crate::relations::Relations| relations.losses.set_policy(policy);
        self.node.inner.relate(self.place, set).unwrap_or_default()
    }
}

impl Node {
    /// How often a process lost a link on which it had sent, and was not told, because its policy accepts
    /// that or it is a behaviour.
    #[must_use]
    pub fn accepted_losses(&self) -> u64 {
        self.inner.accepted_losses.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// Enters a process that sends a message (with `call`: calls) for the first time on a link.
    #[cold]
    pub(crate) fn first_send(&self, from: Place, peer: &Peer, call: bool) -> Result<(), MayNot> {
        if from == Place::NOBODY {
            return Ok(());
        }
        if self.has_lost(from, peer.id) {
            return Err(MayNot::Disconnected);
        }
        let sent = if call { Sent::Calls } else { Sent::Messages };
        match peer.senders.enter(from, sent, || peer.is_lost()) {
            true => Ok(()),
            false => Err(MayNot::NotConnected),
        }
    }

    /// As [`Inner::first_send`], of a behaviour: it accepts every loss, unless it has said otherwise.
    pub(crate) fn behaviour_sends(&self, from: Place, peer: &Peer, call: bool) {
        if !peer.senders.knows(from, call) && !self.asks(from) {
            let sent = if call { Sent::Calls } else { Sent::MessagesUntold };
            // Lost meanwhile: it is told so when it sends.
            peer.senders.enter(from, sent, || peer.is_lost());
        }
    }

    /// Whether a process has said that it wants to be told of losses.
    fn asks(&self, process: Place) -> bool {
        self.relations_of(process, |relations| relations.losses.asks()).unwrap_or_default()
    }

    /// Whether a process has not accepted the loss of a link to `node`.
    pub(crate) fn has_lost(&self, process: Place, node: NodeId) -> bool {
        self.relations_of(process, |relations| relations.losses.is_open(node)).unwrap_or_default()
    }

    /// The link to `peer` is lost: tells who had sent on it.
    pub(crate) fn tell_senders(self: &Arc<Self>, peer: &Peer, loss: &LinkLoss) {
        let (mut told, mut accepted) = (0_u64, 0_u64);
        // Looked up before, as the cells' locks go inside.
        let members: FxHashSet<_> = {
            let members = self.gossip.kernel.lock().members();
            let there = members.into_iter().filter(|member| member.state != MemberState::Down);
            there.map(|member| member.id).collect()
        };
        let may_return = |node: NodeId| members.contains(&node);
        for (process, sent) in peer.senders.end() {
            match sent {
                Sent::Calls => {}
                Sent::MessagesUntold if !self.asks(process) => accepted += 1,
                Sent::Messages | Sent::MessagesUntold => {
                    match self.tell_sender(process, peer, loss, may_return) {
                        Some(true) => told += 1,
                        Some(false) => accepted += 1,
                        // It has ended since.
                        None => {}
                    }
                }
            }
        }
        if told + accepted > 0 {
            self.accepted_losses.fetch_add(accepted, Ordering::Relaxed);
            let peer = &peer.name;
            tracing::info!(%peer, told, accepted, "messages to a lost node may be lost");
        }
    }

    /// Answers whether the process had not accepted that before, and is told.
    fn tell_sender(
        &self,
        process: Place,
        peer: &Peer,
        loss: &LinkLoss,
        may_return: impl Fn(NodeId) -> bool,
    ) -> Option<bool> {
        let reason = format!("the link to node {} was lost ({loss})", peer.name);
        let mut told = false;
        let told_of = |slot: &mut Slot| {
            told = slot.rare().relations.losses.lost(peer.id, may_return);
            told.then(|| Box::new(Disconnected { node: peer.id, reason }) as Box<dyn Value>)
        };
        self.notify_by(Sender::NOBODY, process, told_of)?;
        Some(told)
    }
}
