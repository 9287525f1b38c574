//! Waves that are looked at before the next one follows (R3).

use super::{Rollout, objection};
use crate::rollout::steps::{Action, Looked, Phase};

impl Rollout {
    /// Why the log does not answer, while it does not; or what a person is to decide.
    pub(crate) fn blocked(&self) -> Option<&str> {
        let unsure = self.unsure.as_deref().filter(|_| matches!(self.phase, Phase::Held(_)));
        self.no_majority.as_deref().or(unsure)
    }

    /// Why those that run what is new are to go back.
    pub(crate) fn why_back(&self) -> String {
        self.verdict(false).why
    }

    /// A look at a wave that was passed meanwhile says nothing any more, unless it is a no.
    pub(super) fn looked(&mut self, wave: usize, looked: Looked, actions: &mut Vec<Action>) {
        match (self.phase, looked) {
            (phase, Looked::Stop(why)) if phase < (Phase::Decide { commit: false }) => {
                self.because.push(objection("", "gate", &format!("wave {}: {why}", wave + 1)));
                // Those that are just asked are heard.
                if self.open.is_empty() {
                    self.decide(false, actions);
                }
            }
            (Phase::Gate(now), Looked::Go(numbers)) if now == wave => {
                self.passed.push(numbers);
                self.wave(wave + 1, actions);
            }
            (Phase::Gate(now), Looked::Unsure(why)) if now == wave => {
                self.unsure = Some(why);
                self.phase = Phase::Held(wave);
            }
            _ => {}
        }
    }

    /// Whether there is a wave to look at: also while it waits for a person, who may be asleep.
    pub(super) fn look(&mut self, actions: &mut Vec<Action>) {
        let wave = match self.phase {
            Phase::Gate(wave) | Phase::Held(wave) => Some(wave),
            Phase::Paused(next) if self.plan.gates.is_some() => next.checked_sub(1),
            _ => None,
        };
        if let Some(wave) = wave.filter(|_| !self.looking) {
            self.looking = true;
            actions.push(Action::Look { wave });
        }
    }
}
