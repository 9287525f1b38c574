//! A process whose group comes to rest, to change code together: it takes what comes from within, and leaves all else
//! where it is.
//!
//! It was frozen, and is let go once more because somebody of its group has sent it something. When it has looked once
//! it may be frozen again. What it leaves counts in its mailbox as before, so that who sends too much waits for room, as
//! with any process that is slow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;

use midflight_message::Pid;
use midflight_process::{Batch, Delivery, Flow, Turn};
use parking_lot::Mutex;

use super::Hosted;

/// Whether a group still comes to rest, and who waits to hear that it does not. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lift(Arc<Mutex<Lifting>>);

#[derive(Debug, Default)]
struct Lifting {
    is_lifted: bool,
    waiting: BTreeMap<Pid, Waker>,
}

impl Lift {
    /// All go on as they were.
    pub(crate) fn lift(&self) {
        let waiting = {
            let mut lifting = self.0.lock();
            lifting.is_lifted = true;
            std::mem::take(&mut lifting.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    fn is_lifted(&self) -> bool {
        self.0.lock().is_lifted
    }

    /// Answers whether it is lifted already.
    fn wake_when_lifted(&self, pid: Pid, waker: Waker) -> bool {
        let mut lifting = self.0.lock();
        if !lifting.is_lifted {
            lifting.waiting.insert(pid, waker);
        }
        lifting.is_lifted
    }
}

/// What a process of such a group takes.
#[derive(Debug)]
pub(crate) struct Gate {
    lift: Lift,
    admitted: Arc<BTreeSet<Pid>>,
    has_looked: bool,
}

impl Gate {
    /// What comes from these is taken, until it is lifted.
    pub(crate) const fn new(lift: Lift, admitted: Arc<BTreeSet<Pid>>) -> Self {
        Self { lift, admitted, has_looked: false }
    }

    /// Whether it has yet to look once.
    pub(super) fn is_due(&self) -> bool {
        !self.has_looked && !self.lift.is_lifted()
    }
}

impl Hosted {
    /// From its next turn on it takes only what the gate lets in.
    pub(crate) fn keep_to(&mut self, gate: Gate) {
        self.gate = Some(Box::new(gate));
    }

    /// The next that it may take.
    pub(super) fn next<'b>(
        &mut self,
        batch: &'b mut Batch,
        turn: &Turn<'_>,
    ) -> Option<Delivery<'b>> {
        let Some(gate) = self.gate.as_mut() else { return batch.take_next() };
        if gate.lift.is_lifted() {
            self.gate = None;
            return batch.take_next();
        }
        gate.has_looked = true;
        let admitted = &gate.admitted;
        batch.take_from(|from| turn.pid(from).is_some_and(|pid| admitted.contains(&pid)))
    }

    /// How it waits when there was nothing that it may take.
    pub(super) fn waits_for_next(&self, turn: &mut Turn<'_>) -> Flow {
        let Some(gate) = &self.gate else { return Flow::Wait };
        let is_lifted = gate.lift.wake_when_lifted(turn.me(), turn.waker());
        // Nothing new has come, and yet there may be something to take.
        if is_lifted { Flow::Wait } else { Flow::Suspend }
    }
}
