//! What a verified peer's signals do.

use std::sync::Arc;

use midflight_message::NodeId;
use midflight_runtime::spawn;

use crate::mailbox::envelope::Sender;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal};
use crate::types::TypeNo;
use crate::{Down, ExitReason};

impl Inner {
    /// Takes one signal of `peer`, in the link's reader.
    pub(crate) fn take_signal(self: &Arc<Self>, peer: &Arc<Peer>, signal: Signal) {
        match signal {
            Signal::SchemaRequest { fingerprint } => {
                let info = self.types.find(fingerprint).map(|info| (*info).clone());
                self.signal(peer, &Signal::Schema { fingerprint, info });
            }
            // Only what this peer was asked for: it has no say about the types of others.
            Signal::Schema { fingerprint, .. } if !peer.pending.take_schema(fingerprint) => {}
            Signal::Schema { fingerprint, info } => match info {
                Some(info) if info.fingerprint() == fingerprint => self.types.learn(&info),
                _ => self.types.give_up(fingerprint),
            },
            signal @ (Signal::Members(_) | Signal::Gossip(_) | Signal::Outranked { .. }) => {
                self.membership_signal(peer, signal);
            }
            Signal::Credit { process, messages, bytes } => {
                peer.accounts.give(process, messages, bytes);
            }
            Signal::Handled { bytes } => peer.accounts.give_together(bytes),
            Signal::Unhandled { bytes } => peer.accounts.owe_together(bytes),
            Signal::Gone { process } => peer.accounts.gone(process),
            Signal::Ask { request, question } => {
                let answer = self.answer(question);
                self.signal(peer, &Signal::Answer { request, answer });
            }
            Signal::Answer { request, answer } => {
                if let Some(tell) = peer.pending.take_question(request) {
                    // Whoever has stopped waiting needs no answer.
                    let _ = tell.send(answer);
                }
            }
            Signal::Monitor { .. }
            | Signal::MonitorPort { .. }
            | Signal::Monitoring { .. }
            | Signal::Demonitor { .. }
            | Signal::Down { .. }
            | Signal::Exit { .. }
            | Signal::Kill { .. }
            | Signal::Link { .. }
            | Signal::Unlink { .. }
            | Signal::UnlinkAcknowledged { .. }
            | Signal::LinkEnded { .. } => self.take_relation(peer, signal),
            Signal::Groups(news) => self.groups_heard(peer, news),
            Signal::Spawned { to, from, request, result } => {
                self.spawn_answered(peer, (to, from), request, result);
            }
            Signal::Refuse { .. }
            | Signal::Undelivered { .. }
            | Signal::Unreadable { .. }
            | Signal::CodeSwitched
            | Signal::Again { .. } => self.take_refusal(peer, signal),
            // The link's sink has taken these.
            Signal::Hello(_)
            | Signal::Proof { .. }
            | Signal::Welcome
            | Signal::Refused { .. }
            | Signal::Announce { .. } => {}
        }
    }

    /// Whether an exit signal, which takes no credit and may be sent unasked, finds more in a mailbox
    /// than all messages, links and monitors that may be: who sends that many floods it.
    pub(crate) fn is_flooded_by(&self, signal: &Signal) -> bool {
        let (Signal::Exit { to, .. } | Signal::Kill { to, .. }) = signal else { return false };
        self.table.is_crowded(to.index, to.generation, self.crowd_with_signals())
    }

    /// Takes a signal about the end of a process: monitors, links, exit signals.
    fn take_relation(self: &Arc<Self>, peer: &Arc<Peer>, signal: Signal) {
        let sender = |from: Place| peer.sender(from);
        match signal {
            Signal::Monitor { to, from, monitor } => self.monitor_came(peer, to, from, monitor, 0),
            Signal::MonitorPort { to, from, monitor, port } => {
                self.monitor_came(peer, to, from, monitor, port);
            }
            Signal::Monitoring { to, monitor, .. } => peer.pending.confirm_monitor(monitor, to),
            Signal::Demonitor { to, from, monitor } => self.unwatch(to, sender(from), monitor),
            Signal::Down { to, from, monitor, reason } => {
                // Only the watched process's own node may say that it is down, and only once.
                if let Some(remote) = peer.pending.take_monitor(monitor, to) {
                    let down = Down { monitor, process: remote.target, reason };
                    self.down(sender(from), to, down);
                }
            }
            Signal::Exit { to, from, reason } => self.exit_came(to, sender(from), reason),
            Signal::Kill { to, from, reason } => {
                self.end_process(to, sender(from), ExitReason::Killed(reason));
            }
            Signal::Link { to, from } => {
                self.link_came(to, sender(from), Some(peer));
            }
            Signal::Unlink { to, from, number } => {
                self.unlink_came(to, sender(from));
                // Also for a process that has ended: the other waits for it.
                let acknowledged = Signal::UnlinkAcknowledged { to: from, from: to, number };
                self.signal_pair(peer, to, from, acknowledged);
            }
            Signal::UnlinkAcknowledged { to, from, number } => {
                self.unlink_acknowledged(to, sender(from), number);
            }
            Signal::LinkEnded { to, from, reason } => {
                self.link_ended(to, sender(from), peer.unique, reason);
            }
            // `take_signal` gives nothing else here.
            _ => {}
        }
    }

    /// Asks a sender's node for the schema of a type of its; without a link nobody can be asked.
    pub(crate) fn request_schema(self: &Arc<Self>, from: Sender, ty: TypeNo) {
        if from.letter().is_some() {
            // Whoever sent it again has been asked; nobody else can be.
            let fingerprint = self.types.entry(ty).fingerprint;
            let peers: Vec<_> = self.peers.read().values().cloned().collect();
            if !peers.iter().any(|peer| peer.pending.asks_schema(fingerprint)) {
                self.types.give_up(fingerprint);
            }
            return;
        }
        let peer = self.peer_numbered(from.node);
        self.request_schema_from(peer, ty);
    }

    /// As [`Inner::request_schema`], of a node.
    pub(crate) fn request_schema_of(self: &Arc<Self>, node: NodeId, ty: TypeNo) {
        let peer = self.peer(node);
        self.request_schema_from(peer, ty);
    }

    fn request_schema_from(self: &Arc<Self>, peer: Option<Arc<Peer>>, ty: TypeNo) {
        match peer {
            Some(peer) => self.ask_schema(&peer, ty),
            None => self.types.give_up(self.types.entry(ty).fingerprint),
        }
    }

    /// Asks a peer for the schema of one of its types, unless it has been asked; who waits for it
    /// is told when it does not come in time.
    pub(crate) fn ask_schema(self: &Arc<Self>, peer: &Arc<Peer>, ty: TypeNo) {
        let fingerprint = self.types.entry(ty).fingerprint;
        if !peer.pending.add_schema(fingerprint) {
            return;
        }
        self.types.ask_again(fingerprint);
        self.signal(peer, &Signal::SchemaRequest { fingerprint });
        let (inner, peer) = (self.clone(), peer.clone());
        spawn(&self.runtime, "wait for a schema", async move {
            inner.runtime.sleep(inner.limits.schema_timeout).await;
            if peer.pending.take_schema(fingerprint) {
                inner.types.give_up(fingerprint);
            }
        });
    }
}
