//! Exit signals and the links they travel over: one process ends, or is told to end, another.
//!
//! What a signal does is decided as it comes, under the cell's lock, and takes its place among the
//! messages of its sender (P2): a message for a process that traps exits, else an end between two
//! messages.

use std::sync::Arc;

use midflight_message::Pid;
use midflight_transport_api::LinkLoss;
use rustc_hash::FxHashSet;

use crate::mailbox::envelope::{Envelope, Parcel, Sender};
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::pending::NoLink;
use crate::peer::wire::{Place, Signal};
use crate::relations::{HERE, Relations, Verdict};
use crate::send::{Route, local};
use crate::trace::{self, Traced};
use crate::{ExitReason, Exited};

/// An exit signal that has come.
struct ExitSignal {
    from: Sender,
    /// Who that is.
    process: Pid,
    reason: ExitReason,
    /// Whether it came over a link.
    link: bool,
}

impl ExitSignal {
    fn entry(self, verdict: Verdict) -> Option<Envelope> {
        let Self { from, process, reason, link } = self;
        match verdict {
            Verdict::Ignored => None,
            Verdict::Message => {
                Some(Envelope::Told { from, value: Box::new(Exited { from: process, reason }) })
            }
            Verdict::End => {
                let parcel = Box::new(Parcel::Exit { reason, link: link.then_some(process) });
                Some(Envelope::Parcel { from, parcel })
            }
        }
    }
}

impl Inner {
    /// Sends an exit signal. Answers false when there is no link to the process's node.
    pub(crate) fn exit(self: &Arc<Self>, from: Place, to: Pid, reason: ExitReason) -> bool {
        match self.route_from(from, to) {
            Route::Local(place) => self.exit_came(place, local(from), reason),
            Route::Remote(peer, place) => {
                self.signal_pair(&peer, from, place, Signal::Exit { to: place, from, reason });
            }
            Route::NotConnected(_) => return false,
        }
        true
    }

    /// Kills a process. Answers false when there is no link to its node.
    pub(crate) fn kill(self: &Arc<Self>, from: Place, to: Pid, reason: String) -> bool {
        match self.route_from(from, to) {
            Route::Local(place) => self.end_process(place, local(from), ExitReason::Killed(reason)),
            Route::Remote(peer, place) => {
                self.signal_pair(&peer, from, place, Signal::Kill { to: place, from, reason });
            }
            Route::NotConnected(_) => return false,
        }
        true
    }

    /// An exit signal has come that somebody has sent with `exit`.
    pub(crate) fn exit_came(&self, to: Place, from: Sender, reason: ExitReason) {
        let itself = from == local(to);
        self.take_exit(to, from, (reason, false), |relations, reason| {
            let traps = relations.as_ref().is_some_and(|relations| relations.traps_exits);
            // Whoever calls it on itself means it, whatever the reason.
            if itself && !traps {
                return Verdict::End;
            }
            verdict(relations, reason)
        });
    }

    /// Ends a process between two messages; it cannot prevent it.
    pub(crate) fn end_process(&self, to: Place, from: Sender, reason: ExitReason) {
        self.take_exit(to, from, (reason, false), |_, _| Verdict::End);
    }

    /// Links `me` to `target`. Where that cannot be, the exit signal comes at once.
    pub(crate) fn link(self: &Arc<Self>, me: Place, target: Pid) {
        trace::note(self, me, || Traced::Linked { to: target });
        match self.route_from(me, target) {
            Route::Local(place) if place == me => {}
            Route::Local(place) => {
                if self.relate(me, |relations| relations.link(local(place), HERE)) == Some(true) {
                    self.link_came(place, local(me), None);
                }
            }
            Route::Remote(peer, place) => {
                let other = peer.sender(place);
                if self.relate(me, |relations| relations.link(other, peer.unique)) != Some(true) {
                    return;
                }
                match self.enter_link(&peer, me, place) {
                    Ok(()) => {
                        let signal = Signal::Link { to: place, from: me };
                        self.signal_pair(&peer, me, place, signal);
                    }
                    Err(why) => self.link_ended(me, other, peer.unique, why),
                }
            }
            Route::NotConnected(_) => {
                let reason = ExitReason::NoConnection("no link to its node".into());
                let signal =
                    ExitSignal { from: Sender::NOBODY, process: target, reason, link: true };
                self.deliver_exit(me, signal, verdict);
            }
        }
    }

    /// Ends the link of `me` and `target`, and whatever it would still do to `me`.
    pub(crate) fn unlink(self: &Arc<Self>, me: Place, target: Pid) {
        trace::note(self, me, || Traced::Unlinked { from: target });
        // Its exit signal may have come in this very turn.
        self.table.visit(me.index, me.generation, |slot| {
            slot.mailbox.forget_link_exits(target);
            None
        });
        let number = self.next();
        let unlink = |other: &Sender| {
            self.relations_of(me, |relations| relations.unlink(*other, number)).flatten()
        };
        let linked = self.cells_of(target).into_iter().flatten();
        let Some((other, via)) = linked.into_iter().find_map(|it| Some((it, unlink(&it)?))) else {
            return;
        };
        let place = other.place();
        if via == HERE {
            self.unlink_came(place, local(me));
            self.unlink_acknowledged(me, other, number);
        } else if let Some(peer) = self.peer_numbered(other.node).filter(|it| it.unique == via) {
            let signal = Signal::Unlink { to: place, from: me, number };
            self.signal_pair(&peer, me, place, signal);
        }
    }

    /// `from` has linked itself to the local `to`; remote, over the link to `peer`. Where that cannot be,
    /// it is told, and the answer is false.
    pub(crate) fn link_came(
        self: &Arc<Self>,
        to: Place,
        from: Sender,
        peer: Option<&Arc<Peer>>,
    ) -> bool {
        let via = peer.map_or(HERE, |peer| peer.unique);
        if let Some(peer) = peer
            && let Err(why) = self.enter_link(peer, to, from.place())
        {
            self.tell_link_ended(to, (from, via), why);
            return false;
        }
        let lives = self.relate(to, |relations| relations.linked(from, via)).is_some();
        if !lives {
            self.forget_link(to, from, via);
            self.tell_link_ended(to, (from, via), ExitReason::NoProcess);
        }
        lives
    }

    /// The local `spawner` has a child that has linked itself to it, as it had asked for. A spawner that
    /// has ended meanwhile is told to the child; one that can have no more links is told as by
    /// [`Inner::link`].
    pub(crate) fn link_spawned(
        self: &Arc<Self>,
        spawner: Place,
        child: Sender,
        peer: Option<&Arc<Peer>>,
    ) {
        if !self.link_came(spawner, child, peer) {
            let why = ExitReason::NoConnection("its node can have no more links".into());
            self.take_exit(spawner, child, (why, true), verdict);
        }
    }

    /// `from` has unlinked itself from the local `to`.
    pub(crate) fn unlink_came(&self, to: Place, from: Sender) {
        let over = self.relations_of(to, |relations| relations.unlinked(from));
        self.forget_link(to, from, over.flatten().unwrap_or(HERE));
    }

    /// `from` knows that the local `to` has unlinked itself from it.
    pub(crate) fn unlink_acknowledged(&self, to: Place, from: Sender, number: u64) {
        let over = self.relations_of(to, |relations| relations.unlink_acknowledged(from, number));
        self.forget_link(to, from, over.flatten().unwrap_or(HERE));
    }

    /// The link of the local `to` with `from` has ended, if there is one over this link between nodes.
    pub(crate) fn link_ended(&self, to: Place, from: Sender, via: u64, reason: ExitReason) {
        self.take_exit(to, from, (reason, true), |relations, reason| {
            let ended = relations.and_then(|relations| relations.link_ended(from, via, reason));
            ended.unwrap_or(Verdict::Ignored)
        });
        self.forget_link(to, from, via);
    }

    /// Tells the process at the other end of a link that the local `me` has ended, or never lived.
    pub(crate) fn tell_link_ended(
        self: &Arc<Self>,
        me: Place,
        (other, via): (Sender, u64),
        reason: ExitReason,
    ) {
        if via == HERE {
            return self.link_ended(other.place(), local(me), HERE, reason);
        }
        // A lost link has told the other already.
        let peer = self.peer_numbered(other.node).filter(|peer| peer.unique == via);
        let Some(peer) = peer else { return };
        let to = other.place();
        self.signal_pair(&peer, me, to, Signal::LinkEnded { to, from: me, reason });
    }

    /// A process has ended: those who watch it and those who are linked to it are told.
    pub(crate) fn end_relations(
        self: &Arc<Self>,
        me: Place,
        relations: &Relations,
        reason: &ExitReason,
    ) {
        self.end_monitors(me, relations, reason);
        for (other, via) in relations.links() {
            self.tell_link_ended(me, (other, via), reason.clone());
        }
        for (other, via) in relations.all_links() {
            self.forget_link(me, other, via);
        }
    }

    /// The link to `peer` is lost, and so are the links between processes over it.
    pub(crate) fn end_remote_links(
        &self,
        peer: &Peer,
        links: FxHashSet<(Place, Place)>,
        loss: &LinkLoss,
    ) {
        let mut links: Vec<_> = links.into_iter().collect();
        links.sort_unstable();
        for (here, there) in links {
            let why = format!("the link to node {} was lost ({loss})", peer.name);
            let reason = ExitReason::NoConnection(why);
            self.link_ended(here, peer.sender(there), peer.unique, reason);
        }
    }

    fn enter_link(&self, peer: &Peer, here: Place, there: Place) -> Result<(), ExitReason> {
        let max = self.limits.links_per_peer;
        peer.pending.add_link(here, there, max).map_err(|no_link| {
            ExitReason::NoConnection(match no_link {
                NoLink::Lost => "the link to its node was lost".into(),
                NoLink::TooMany => format!("its node and this one share {max} links already"),
            })
        })
    }

    fn forget_link(&self, here: Place, there: Sender, via: u64) {
        if via == HERE {
            return;
        }
        if let Some(peer) = self.peer_numbered(there.node).filter(|peer| peer.unique == via) {
            peer.pending.take_link(here, there.place());
        }
    }

    /// Lets a living process's relations change; it gets some when it has none.
    pub(crate) fn relate<T>(
        &self,
        me: Place,
        change: impl FnOnce(&mut Relations) -> T,
    ) -> Option<T> {
        let mut answer = None;
        self.table.visit(me.index, me.generation, |slot| {
            answer = Some(change(&mut slot.rare().relations));
            None
        });
        answer
    }

    /// As [`Inner::relate`], of a process that has some.
    pub(crate) fn relations_of<T>(
        &self,
        me: Place,
        change: impl FnOnce(&mut Relations) -> T,
    ) -> Option<T> {
        let mut answer = None;
        self.table.visit(me.index, me.generation, |slot| {
            answer = Some(change(&mut slot.rare.as_mut()?.relations));
            None
        });
        answer
    }

    /// Says whether exit signals to `me` become messages. Answers what was said before.
    pub(crate) fn trap_exits(&self, me: Place, traps: bool) -> bool {
        let change =
            |relations: &mut Relations| std::mem::replace(&mut relations.traps_exits, traps);
        self.relate(me, change).unwrap_or_default()
    }

    fn take_exit(
        &self,
        to: Place,
        from: Sender,
        (reason, link): (ExitReason, bool),
        judge: impl FnOnce(Option<&mut Relations>, &ExitReason) -> Verdict,
    ) {
        let signal = ExitSignal { from, process: self.exiting_pid(from), reason, link };
        self.deliver_exit(to, signal, judge);
    }

    /// Does to the process what `judge` says. A process that has ended gets no signals.
    fn deliver_exit(
        &self,
        to: Place,
        signal: ExitSignal,
        judge: impl FnOnce(Option<&mut Relations>, &ExitReason) -> Verdict,
    ) {
        let queue = self.table.visit(to.index, to.generation, |slot| {
            let relations = slot.rare.as_mut().map(|rare| &mut rare.relations);
            let verdict = judge(relations, &signal.reason);
            signal.entry(verdict)
        });
        if queue == Some(true) {
            self.queues.push(to.index);
        }
    }

    /// The pid of a signal's sender: outside any process, one of its node that no process has.
    fn exiting_pid(&self, from: Sender) -> Pid {
        let Place { index, generation } = Place::NOBODY;
        let nobody = Pid { node: self.id, index, generation };
        match from.node {
            u32::MAX => nobody,
            0 => self.local_pid(from.place()),
            number => {
                let node = self.numbers.node(number);
                let Sender { index, generation, .. } = from;
                node.map_or(nobody, |node| Pid { node, index, generation })
            }
        }
    }
}

/// What an exit signal does to a process with these relations, or none.
fn verdict(relations: Option<&mut Relations>, reason: &ExitReason) -> Verdict {
    match relations {
        Some(relations) => relations.verdict(reason),
        None => Relations::default().verdict(reason),
    }
}
