//! What an operator does with dead letters: looks at them, sends them again, throws them away.

pub(crate) mod dead_letter;
pub(crate) mod notice;
pub(crate) mod refused;
pub(crate) mod undelivered;
pub(crate) mod unread;

use std::sync::Arc;

use bytes::Bytes;
use midflight_message::{Fingerprint, Pid, Render};

use crate::letters::dead_letter::{DeadLetter, LetterId, RefusedCount};
use crate::mailbox::envelope::{Content, Refusal, Sender};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal};
use crate::send::Route;
use crate::table::NotDelivered;
use crate::types::TypeNo;

/// A dead letter was not sent again. It is kept as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedeliverError {
    /// No such letter is kept.
    #[error("there is no dead letter {0}")]
    NoLetter(LetterId),
    /// The receiver does not live.
    #[error("{0} does not live")]
    NoProcess(Pid),
    /// The receiver has no room now.
    #[error("{0} has no room")]
    Full(Pid),
    /// There is no link to the receiver's node.
    #[error("there is no link to the node of {0}")]
    NotConnected(Pid),
    /// The letter is larger than the transport takes.
    #[error("the letter is larger than {max} bytes, the transport's limit")]
    TooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// The letter has no bytes: the message did not encode.
    #[error("the message of letter {0} did not encode: there is nothing to send")]
    NoBytes(LetterId),
}

/// How many dead letters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterTotals {
    /// Letters that are kept.
    pub letters: usize,
    /// Bytes they count.
    pub bytes: usize,
    /// Letters that had to go for newer ones, or were too large to be kept.
    pub lost: u64,
}

/// Bytes of a signal around a letter that is sent again.
const AROUND: usize = 512;

impl Node {
    /// The dead letters kept here, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.inner.dead_letters.all()
    }

    /// One dead letter.
    #[must_use]
    pub fn dead_letter(&self, id: LetterId) -> Option<DeadLetter> {
        self.inner.dead_letters.get(id)
    }

    /// Throws a dead letter away; answers it.
    pub fn drop_dead_letter(&self, id: LetterId) -> Option<DeadLetter> {
        self.inner.dead_letters.remove(id)
    }

    /// Throws all dead letters away; answers how many there were.
    pub fn clear_dead_letters(&self) -> usize {
        self.inner.dead_letters.clear()
    }

    /// How many dead letters there are.
    #[must_use]
    pub fn dead_letter_totals(&self) -> DeadLetterTotals {
        let (letters, bytes, lost) = self.inner.dead_letters.totals();
        DeadLetterTotals { letters, bytes, lost }
    }

    /// How many messages of each kind were not taken here, or not sent from here since their receivers
    /// were known to refuse them.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedCount> {
        self.inner.dead_letters.refused()
    }

    /// A dead letter's message as text, field by field, by its writer's schema. `None` when the schema is
    /// not known here and cannot be had from the sender's node, within `Limits::schema_timeout`.
    pub async fn render(&self, letter: &DeadLetter) -> Option<String> {
        let inner = &self.inner;
        let ty = inner.types.number(&letter.type_name, letter.version, letter.fingerprint)?;
        if inner.types.entry(ty).info().is_none()
            && let Some(peer) = letter.from.and_then(|from| inner.peer(from.node))
        {
            inner.await_schema(ty, || inner.ask_schema(&peer, ty)).await;
        }
        let info = inner.types.entry(ty).info().cloned()?;
        Some(Render::new(&info, &letter.bytes).to_string())
    }

    /// Sends a dead letter again, to its receiver or to `to`, as a new message from outside any process.
    /// It is marked: the receiver sees in [`Received::again`](crate::Received::again) that an operator
    /// sent it. The letter is kept no longer; refused again, it becomes a new one. A call's reply goes
    /// nowhere: its caller was told long ago.
    ///
    /// # Errors
    /// See [`RedeliverError`]. To a process of another node it goes once and at the most: what the link
    /// loses is lost.
    pub fn redeliver(&self, id: LetterId, to: Option<Pid>) -> Result<Pid, RedeliverError> {
        let inner = &self.inner;
        // Taken out first, so that no two operators send it.
        let letter = inner.dead_letters.remove(id).ok_or(RedeliverError::NoLetter(id))?;
        let to = to.unwrap_or(letter.to);
        let sent = inner.send_again(&letter, to);
        if sent.is_err() {
            inner.dead_letters.put_back(letter);
        } else {
            tracing::info!(letter = %id, %to, "dead letter sent again");
        }
        sent.map(|()| to)
    }
}

impl Inner {
    fn send_again(self: &Arc<Self>, letter: &DeadLetter, to: Pid) -> Result<(), RedeliverError> {
        let DeadLetter { id, type_name, version, fingerprint, bytes, refusal, .. } = letter;
        let encoded = !bytes.is_empty() || !matches!(refusal, Refusal::Garbled { .. });
        if !encoded {
            return Err(RedeliverError::NoBytes(*id));
        }
        match self.route(to) {
            Route::Local(place) => {
                let ty = self.types.number(type_name, *version, *fingerprint);
                let ty = ty.ok_or(RedeliverError::NoLetter(*id))?;
                if self.types.entry(ty).info().is_none()
                    && let Some(peer) = letter.from.and_then(|from| self.peer(from.node))
                {
                    self.ask_schema(&peer, ty);
                }
                self.deliver_again(place, *id, ty, bytes.clone()).map_err(|why| match why {
                    NotDelivered::Full(_) => RedeliverError::Full(to),
                    NotDelivered::Dead(_) => RedeliverError::NoProcess(to),
                })
            }
            Route::Remote(peer, place) => {
                if bytes.len() + AROUND > peer.message_max {
                    let max = peer.message_max.saturating_sub(AROUND);
                    return Err(RedeliverError::TooLarge { max });
                }
                let signal = Signal::Again {
                    to: place,
                    letter: id.get(),
                    name: type_name.clone(),
                    version: *version,
                    fingerprint: *fingerprint,
                    bytes: bytes.to_vec(),
                };
                self.signal_pair(&peer, Place::NOBODY, place, signal);
                Ok(())
            }
            Route::NotConnected(_) => Err(RedeliverError::NotConnected(to)),
        }
    }

    fn deliver_again(
        self: &Arc<Self>,
        to: Place,
        letter: LetterId,
        ty: TypeNo,
        bytes: Bytes,
    ) -> Result<(), NotDelivered> {
        let content = Content::Bytes { ty, bytes };
        let entry = crate::send::entry(Sender::again(letter), None, content);
        self.deliver(to, entry, Some(self.room()))
    }

    /// Takes a letter that an operator sends from a peer's dead letters. What cannot be delivered
    /// becomes a dead letter here.
    pub(crate) fn take_again(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        to: Place,
        letter: Option<LetterId>,
        (name, version, fingerprint): (&str, u32, Fingerprint),
        bytes: Vec<u8>,
    ) {
        let Some(letter) = letter else { return };
        let Ok(ty) = self.types.announced(name, version, fingerprint) else {
            tracing::warn!(peer = %peer.name, name, "a letter of a type this node may not know");
            return;
        };
        if self.types.entry(ty).info().is_none() {
            // Its sender's node may be gone; who had the letter may have the schema.
            self.ask_schema(peer, ty);
        }
        let bytes = Bytes::from(bytes);
        let refusal = match self.deliver_again(to, letter, ty, bytes.clone()) {
            Ok(()) => return,
            Err(NotDelivered::Dead(_)) => Refusal::NoProcess,
            Err(NotDelivered::Full(_)) => {
                Refusal::Aborted { reason: "the receiver had no room".into() }
            }
        };
        self.bury_letter(to, Sender::again(letter), (ty, bytes), false, (&refusal, None));
    }
}
