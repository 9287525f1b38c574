//! Timers that processes set: a message, ticks, or an exit signal for later.

use std::time::Duration;

use midflight_message::{Destination, Message, Pid, Schema};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::expiry::{Interval, What};
use crate::ExitReason;
use crate::context::Context;
use crate::destination::OwnedAddress;
use crate::mailbox::envelope::Content;

/// The shortest time between two ticks.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Names one timer, on the node where it was set, to who wants to cancel it. None is used twice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Schema,
)]
pub struct TimerRef {
    /// Who has set it.
    pub(super) set_by: Pid,
    pub(super) number: u64,
}

impl TimerRef {
    /// The timer that a process has set under a number of its own choice; see
    /// [`Turn::send_after`](crate::Turn::send_after).
    #[must_use]
    pub const fn new(set_by: Pid, number: u64) -> Self {
        Self { set_by, number }
    }
}

/// A timer could not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimerError {
    /// The process has as many timers as it may (`Limits::timers_per_process`).
    #[error("the process has as many timers as it may (Limits::timers_per_process)")]
    TooMany,
    /// The node has as many timers as it may (`Limits::timers`).
    #[error("the node has as many timers as it may (Limits::timers)")]
    NodeFull,
    /// The number that its process has chosen for it is another's.
    #[error("a timer has this number already")]
    InUse,
    /// The process that sets it has ended.
    #[error("the process has ended")]
    Ended,
}

/// Timers, as Erlang's `erlang:send_after` and the module `timer` have them.
///
/// A timer is never early, and late by what the runtime's clock is (a millisecond or two) and the node's
/// load; in the simulator it is exact. Timers that one process has set for the same moment
/// expire in the order in which they were set.
///
/// A timer for the pid of a process of this node ends with that process; [`send_interval`] ends with the
/// one that set it, too. Any other outlives who set it, as in Erlang. A name is looked up when the timer
/// expires: nobody has it, and nothing happens. When its own code is replaced, or
/// [moved](crate::managed::Server::become_defined_by), a process keeps its timers.
///
/// What a process sends itself by a timer comes however full its mailbox is. For others there must be
/// room: a message waits for that, and for a link to another node, as by [`Context::send`]; when
/// it has waited in vain, the log says so.
///
/// [`send_interval`]: Context::send_interval
impl Context {
    /// Sends `to` a message after `delay` (Erlang's `send_after`).
    ///
    /// ```
    /// # use midflight_process::{Context, TimerError};
    /// # use std::time::Duration;
    /// async fn remind(cx: &Context) -> Result<String, TimerError> {
    ///     cx.send_after(Duration::from_secs(60), cx.me(), String::from("a minute is over"))?;
    ///     Ok(cx.expect::<String>().await)
    /// }
    /// ```
    ///
    /// # Errors
    /// See [`TimerError`].
    pub fn send_after<M: Message>(
        &self,
        delay: Duration,
        to: impl Destination<M>,
        message: M,
    ) -> Result<TimerRef, TimerError> {
        self.start_timer(delay, to, |_| message)
    }

    /// As [`Context::send_after`], for a message that says which timer it is from (Erlang's `start_timer`):
    /// one that has expired before it was cancelled is told from the next.
    ///
    /// # Errors
    /// See [`TimerError`].
    pub fn start_timer<M: Message>(
        &self,
        delay: Duration,
        to: impl Destination<M>,
        message: impl FnOnce(TimerRef) -> M,
    ) -> Result<TimerRef, TimerError> {
        let make = |timer| What::Send(Content::Value(Box::new(message(timer))));
        self.node.inner.set_timer(self.place, delay, to.address().into(), make)
    }

    /// Sends `to` a copy of `message` every `period`, which is a millisecond at least, for the first time
    /// after one (Erlang's `timer:send_interval`). A tick that finds no room is left out, and so are
    /// those that the machine was too busy for: they do not come in a bunch.
    ///
    /// It goes on until it is [cancelled](Context::cancel_timer), and ends with this process, and with `to`
    /// where that is the pid of a process of this node.
    ///
    /// # Errors
    /// See [`TimerError`].
    pub fn send_interval<M: Message + Clone>(
        &self,
        period: Duration,
        to: impl Destination<M>,
        message: M,
    ) -> Result<TimerRef, TimerError> {
        let period = period.max(INTERVAL_MIN);
        let message = Mutex::new(message);
        let copy = move || Content::Value(Box::new(message.lock().clone()));
        let make = |_| What::Tick(Interval::new(period, Box::new(copy)));
        self.node.inner.set_timer(self.place, period, to.address().into(), make)
    }

    /// Sends `to` an exit signal after `delay` (Erlang's `timer:exit_after`); see [`Context::exit`].
    ///
    /// # Errors
    /// See [`TimerError`].
    pub fn exit_after(
        &self,
        delay: Duration,
        to: Pid,
        reason: ExitReason,
    ) -> Result<TimerRef, TimerError> {
        self.node.inner.set_timer(self.place, delay, OwnedAddress::Pid(to), |_| What::Exit(reason))
    }

    /// Kills `to` after `delay` (Erlang's `timer:kill_after`); see [`Context::kill`].
    ///
    /// # Errors
    /// See [`TimerError`].
    pub fn kill_after(
        &self,
        delay: Duration,
        to: Pid,
        reason: impl Into<String>,
    ) -> Result<TimerRef, TimerError> {
        let reason = reason.into();
        self.node.inner.set_timer(self.place, delay, OwnedAddress::Pid(to), |_| What::Kill(reason))
    }

    /// Cancels a timer, whichever process of this node has set it. Answers how long it would have
    /// taken yet, an interval until its next tick. `None`: it has expired, was cancelled or has ended;
    /// its message may be in the mailbox, or about to come.
    #[expect(clippy::must_use_candidate, reason = "most do not care")]
    pub fn cancel_timer(&self, timer: TimerRef) -> Option<Duration> {
        self.node.inner.cancel_timer(timer)
    }

    /// How long a timer takes yet, an interval until its next tick. `None` as by
    /// [`Context::cancel_timer`].
    #[must_use]
    pub fn read_timer(&self, timer: TimerRef) -> Option<Duration> {
        self.node.inner.read_timer(timer)
    }

    /// Has a timer expire `delay` from now instead, an interval tick then next. Answers whether
    /// there is such a timer still.
    #[expect(clippy::must_use_candidate, reason = "most do not care")]
    pub fn reset_timer(&self, timer: TimerRef, delay: Duration) -> bool {
        self.node.inner.reset_timer(timer, delay)
    }
}
