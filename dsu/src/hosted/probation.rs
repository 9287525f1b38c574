//! Probation: for some messages after a switch, or a while, a process can go back (U6).
//!
//! Before each message its state is kept, in a form that the code it came from restores. When the new code fails
//! at the message, the process is back in the old version, in the state before it; what the failed handler did
//! has not left, because effects leave only after a handler has returned or suspended well.

use std::sync::Arc;
use std::time::Duration;

use midflight_abi::BehaviourDescription;
use midflight_message::Pid;
use midflight_process::Turn;
use midflight_runtime::Instant;

use super::{Health, Hosted, SavedState};
use crate::code::{CodeError, Instance};
use crate::convert::{Reads, Way, restore, way};
use crate::versions::{Failure, Residence, Version, WayBack};

/// Bounds of a probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbationLimits {
    /// So many messages after a switch, failures of the new code bring a process back (default 16; with 0 there is
    /// no probation).
    pub messages: u32,
    /// The same for so long a time (default 30 s).
    pub time: Duration,
    /// The largest state that is kept before each message, in bytes (default 64 KiB). Of a larger one, and of one
    /// without a way back, only that from before the switch is there: its probation is one message.
    pub state_bytes: u64,
    /// When so many processes of a version went back, or ended by its fault, within `time` after its activation,
    /// or all that run in it on a node where these are fewer, all go back everywhere (default 3; with 0 none do).
    pub failed_processes: u32,
    /// The same when so many of a hundred messages failed (default 20; above 100 none do),
    pub error_percent: u32,
    /// of at least so many (default 50).
    pub error_messages: u64,
}

impl Default for ProbationLimits {
    fn default() -> Self {
        Self {
            messages: 16,
            time: Duration::from_secs(30),
            state_bytes: 64 * 1_024,
            failed_processes: 3,
            error_percent: 20,
            error_messages: 50,
        }
    }
}

/// A process's way back, while it is on probation.
#[derive(Debug)]
pub(crate) struct Probation {
    /// To the version it came from.
    old: WayBack,
    /// As the old code restores it.
    kept: SavedState,
    /// Whether `kept` is of now.
    fresh: bool,
    /// How the state gets back from the new code; none where it does not.
    way: Option<Way>,
    /// Messages that are left.
    left: u32,
    until: Instant,
    state_bytes: u64,
}

impl Probation {
    /// The probation of a process that was switched from `old`, where it saved `kept`, to `new`. `None` when there
    /// is none.
    pub(crate) fn new(
        limits: &ProbationLimits,
        pid: Pid,
        old: &Arc<Version>,
        new: &Version,
        behaviour: &str,
        kept: SavedState,
        now: Instant,
    ) -> Option<Box<Self>> {
        let (_, before) = old.behaviour(behaviour)?;
        let (_, after) = new.behaviour(behaviour)?;
        let way = way(after, before, Reads::of(old.code.description())).ok();
        let until = now + limits.time;
        (limits.messages > 0).then(|| {
            Box::new(Self {
                way,
                kept,
                fresh: true,
                left: limits.messages,
                until,
                state_bytes: limits.state_bytes,
                old: WayBack::new(old, pid, until),
            })
        })
    }

    /// Another message is about to be handled: keeps the state of `instance`, of that behaviour. Answers whether
    /// the probation goes on.
    pub(super) fn keep(
        &mut self,
        instance: &dyn Instance,
        description: &BehaviourDescription,
        now: Instant,
    ) -> bool {
        if self.left == 0 || now >= self.until {
            return false;
        }
        self.left -= 1;
        if std::mem::take(&mut self.fresh) {
            return true;
        }
        let form = match self.way {
            Some(Way::Forward) => Some(&description.state),
            Some(Way::Back { state_version }) => description.saves(state_version),
            None => None,
        };
        let Some(form) = form else { return false };
        if instance.size() > self.state_bytes {
            return false;
        }
        match instance.save(form.version()) {
            Ok(bytes) => {
                self.kept = SavedState { form: form.clone(), bytes };
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a state cannot be kept: its process's probation is over");
                false
            }
        }
    }
}

impl Hosted {
    /// The same, which can go back for a while.
    pub(crate) fn on_probation(mut self, probation: Option<Box<Probation>>) -> Self {
        self.probation = probation;
        self
    }

    /// Whether a failure would bring it back.
    pub(crate) fn is_on_probation(&self, now: Instant) -> bool {
        self.probation.as_ref().is_some_and(|it| it.left > 0 && now < it.until)
    }

    /// Counts what was handled well, for the probation of its version.
    pub(super) fn count_handled(&mut self) {
        let handled = std::mem::take(&mut self.handled);
        if handled > 0 {
            self.version().handled(handled);
        }
    }

    /// Something has failed in `version`; where that is enough, all are to go back.
    pub(super) fn count_failure(&self, turn: &Turn<'_>, version: &Version, failure: Failure) {
        // One that ends is still listed.
        let ends = usize::from(failure == Failure::Ended);
        let left = version.process_count().saturating_sub(ends);
        if failure != Failure::Unhealthy && self.health.is_unhealthy() {
            // It was one that was not well, and now is none at all.
            version.leaves_unwell(failure);
        }
        self.versions.failed(version, failure, left, turn.node().runtime().now());
    }

    /// Keeps the state, while the process is on probation.
    pub(super) fn keep_state(&mut self, turn: &Turn<'_>) {
        let Some(mut probation) = self.probation.take() else { return };
        let now = turn.node().runtime().now();
        if probation.keep(&*self.instance, self.description(), now) {
            self.probation = Some(probation);
        }
    }

    /// The new code has failed: where the process is on probation, it is back in the old version, in the state
    /// that was kept. Answers whether it is.
    pub(super) fn go_back(&mut self, turn: &Turn<'_>, error: &CodeError) -> bool {
        let Some(probation) = self.probation.take() else { return false };
        let Probation { old, kept, until, .. } = *probation;
        // Its handler may have waited for long.
        if turn.node().runtime().now() >= until {
            return false;
        }
        let failed = self.version().clone();
        // Retired since: the while is over.
        let Some(old) = old.version() else { return false };
        match restore(&*old.code, self.behaviour(), &kept) {
            Ok((behaviour, instance)) => {
                let (from, to) = (failed.version, old.version);
                let (me, name) = (turn.me(), self.behaviour());
                tracing::error!(%me, name, from, to, %error, "new code failed on probation: the process is back");
                failed.returned();
                self.count_handled();
                self.state_bytes.leave(&failed);
                self.residence = Residence::new(old, me);
                self.behaviour = behaviour;
                self.instance = instance;
                self.count_failure(turn, &failed, Failure::Returned);
                self.health = Health::default();
                true
            }
            Err(why) => {
                let me = turn.me();
                tracing::error!(%me, %error, %why, "new code failed on probation, and there is no way back");
                false
            }
        }
    }
}
