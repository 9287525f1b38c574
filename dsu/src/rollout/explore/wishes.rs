//! What drivers see of the waves that they look at, and what operators want.

use super::cluster::{BUNDLE, Cluster, Event, View, party};
use crate::rollout::ledger::{Answer, Command, Name};
use crate::rollout::steps::{Input, Looked, Phase};

impl Cluster {
    /// What drivers see, and what operators want.
    pub(super) fn looks_and_wishes(&self, events: &mut Vec<Event>) {
        for (at, driver) in self.drivers.iter().enumerate() {
            if driver.lives && driver.look.is_some() {
                events.extend([View::Good, View::Unclear].map(|view| Event::Looks(at, view)));
                if self.refusals < self.bounds.refusals {
                    events.push(Event::Looks(at, View::Bad));
                }
            }
        }
        let driving = self.drivers.iter().filter(|driver| driver.drives());
        let mut driving = driving.map(|driver| driver.rollout.phase());
        if driving.any(|phase| matches!(phase, Phase::Held(_) | Phase::Paused(_))) {
            events.push(Event::Pauses(false));
        }
        let is_decided = |name: &Name| name.open.as_ref().is_none_or(|open| open.verdict.is_some());
        if self.wishes < self.bounds.wishes && !self.ledger.name(BUNDLE).is_none_or(is_decided) {
            events.extend([Event::Pauses(true)]);
            events.extend([true, false].map(|is_told| Event::Aborts { is_told }));
        }
    }

    /// Whoever the log says drives it is told.
    fn wish(&mut self, command: Command, input: Option<Input>) {
        let Answer::Wanted(by) = self.ledger.apply(command) else { return };
        let driver = self.drivers.iter().rposition(|driver| party(driver.at) == by);
        if let Some((driver, input)) = driver.zip(input)
            && self.drivers[driver].lives
        {
            let actions = self.drivers[driver].rollout.take(input);
            self.act(driver, actions);
        }
    }

    pub(super) fn looks(&mut self, driver: usize, view: View) {
        let Some(wave) = self.drivers[driver].look.take() else { return };
        self.refusals += u32::from(matches!(view, View::Bad));
        let looked = match view {
            View::Good => Looked::Go("good".into()),
            View::Bad => Looked::Stop("bad".into()),
            View::Unclear => Looked::Unsure("unclear".into()),
        };
        let actions = self.drivers[driver].rollout.take(Input::Looked { wave, looked });
        self.act(driver, actions);
    }

    pub(super) fn wishes(&mut self, wish: Event) {
        match wish {
            Event::Pauses(paused) => {
                self.wishes += u32::from(paused);
                let command = Command::Pause { bundle: BUNDLE.into(), paused };
                self.wish(command, Some(Input::Paused(paused)));
            }
            Event::Aborts { is_told } => {
                self.wishes += 1;
                let (bundle, why) = (BUNDLE.to_owned(), String::from("an operator aborted it"));
                let input = is_told.then(|| Input::Abort(why.clone()));
                self.wish(Command::Abort { bundle, number: None, why }, input);
            }
            _ => {}
        }
    }
}
