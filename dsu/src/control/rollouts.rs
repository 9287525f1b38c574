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
        if wish.is_written {
            self.take_wish(wish);
            return Wished::Done;
        }
        let bundle = wish.bundle.clone();
        let command = match wish.wish {
            Wanting::Pause => Command::Pause { bundle, paused: true },
            Wanting::Resume => Command::Pause { bundle, paused: false },
            Wanting::Abort => Command::Abort { bundle, number: None, why: why(wish.why.clone()) },
        };
        let by = match self.voting.propose(&command).await {
            Ok(Answer::Wanted(by)) => by,
            Ok(Answer::Decided(verdict)) => return Wished::Decided { commit: verdict.commit },
            Ok(_) => return Wished::NoRollout,
            Err(error) => return Wished::NotAsked(error.to_string()),
        };
        self.pass_on(&by, Wish { is_written: true, ..wish }).await;
        Wished::Done
    }

    /// Takes in what is wanted of a rollout that this node drives.
    fn take_wish(&self, wish: Wish) {
        let input = match wish.wish {
            Wanting::Pause => Input::Paused(true),
            Wanting::Resume => Input::Paused(false),
            Wanting::Abort => Input::Abort(why(wish.why)),
        };
        self.drivers.wish(&wish.bundle, input);
    }

    /// Tells `by`, who drives a rollout, what is wanted of it, and is written down. The log has it, too: where the driver is
    /// lost, who takes over does as it says.
    pub(super) async fn pass_on(&self, by: &Party, wish: Wish) {
        if *by == self.party() {
            return self.take_wish(wish);
        }
        if let Err(why) = self.voting.tell(by, wish).await {
            tracing::warn!(
                node = by.name,
                why,
                "whoever drives a rollout has not heard what is wanted"
            );
        }
    }
}

fn why(said: Option<String>) -> String {
    said.unwrap_or_else(|| "an operator aborted it".into())
}
