//! A message that its receiver could not take: the sender is told in the message's place, the bytes
//! are kept, a counter counts, a line is logged (V1). Never silence.

use std::sync::Arc;

use bytes::Bytes;
use midflight_message::{Mismatch, Pid};

use crate::letters::dead_letter::NewLetter;
use crate::letters::notice::is_notice;
use crate::letters::refused::{Known, Refused};
use crate::mailbox::envelope::{Content, Envelope, Parcel, Refusal, Sender};
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal};
use crate::receive::{Unread, encoded};
use crate::scheduler::turn::Caller;
use crate::types::TypeNo;
use crate::{LetterId, RefusalKind, Undelivered};

/// Refuses a message of `me`'s mailbox. Its sender is told, unless it is a notice, which has none.
pub(crate) fn refuse(inner: &Arc<Inner>, me: Place, unread: Unread, refusal: Refusal) {
    let Unread { from, caller, content, reader } = unread;
    let content = match &content {
        Content::Value(value) => encoded(inner, &**value).unwrap_or(content),
        Content::Bytes { .. } => content,
    };
    let (ty, bytes) = match &content {
        Content::Bytes { ty, bytes } => (Some(*ty), bytes.clone()),
        Content::Value(value) => (inner.types.intern_static(value.type_info()).ok(), Bytes::new()),
    };
    if let Some(ty) = ty {
        let reader = reader.or_else(|| reader_version(inner, ty, &refusal));
        inner.bury_letter(me, from, (ty, bytes), caller.is_some(), (&refusal, reader));
        if let Refusal::Incompatible(mismatch) = &refusal {
            remember(inner, me, from, ty, Known { mismatch: mismatch.clone(), reader });
        }
    }
    if let Some(Caller { from, call }) = caller {
        return inner.reply(me, from, call, Err(refusal));
    }
    if ty.is_some_and(|ty| is_notice(&inner.types.entry(ty).name)) {
        return;
    }
    tell_undelivered(inner, me, from, refusal);
}

/// Tells who has sent something to `me` that it does not arrive, or may not.
pub(crate) fn tell_undelivered(inner: &Arc<Inner>, me: Place, from: Sender, refusal: Refusal) {
    let place = from.place();
    if from.is_remote() {
        if let Some(peer) = inner.peer_numbered(from.node) {
            let notice = Signal::Undelivered { to: place, from: me, refusal };
            inner.signal_pair(&peer, me, place, notice);
        }
    } else if inner.pid(from).is_some() {
        let notice = Undelivered::new(inner.local_pid(me), &refusal);
        inner.notify(crate::send::local(me), place, Box::new(notice));
    }
}

/// Sees to it that the sender's node knows: the next such message is refused where it is sent.
fn remember(inner: &Arc<Inner>, me: Place, from: Sender, ty: TypeNo, known: Known) {
    if !from.is_remote() {
        return inner.refused.remember(me, ty, inner.refused.switches(), known);
    }
    let Some(peer) = inner.peer_numbered(from.node) else { return };
    let entry = inner.types.entry(ty);
    let signal = Signal::Unreadable {
        process: me,
        name: entry.name.to_string(),
        version: entry.version,
        fingerprint: entry.fingerprint,
        switches: peer.switches_told(),
        reader: known.reader,
        mismatch: known.mismatch,
    };
    // Before the refusal itself: whoever has that knows.
    let place = from.place();
    inner.signal_pair(&peer, me, place, signal);
}

impl Inner {
    /// Takes what a peer says of messages that are not taken there.
    pub(crate) fn take_refusal(self: &Arc<Self>, peer: &Arc<Peer>, signal: Signal) {
        match signal {
            // Only who was asked may answer, and only once.
            Signal::Refuse { to, call, .. } if !peer.pending.answers(call, to) => {}
            Signal::Refuse { to, from, call, refusal } => {
                let parcel = Box::new(Parcel::Reply { call, result: Err(refusal) });
                let entry = Envelope::Parcel { from: peer.sender(from), parcel };
                let _ = self.deliver(to, entry, None);
            }
            Signal::Undelivered { to, from, refusal } => {
                let Place { index, generation } = from;
                let at = Pid { node: peer.id, index, generation };
                if let Refusal::NoPort { port } = refusal {
                    peer.refused.remember_closed(from, port);
                }
                let notice = Box::new(Undelivered::new(at, &refusal));
                self.notify(peer.sender(from), to, notice);
            }
            Signal::Unreadable {
                process,
                name,
                version,
                fingerprint,
                switches,
                reader,
                mismatch,
            } => {
                // A type this node has never sent is no news to it.
                if let Some(ty) = self.types.number(&name, version, fingerprint) {
                    peer.refused.remember(process, ty, switches, Known { mismatch, reader });
                }
            }
            Signal::CodeSwitched => {
                self.types.forget_resolutions();
                peer.refused.switched();
            }
            Signal::Again { to, letter, name, version, fingerprint, bytes } => {
                let letter = LetterId::new(letter);
                self.take_again(peer, to, letter, (&name, version, fingerprint), bytes);
            }
            _ => {}
        }
    }

    /// Logs, counts and keeps a message that `to` did not take.
    pub(crate) fn bury_letter(
        &self,
        to: Place,
        from: Sender,
        (ty, bytes): (TypeNo, Bytes),
        call: bool,
        (refusal, reader): (&Refusal, Option<u32>),
    ) {
        let entry = self.types.entry(ty);
        let (to, sender) = (self.local_pid(to), self.pid(from));
        self.dead_letters.count(
            &entry.name,
            (entry.version, reader),
            RefusalKind::of(refusal),
            false,
        );
        let letter = self.dead_letters.keep(NewLetter {
            at: self.runtime.now(),
            unix: self.runtime.unix_time(),
            from: sender,
            to,
            type_name: entry.name.to_string(),
            version: entry.version,
            fingerprint: entry.fingerprint,
            bytes,
            call,
            refusal: refusal.clone(),
            again: from.letter(),
        });
        tracing::warn!(
            %to, from = sender.map(tracing::field::display), %refusal, %letter,
            message = %entry.name, version = entry.version, "message not taken"
        );
    }

    /// Why `to` cannot read messages of type `ty`, if it has said so. Then nothing is sent, which is counted
    /// here: the receiver hears nothing of it.
    pub(crate) fn known_refusal(
        &self,
        refused: &Refused,
        to: Place,
        ty: TypeNo,
    ) -> Option<Box<Mismatch>> {
        let Known { mismatch, reader } = refused.find(to, ty)?;
        let entry = self.types.entry(ty);
        let kind = RefusalKind::Incompatible;
        self.dead_letters.count(&entry.name, (entry.version, reader), kind, true);
        Some(mismatch)
    }
}

/// The version of the type that a behaviour has, where the refusal says so: it has no conversions.
fn reader_version(inner: &Inner, ty: TypeNo, refusal: &Refusal) -> Option<u32> {
    let writer = inner.types.entry(ty).version;
    match refusal {
        Refusal::Incompatible(mismatch) => mismatch.reader_version(writer),
        // Its bytes were read as what they say they are.
        Refusal::Garbled { .. } => Some(writer),
        _ => None,
    }
}
