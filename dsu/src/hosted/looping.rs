//! A process that is written as a loop: it is suspended as long as it lives, takes messages where it receives, and rests
//! at the update points that it names.

use midflight_process::{Batch, Body as _, Delivery, Flow, Refusal, Turn};
use midflight_runtime::Instant;

use super::Hosted;
use super::suspended::{Ended, Suspended};
use crate::code::{CodeError, Instance};

/// What a process of this instance begins with.
pub(super) fn begun(instance: &dyn Instance, now: Instant) -> Option<Box<Suspended>> {
    instance.is_loop().then(|| Box::new(Suspended::of_loop(now)))
}

impl Hosted {
    /// Whether it is a loop that is in no position to take a message.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.suspended.as_ref().is_some_and(|suspended| !suspended.receives())
    }

    /// Nothing that the code awaits has ended. `Some`: that is all for this turn.
    pub(super) fn wait(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Option<Flow> {
        let Some(suspended) = &self.suspended else { return None };
        let point = suspended.point();
        let receives = suspended.receives();
        if self.is_quiescent() && turn.is_wanted() {
            // Where whoever wanted it has given up meanwhile, it goes on.
            turn.waker().wake();
            return Some(Flow::Suspend);
        }
        if let Some(point) = point
            && !receives
        {
            // Also where it is wanted: it may owe the reply that it is waited for.
            return self.go_on(turn, Ended::passed(point));
        }
        if receives { self.receive(batch, turn) } else { Some(Flow::Suspend) }
    }

    fn receive(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Option<Flow> {
        if self.held.is_some() {
            return self.take_up_held(turn);
        }
        match self.next(batch, turn) {
            Some(delivery) => self.deliver(turn, delivery),
            None => Some(self.waits_for_next(turn)),
        }
    }

    /// Takes what has come.
    pub(super) fn deliver(&mut self, turn: &mut Turn<'_>, delivery: Delivery<'_>) -> Option<Flow> {
        match delivery {
            Delivery::Exit(reason) => Some(Flow::Exit(reason)),
            Delivery::Message { from, content, caller } => {
                self.message(turn, from, content, caller)
            }
            Delivery::Stray { from, port, content } => {
                turn.refuse(from, None, content, Refusal::NoPort { port });
                None
            }
            Delivery::Reply { from, call, result } => {
                let code = (&*self.residence.version, self.behaviour);
                let suspended = self.suspended.as_mut()?;
                let ended = suspended.reply(turn, code, (from, call), result)?;
                self.go_on(turn, ended)
            }
            // Nothing else comes.
            _ => None,
        }
    }

    /// As [`go_back`](Self::go_back); a loop begins again from its top.
    pub(super) fn returns(&mut self, turn: &Turn<'_>, error: &CodeError) -> bool {
        let is_back = self.go_back(turn, error);
        if is_back {
            self.suspended = begun(&*self.instance, turn.node().runtime().now());
        }
        is_back
    }
}
