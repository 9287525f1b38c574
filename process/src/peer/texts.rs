//! How long texts in signals may be: a reason takes no room and must not wait, so it must always fit.
//!
//! Reasons and refusals are shortened when a process ends and when a signal is sent, and say so. Every
//! other part of a [`Signal`] has a bound of its own.

use crate::ExitReason;
use crate::functions::spawned::NotSpawned;
use crate::mailbox::envelope::Refusal;
use crate::peer::wire::Signal;
use crate::relocation::word::Word;

/// Bytes of a text that are kept.
pub(crate) const TEXT_MAX: usize = 4 << 10;
/// Entries of a list of texts that are kept.
const LIST_MAX: usize = 64;

/// Bytes of the longest signal, of which a schema has the most (64 KiB): a node takes no link whose messages
/// are shorter. Of letters that are sent again, the sender looks at the length itself.
pub(crate) const SIGNAL_MAX: usize = 128 << 10;

impl ExitReason {
    /// Shortens its text.
    pub(crate) fn shorten(&mut self) {
        if let Self::Error(text)
        | Self::Panic(text)
        | Self::Killed(text)
        | Self::NoConnection(text) = self
        {
            shorten(text);
        }
    }
}

impl Signal {
    /// Shortens whatever texts it has.
    pub(crate) fn shorten(&mut self) {
        match self {
            Self::Down { reason, .. }
            | Self::Exit { reason, .. }
            | Self::LinkEnded { reason, .. } => reason.shorten(),
            Self::Relocated { word: Word::End { reason }, .. } => reason.shorten(),
            Self::Kill { reason, .. } => shorten(reason),
            Self::Refuse { refusal, .. }
            | Self::Undelivered { refusal, .. }
            | Self::Spawned { result: Err(NotSpawned::Argument(refusal)), .. } => {
                shorten_refusal(refusal);
            }
            _ => {}
        }
    }
}

fn shorten_refusal(refusal: &mut Refusal) {
    match refusal {
        Refusal::NotAccepted { type_name, accepts, behaviour, .. } => {
            [type_name, behaviour].into_iter().for_each(shorten);
            let more = accepts.len().saturating_sub(LIST_MAX);
            accepts.truncate(LIST_MAX);
            let kept = TEXT_MAX / LIST_MAX * 4;
            accepts.iter_mut().for_each(|text| shorten_to(text, kept));
            if more > 0 {
                accepts.push(format!("… ({more} more)"));
            }
        }
        Refusal::Garbled { type_name, detail } => [type_name, detail].into_iter().for_each(shorten),
        Refusal::Aborted { reason } => shorten(reason),
        // A mismatch bounds its texts itself.
        Refusal::Incompatible(_)
        | Refusal::NoProcess
        | Refusal::NoPort { .. }
        | Refusal::NotAllowed(_) => {}
    }
}

fn shorten(text: &mut String) {
    shorten_to(text, TEXT_MAX);
}

/// Keeps so many bytes of a text, and says how many it had.
fn shorten_to(text: &mut String, max: usize) {
    let len = text.len();
    if len <= max {
        return;
    }
    let mark = format!("… ({len} bytes in all)");
    text.truncate(text.floor_char_boundary(max - mark.len()));
    text.push_str(&mark);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MonitorRef;
    use crate::mailbox::envelope::CallRef;
    use crate::peer::wire::{Place, put_signal};

    fn long() -> String {
        "ä".repeat(300_000)
    }

    #[test]
    fn no_signal_with_long_texts_is_longer_than_a_message_may_be() {
        let (to, from) = (Place::NOBODY, Place::NOBODY);
        let reasons = [ExitReason::Error, ExitReason::Panic, ExitReason::Killed]
            .into_iter()
            .chain([ExitReason::NoConnection as fn(String) -> ExitReason]);
        let refusals = || {
            let accepts = vec![long(); 1_000];
            [
                Refusal::NotAccepted { type_name: long(), version: 1, accepts, behaviour: long() },
                Refusal::Garbled { type_name: long(), detail: long() },
                Refusal::Aborted { reason: long() },
            ]
        };
        let mut signals = vec![Signal::Kill { to, from, reason: long() }];
        for reason in reasons {
            let (monitor, reason) = (MonitorRef(1), reason(long()));
            signals.push(Signal::Down { to, from, monitor, reason: reason.clone() });
            signals.push(Signal::Exit { to, from, reason: reason.clone() });
            signals.push(Signal::LinkEnded { to, from, reason });
        }
        for refusal in refusals() {
            let result = Err(NotSpawned::Argument(refusal.clone()));
            signals.push(Signal::Spawned { to, from, request: 1, result });
            signals.push(Signal::Undelivered { to, from, refusal: refusal.clone() });
            signals.push(Signal::Refuse { to, from, call: CallRef(1), refusal });
        }
        for mut signal in signals {
            signal.shorten();
            let mut bytes = Vec::new();
            put_signal(&mut bytes, &signal);
            assert!(bytes.len() < SIGNAL_MAX / 2, "{} bytes", bytes.len());
            let text = format!("{signal:?}");
            assert!(text.contains("… (600000 bytes in all)"), "{text}");
        }
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        let mut reason = ExitReason::Panic("x".repeat(TEXT_MAX));
        let before = reason.clone();
        reason.shorten();
        assert_eq!(reason, before);
    }
}
