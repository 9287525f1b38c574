//! What operators ask and want of rollouts.

use super::Control;
use crate::protocol::{Rollouts, RolloutsRequest, Wanting, Wish, Wished};
use crate::rollout::ledger::{Answer, Command, Party};
use crate::rollout::steps::Input;

impl Control {
    /// What this node knows: as a voter what the log says here, else what it drives and waits for.
    pub(super) fn rollouts(&self, request: &RolloutsRequest) -> Rollouts {
        let wanted = |bundle: &str| request.bundle.as_deref().is_none_or(|wanted| wanted == bundle);
        let ledger = self.voting.ledger();
        let names = ledger.names().filter(|(bundle, _)| wanted(bundle));
        let mut driven = self.drivers.shown(self.server.node().runtime().now());
        driven.retain(|driven| wanted(&driven.bundle));
        Rollouts {
            voters: self.voting.voters().to_vec(),
            names: names.map(|(bundle, name)| (bundle.to_owned(), name.clone())).collect(),
            driven,
            waiting: self.waiting(),
        }
    }

    /// Writes down what an operator wants, and has whoever drives the rollout do it.
    pub(super) async fn wish(&self, wish: Wish) -> Wished {
        let Wish { bundle, wish, is_written, why } = wish;
        let why = why.unwrap_or_else(|| "an operator aborted it".into());
        let input = match wish {
            Wanting::Pause => Input::Paused(true),
            Wanting::Resume => Input::Paused(false),
            Wanting::Abort => Input::Abort(why.clone()),
        };
        if is_written {
            self.drivers.wish(&bundle, input);
            return Wished::Done;
        }
        let command = match wish {
            Wanting::Pause => Command::Pause { bundle: bundle.clone(), paused: true },
            Wanting::Resume => Command::Pause { bundle: bundle.clone(), paused: false },
            Wanting::Abort => Command::Abort { bundle: bundle.clone(), number: None, why },
        };
        let by = match self.voting.propose(&command).await {
            Ok(Answer::Wanted(by)) => by,
            Ok(Answer::Decided(verdict)) => return Wished::Decided { commit: verdict.commit },
            Ok(_) => return Wished::NoRollout,
            Err(error) => return Wished::NotAsked(error.to_string()),
        };
        if by == self.party() {
            self.drivers.wish(&bundle, input);
        } else {
            self.pass_on(&by, Wish { bundle, wish, is_written: true, why: None }).await;
        }
        Wished::Done
    }

    /// The log has it, too: where the driver is lost, who takes over does as it says.
    pub(super) async fn pass_on(&self, by: &Party, wish: Wish) {
        if let Err(why) = self.voting.tell(by, wish).await {
            tracing::warn!(
                node = by.name,
                why,
                "whoever drives a rollout has not heard what is wanted"
            );
        }
    }
}
