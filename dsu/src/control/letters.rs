//! Answers about dead letters.

use midflight_process::{DeadLetter, LetterId, Pid, RedeliverError, RefusalKind};

use super::Control;
use crate::protocol::{LetterStatus, Letters, LettersReply, LettersRequest, RefusedStatus, Shown};

/// Letters listed by one request.
const LISTED_MAX: u32 = 1_000;
/// Bytes of one letter that are shown as they are.
const SHOWN_MAX: usize = 4 * 1_024;

impl Control {
    /// Answers a request. What it may take is bounded by the time in which a node answers.
    pub(super) async fn letters(&self, request: LettersRequest) -> LettersReply {
        let node = self.server.node();
        let known = |number| LetterId::new(number).and_then(|id| node.dead_letter(id));
        let none = |number| LettersReply::Refused(format!("there is no dead letter {number}"));
        match request {
            LettersRequest::List { limit } => self.list(limit),
            LettersRequest::Show { letter } => match known(letter) {
                Some(letter) => LettersReply::Shown(Shown {
                    text: node.render(&letter).await,
                    encoded: letter.bytes.iter().copied().take(SHOWN_MAX).collect(),
                    letter: status(letter),
                }),
                None => none(letter),
            },
            LettersRequest::Redeliver { letter, to } => match LetterId::new(letter) {
                Some(id) => self.redeliver(id, to).await,
                None => none(letter),
            },
            LettersRequest::Drop { letter } => {
                match LetterId::new(letter).and_then(|id| node.drop_dead_letter(id)) {
                    Some(_) => LettersReply::Dropped(1),
                    None => none(letter),
                }
            }
            LettersRequest::Clear => LettersReply::Dropped(node.clear_dead_letters() as u64),
        }
    }

    fn list(&self, limit: u32) -> LettersReply {
        let node = self.server.node();
        let totals = node.dead_letter_totals();
        let letters = node.dead_letters();
        let older = letters.len().saturating_sub(limit.min(LISTED_MAX) as usize);
        let refused = node.refused().into_iter().map(|count| RefusedStatus {
            type_name: count.type_name,
            from_version: count.from_version,
            to_version: count.to_version,
            kind: count.kind.name().to_owned(),
            at_send: count.at_send,
            times: count.times,
        });
        LettersReply::Listed(Letters {
            total: totals.letters as u64,
            bytes: totals.bytes as u64,
            lost: totals.lost,
            letters: letters.into_iter().skip(older).map(status).collect(),
            refused: refused.take(LISTED_MAX as usize).collect(),
        })
    }

    /// Sends a letter again; makes a link to its receiver's node where there is none.
    async fn redeliver(&self, id: LetterId, to: Option<Pid>) -> LettersReply {
        let node = self.server.node();
        let mut sent = node.redeliver(id, to);
        if let Err(RedeliverError::NotConnected(pid)) = sent
            && node.connect_node(pid.node).await.is_ok()
        {
            sent = node.redeliver(id, to);
        }
        match sent {
            Ok(to) => LettersReply::Sent { to },
            Err(error) => LettersReply::Refused(error.to_string()),
        }
    }
}

fn status(letter: DeadLetter) -> LetterStatus {
    LetterStatus {
        id: letter.id.get(),
        unix_millis: letter.unix.as_millis().try_into().unwrap_or(u64::MAX),
        from: letter.from,
        to: letter.to,
        type_name: letter.type_name,
        version: letter.version,
        fingerprint: letter.fingerprint.to_string(),
        kind: RefusalKind::of(&letter.refusal).name().to_owned(),
        reason: letter.refusal.to_string(),
        bytes: letter.bytes.len() as u64,
        call: letter.call,
        again: letter.again.map(LetterId::get),
    }
}
