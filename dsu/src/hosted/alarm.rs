//! A process's wake-up by the clock: one at a time, so that a process that calls a thousand times a
//! second does not leave a thousand timers behind it.

use midflight_process::Turn;
use midflight_runtime::Instant;

/// When the process is woken next.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Instant>);

impl Alarm {
    /// Sees that the process has a turn at `deadline` or before: whoever is woken too early asks
    /// again.
    pub(super) fn set(&mut self, turn: &mut Turn<'_>, deadline: Instant) {
        let now = turn.node().runtime().now();
        if self.0.is_none_or(|armed| armed <= now || armed > deadline) {
            turn.wake_at(deadline);
            self.0 = Some(deadline);
        }
    }
}
