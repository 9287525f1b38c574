//! How a message that has come gets into its mailbox, and what becomes of one that does not.

use std::sync::Arc;

use super::Sink;
use crate::mailbox::envelope::{Envelope, Parcel, Refusal, Sender, encoded_weight};
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal};
use crate::table::NotDelivered;

impl Sink {
    /// Puts the messages in a row into their mailbox.
    pub(super) fn end_run(&mut self) {
        if self.run.entries.is_empty() {
            return;
        }
        let to = self.run_to;
        let weight = self.run.entries.iter().map(|entry| u64::from(entry.weight().1)).sum();
        if !self.has_come(weight) {
            return;
        }
        let room = self.inner.crowd();
        match self.inner.table.deliver_run(to.index, to.generation, &mut self.run, room) {
            Some(Ok(true)) => self.inner.queues.push(to.index),
            Some(Ok(false)) => {}
            Some(Err(_no_room)) => {
                self.run.clear();
                self.violation("more messages than their receiver gave credit for");
            }
            None => {
                self.run.clear();
                self.gone(to, weight);
            }
        }
    }

    /// Messages with so many bytes have come. Answers false when their sender's node had no credit for
    /// them, and the link is cut.
    fn has_come(&mut self, bytes: u64) -> bool {
        let limit = self.inner.limits.peer_bytes;
        let fits = self.peer.as_ref().is_none_or(|peer| peer.number.unhandled().came(bytes, limit));
        if !fits {
            self.run.clear();
            self.violation("more messages than this node gave credit for");
        }
        fits
    }

    /// A message has come that nobody will handle.
    pub(super) fn goes_nowhere(&self, peer: &Arc<Peer>, payload: &[u8]) {
        let weight = encoded_weight(payload.len()).into();
        // Whether there was credit for it makes no difference: it is gone already.
        peer.number.unhandled().came(weight, u64::MAX);
        self.inner.has_handled(peer.number.get(), weight);
    }

    /// Tells the peer that nothing to `process` needs credit: what has come for it goes nowhere.
    fn gone(&self, process: Place, weight: u64) {
        if let Some(peer) = &self.peer {
            self.inner.has_handled(peer.number.get(), weight);
            self.inner.signal(peer, &Signal::Gone { process });
        }
    }

    /// The entry for a parcel: what was handed on is its first sender's, where the peer may say so.
    fn entry(&self, to: Place, from: Sender, parcel: Parcel) -> Envelope {
        let is_message = !matches!(parcel, Parcel::Reply { .. });
        let behalf = self.behalf.filter(|_| is_message).zip(self.peer.as_ref());
        let origin = behalf.and_then(|(behalf, peer)| {
            Some((self.inner.believed(behalf, to, peer.id)?, behalf.hops))
        });
        let parcel = match origin {
            Some((origin, hops)) => Parcel::Forwarded { origin, hops, parcel: Box::new(parcel) },
            None => parcel,
        };
        Envelope::Parcel { from, parcel: Box::new(parcel) }
    }

    pub(super) fn parcel(&mut self, to: Place, from: Sender, parcel: Parcel) {
        let entry = self.entry(to, from, parcel);
        // Replies have their place reserved: room is for calls.
        let (messages, bytes) = entry.weight();
        if messages > 0 && !self.has_come(bytes.into()) {
            return;
        }
        let room = (messages > 0).then(|| self.inner.crowd());
        let entry = match self.inner.deliver_under(self.context, to, entry, room) {
            Ok(()) => return,
            Err(NotDelivered::Full(_)) => {
                return self.violation("more than their receiver gave credit for");
            }
            Err(NotDelivered::Dead(entry)) => entry,
        };
        if entry.is_signal() {
            return;
        }
        if let Envelope::Parcel { parcel, .. } = entry
            && let Some(call) = parcel.call()
        {
            self.inner.reply(to, from, call, Err(Refusal::NoProcess));
        }
        self.gone(to, bytes.into());
    }
}
