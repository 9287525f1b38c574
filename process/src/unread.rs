//! A message that its receiver could not take: the sender is told in the message's place, the bytes
//! are kept, a counter counts, a line is logged (V1). Never silence.

use std::sync::Arc;

use bytes::Bytes;

use crate::Undelivered;
use crate::dead_letter::DeadLetter;
use crate::envelope::{Content, Refusal};
use crate::inner::Inner;
use crate::receive::{Unread, encoded};
use crate::wire::{Place, Signal};

/// Refuses a message of `me`'s mailbox.
pub(crate) fn refuse(inner: &Arc<Inner>, me: Place, unread: Unread, refusal: Refusal) {
    let Unread { from, call, content } = unread;
    let to = inner.local_pid(me);
    let content = match &content {
        Content::Value(value) => encoded(inner, &**value).unwrap_or(content),
        Content::Bytes { .. } => content,
    };
    let (ty, bytes) = match &content {
        Content::Bytes { ty, bytes } => (Some(*ty), bytes.clone()),
        Content::Value(_) => (None, Bytes::new()),
    };
    if let Some(entry) = ty.map(|ty| inner.types.entry(ty)) {
        let sender = inner.pid(from);
        tracing::warn!(
            %to, from = sender.map(tracing::field::display), %refusal,
            message = %entry.name, version = entry.version, "message not taken"
        );
        inner.dead_letters.keep(DeadLetter {
            at: inner.runtime.now(),
            from: sender,
            to,
            type_name: entry.name.to_string(),
            version: entry.version,
            fingerprint: entry.fingerprint,
            bytes,
            refusal: refusal.clone(),
        });
    }
    if let Some(call) = call {
        return inner.reply(me, from, call, Err(refusal));
    }
    let place = Place { index: from.index, generation: from.generation };
    if from.is_remote() {
        if let Some(peer) = inner.peer_numbered(from.node) {
            inner.signal_pair(
                &peer,
                me,
                place,
                Signal::Undelivered { to: place, from: me, refusal },
            );
        }
    } else if inner.pid(from).is_some() {
        inner.notify(crate::send::local(me), place, Box::new(Undelivered::new(to, &refusal)));
    }
}
