//! What a verified peer's signals do.

use std::sync::Arc;
use std::task::Poll;

use midflight_message::{Fingerprint, NodeId, TypeInfo};
use midflight_runtime::{Instant, spawn};

use crate::mailbox::envelope::Sender;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::schemas::{Ask, Schemas};
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
            Signal::Schema { fingerprint, info } => self.schema_came(peer, fingerprint, info),
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
            Signal::Code { details } => self.code_told(peer, details),
            Signal::MayClose => self.may_close(peer),
            Signal::StaysOpen => self.take_back(peer),
            Signal::Relocated { to, from, word } => self.take_word(peer, (to, from), word),
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
        let (Signal::Exit { to, .. } | Signal::Kill { to, .. } | Signal::Relocated { to, .. }) =
            signal
        else {
            return false;
        };
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

    /// A peer answers what a schema is.
    fn schema_came(&self, peer: &Peer, fingerprint: Fingerprint, info: Option<TypeInfo>) {
        let info = info.filter(|info| info.fingerprint() == fingerprint);
        let (now, patience) = (self.runtime.now(), self.limits.schema_timeout);
        let answered =
            |schemas: &mut Schemas| schemas.answered(fingerprint, info.is_some(), now, patience);
        // Only what this peer was asked for: it has no say about the types of others.
        if peer.pending.schemas(answered) != Some(true) {
            return;
        }
        match info {
            Some(info) => self.types.learn(&info),
            None => self.types.wake(fingerprint),
        }
    }

    /// Asks a sender's node for the schema of a type of its, unless it has been asked. Answers whether the
    /// schema is worth waiting for ([`TypeTable::wait_for_schema`](crate::types::TypeTable)).
    pub(crate) fn request_schema(self: &Arc<Self>, from: Sender, ty: TypeNo) -> bool {
        if !from.is_remote() {
            // Whoever passed it on, or sends it again, is not its writer: somebody else may have been asked.
            let fingerprint = self.types.entry(ty).fingerprint;
            let peers: Vec<_> = self.peers.read().values().cloned().collect();
            let awaits = |schemas: &mut Schemas| schemas.awaits(fingerprint);
            return peers.iter().any(|peer| peer.pending.schemas(awaits) == Some(true));
        }
        // Without a link nobody can be asked.
        self.peer_numbered(from.node).is_some_and(|peer| self.ask_schema(&peer, ty))
    }

    /// As [`Inner::request_schema`], of a node.
    pub(crate) fn request_schema_of(self: &Arc<Self>, node: NodeId, ty: TypeNo) -> bool {
        self.peer(node).is_some_and(|peer| self.ask_schema(&peer, ty))
    }

    /// As [`Inner::request_schema`], of a peer.
    pub(crate) fn ask_schema(self: &Arc<Self>, peer: &Arc<Peer>, ty: TypeNo) -> bool {
        let fingerprint = self.types.entry(ty).fingerprint;
        let (now, patience) = (self.runtime.now(), self.limits.schema_timeout);
        let asked = peer.pending.schemas(|schemas| schemas.ask(fingerprint, now, patience));
        let Some(Ask { send, wait, watch }) = asked else { return false };
        if send {
            self.signal(peer, &Signal::SchemaRequest { fingerprint });
        }
        if watch {
            self.watch_schemas(peer.clone(), now + patience);
        }
        wait
    }

    /// Sees to it that nobody waits longer for a peer's answers than the limit: one task for each peer.
    fn watch_schemas(self: &Arc<Self>, peer: Arc<Peer>, first: Instant) {
        let inner = self.clone();
        spawn(&self.runtime, "watch for schemas", async move {
            let mut next = Some(first);
            while let Some(at) = next {
                inner.runtime.sleep_until(at).await;
                let now = inner.runtime.now();
                let expired = peer.pending.schemas(|schemas| schemas.expire(now));
                let (overdue, then) = expired.unwrap_or_default();
                if !overdue.is_empty() {
                    let (peer, schemas) = (&peer.name, overdue.len());
                    tracing::warn!(%peer, schemas, "a peer does not say what its types are");
                }
                overdue.into_iter().for_each(|fingerprint| inner.types.wake(fingerprint));
                next = then;
            }
        });
    }

    /// Waits until a schema is known, or not worth waiting for any more, as `ask` says. Answers whether it
    /// is known.
    pub(crate) async fn await_schema(&self, ty: TypeNo, ask: impl Fn() -> bool) -> bool {
        std::future::poll_fn(|cx| {
            if self.types.is_known(ty) {
                return Poll::Ready(true);
            }
            // Asked once more after: what is decided in between is not missed.
            if !ask() || (self.types.wait_for_schema(ty, cx.waker()) && !ask()) {
                return Poll::Ready(self.types.is_known(ty));
            }
            if self.types.is_known(ty) { Poll::Ready(true) } else { Poll::Pending }
        })
        .await
    }
}
