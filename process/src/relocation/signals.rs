//! What comes from the cells that a process has lived in: words about it, and messages handed on to it.

use std::sync::Arc;

use midflight_message::{NodeId, Pid};

use super::directory::Location;
use super::word::{Behalf, Notice, Word};
use crate::mailbox::envelope::{Envelope, Sender};
use crate::mailbox::value::Value;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal};
use crate::send::local;
use crate::table::slot::Run;

impl Inner {
    /// Takes a word from the cell `from` of a peer's to the cell `to` of a process here. Only where a process
    /// has lived is believed about it.
    pub(crate) fn take_word(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        (to, from): (Place, Place),
        word: Word,
    ) {
        match word {
            Word::Begin { process, epoch } => {
                if self.begin_guest(peer.id, to, process, epoch) {
                    let word = Word::Begun { epoch };
                    self.signal_pair(
                        peer,
                        to,
                        from,
                        Signal::Relocated { to: from, from: to, word },
                    );
                }
            }
            Word::Lives { process, at } => self.relocation.hear(process, peer.id, at),
            Word::Begun { epoch } => self.relocation.has_begun(to, peer.id, epoch),
            Word::End { reason } if self.has_lived_on(to, peer.id) => {
                self.end_process(to, peer.sender(from), reason);
            }
            Word::Told { notice } if self.has_lived_on(to, peer.id) => {
                self.tell_guest(to, peer.sender(from), notice);
            }
            Word::End { .. } | Word::Told { .. } => {
                tracing::warn!(peer = %peer.name, "a word about a process that has not lived there");
            }
        }
    }

    /// As [`Inner::take_word`], from another cell of this node to which the process has come back.
    pub(super) fn take_own_word(self: &Arc<Self>, to: Place, from: Place, word: Word) {
        match word {
            Word::End { reason } => self.end_process(to, local(from), reason),
            Word::Told { notice } => self.tell_guest(to, local(from), notice),
            Word::Begin { .. } | Word::Begun { .. } | Word::Lives { .. } => {}
        }
    }

    /// For whom the peer may hand something on to the cell `to`: where the process there has lived, for whom it
    /// says; else for itself alone.
    pub(crate) fn believed(&self, behalf: Behalf, to: Place, peer: NodeId) -> Option<Sender> {
        self.has_lived_on(to, peer).then(|| self.sender_of(behalf.origin))
    }

    fn has_lived_on(&self, place: Place, node: NodeId) -> bool {
        let guests = self.relocation.guests.read();
        guests.get(place).is_some_and(|guest| guest.lived_on.contains(&node))
    }

    /// The holder has given a process up that is here: it begins. Answers whether it does.
    fn begin_guest(self: &Arc<Self>, holder: NodeId, place: Place, pid: Pid, epoch: u64) -> bool {
        let given = self.relocation.guests.write().wake(place, holder, pid, epoch);
        let Some(timers) = given else {
            tracing::warn!(%pid, epoch, "a process was given up that is not expected here");
            return false;
        };
        let here = Location { node: self.id, place, epoch };
        self.relocation.directory.write().know(pid, here);
        // Only the cell's own node is believed about who sends from it.
        self.tell_peers(pid, here);
        self.set_packed_timers(place, timers);
        let queued = {
            let Some(slot) = self.table.slot(place.index) else { return false };
            let mut slot = slot.lock();
            let begins = slot.is(place.generation) && slot.run == Run::Frozen;
            if begins {
                slot.run = Run::Queued;
            }
            begins
        };
        if queued {
            tracing::info!(%pid, epoch, "a process has come");
            self.queues.push(place.index);
        }
        queued
    }

    fn tell_guest(&self, to: Place, from: Sender, notice: Notice) {
        let value: Box<dyn Value> = match notice {
            Notice::Down(down) => Box::new(down),
            Notice::Exited(exited) => Box::new(exited),
            Notice::NodeDown(down) => Box::new(down),
            Notice::Undelivered(notice) => return self.notify(from, to, Box::new(notice)),
            Notice::Disconnected(lost) => return self.notify(from, to, Box::new(lost)),
        };
        let told = Envelope::Told { from, value };
        if self.table.visit(to.index, to.generation, |_| Some(told)) == Some(true) {
            self.queues.push(to.index);
        }
    }
}
