//! Asking a process whether it is well, while its version is on probation (U6): once it is there, and then again and
//! again. Only its author knows: new code may answer every message and be wrong about all of them.
//!
//! It is asked in its own turn, like a handler: between two messages, never while one is handled.

use std::time::Duration;

use midflight_process::Turn;
use midflight_runtime::Instant;

use super::Hosted;
use crate::code::CodeError;
use crate::versions::Failure;

/// How long after an answer it is asked again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// An answer that takes longer is none: whoever asks keeps messages waiting.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);

/// What is known of a process's health.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When to ask again; none before it was asked.
    next: Option<Instant>,
    /// Whether it is not asked any more: its author does not say, or it has said that it is not well.
    over: bool,
    is_unhealthy: bool,
}

impl Health {
    pub(super) const fn is_unhealthy(&self) -> bool {
        self.is_unhealthy
    }
}

impl Hosted {
    /// Whether it has yet to be asked for the first time: then it has a turn, whether or not there is a message.
    pub(super) fn health_is_due(&self) -> bool {
        !self.health.over && self.health.next.is_none() && self.version().is_on_probation()
    }

    /// Asks, where that is due, and counts an answer that it is not well as a failure of its version.
    pub(super) fn ask_health(&mut self, turn: &mut Turn<'_>) {
        if self.health.over || !self.version().is_on_probation() {
            return;
        }
        let now = || turn.node().runtime().now();
        let began = now();
        let due = self.health.next.is_none_or(|next| began >= next);
        if due && let Some(why) = self.why_unhealthy(|| now().since(began)) {
            let (me, name) = (turn.me(), self.behaviour());
            tracing::error!(%me, name, version = self.version().version, why, "not well on probation");
            self.health = Health { over: true, is_unhealthy: true, ..Health::default() };
            self.version().is_not_well(&why);
            self.count_failure(turn, self.version(), Failure::Unhealthy);
        }
        if !self.health.over {
            let next = if due { began + ASK_EVERY } else { self.health.next.unwrap_or(began) };
            self.health.next = Some(next);
            turn.wake_at(next);
        }
    }

    fn why_unhealthy(&mut self, took: impl FnOnce() -> Duration) -> Option<String> {
        let answer = self.instance.health();
        let took = took();
        match answer {
            Ok(()) if took > ANSWER_WITHIN => {
                Some(format!("to say that it is well took {took:?}; it may take {ANSWER_WITHIN:?}"))
            }
            // A handler is suspended: another time.
            Ok(()) | Err(CodeError::Busy) => None,
            Err(CodeError::Unhealthy(why)) => Some(why),
            Err(error @ CodeError::Panicked(_)) => Some(format!("its health function {error}")),
            // Its author does not say, or its state is lost, which was counted already.
            Err(_) => {
                self.health.over = true;
                None
            }
        }
    }
}
