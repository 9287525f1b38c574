//! What a node has promised to a rollout of a bundle's name, and to whom (R4, R5). Pure.
//!
//! A node is claimed before anything else is asked of it, and belongs to that rollout until it hears how it ended. What an
//! earlier epoch of the rollout asks is refused, and so is a rollout that is over. A node that has activated something waits
//! for the decision, however long that takes; one that has not is free again when who claimed it is lost.

use std::collections::BTreeMap;

use midflight_process::NodeId;

use crate::rollout::ledger::{Party, Ticket};

/// Names of which it is remembered which rollout was over last; the one with the lowest number makes room.
const ENDED_MAX: usize = 4_096;

/// The promises of one node, by bundle name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Leases {
    claims: BTreeMap<String, Claim>,
    /// The highest number of a rollout that is over.
    ended: BTreeMap<String, u64>,
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    number: u64,
    token: u64,
    epoch: u64,
    by: NodeId,
    by_name: String,
    state: State,
}

impl Claim {
    fn is_of(&self, ticket: &Ticket) -> bool {
        (self.number, self.token) == (ticket.number, ticket.token)
    }
}

/// How far a claimed node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// It runs what it ran.
    Claimed,
    /// It is switching, forth or back.
    Busy,
    /// It runs, or may run, what is new.
    Active,
    /// It has gone back, and does not go forth any more.
    Back,
}

/// Why a node does not do what a rollout asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotNow {
    /// Another rollout has the name.
    #[error("another update of `{bundle}` is under way, from node {by}")]
    Held { bundle: String, by: String },
    /// The rollout is over, or its number was given to another one before.
    #[error("number {number} of `{bundle}` is not new here: {ended} is over")]
    Ended { bundle: String, number: u64, ended: u64 },
    /// Somebody else drives the rollout now.
    #[error("the rollout of `{0}` was taken over")]
    Fenced(String),
    /// It is not claimed for that rollout, or goes back from it.
    #[error("the deployment's claim to `{0}` has ended")]
    NotClaimed(String),
    /// It is switching.
    #[error("`{0}` is being switched")]
    Busy(String),
}

impl Leases {
    /// Claims a name. `linked` says whether who has it can still be heard.
    pub(crate) fn claim(
        &mut self,
        ticket: &Ticket,
        by: &Party,
        linked: impl Fn(NodeId) -> bool,
    ) -> Result<(), NotNow> {
        let Ticket { bundle, number, token, epoch } = ticket;
        let ended = self.ended(bundle);
        if *number <= ended {
            return Err(NotNow::Ended { bundle: bundle.clone(), number: *number, ended });
        }
        if let Some(held) = self.claims.get(bundle) {
            if held.is_of(ticket) {
                return self.raise(ticket).map(drop);
            }
            if held.state != State::Claimed || linked(held.by) {
                return Err(NotNow::Held { bundle: bundle.clone(), by: held.by_name.clone() });
            }
        }
        let claim = Claim {
            number: *number,
            token: *token,
            epoch: *epoch,
            by: by.id,
            by_name: by.name.clone(),
            state: State::Claimed,
        };
        self.claims.insert(bundle.clone(), claim);
        Ok(())
    }

    /// The claim of a rollout, by an epoch that is not an earlier one: from then on earlier ones are refused.
    fn raise(&mut self, ticket: &Ticket) -> Result<&mut Claim, NotNow> {
        let claim = self.claims.get_mut(&ticket.bundle);
        let not_claimed = || NotNow::NotClaimed(ticket.bundle.clone());
        let claim = claim.filter(|claim| claim.is_of(ticket)).ok_or_else(not_claimed)?;
        if ticket.epoch < claim.epoch {
            return Err(NotNow::Fenced(ticket.bundle.clone()));
        }
        claim.epoch = ticket.epoch;
        Ok(claim)
    }

    /// A rollout wants what is new to run here: from now on it may.
    pub(crate) fn begin_activation(&mut self, ticket: &Ticket) -> Result<(), NotNow> {
        let claim = self.raise(ticket)?;
        match claim.state {
            State::Claimed | State::Active => claim.state = State::Busy,
            State::Busy => return Err(NotNow::Busy(ticket.bundle.clone())),
            State::Back => return Err(NotNow::NotClaimed(ticket.bundle.clone())),
        }
        Ok(())
    }

    /// The switch has ended. `is_active`: what is new runs here, or may.
    pub(crate) fn end_activation(&mut self, ticket: &Ticket, is_active: bool) {
        if let Some(claim) = self.of(ticket) {
            claim.state = if is_active { State::Active } else { State::Claimed };
        }
    }

    /// A rollout wants what was before to run here. `Ok(false)`: it does.
    pub(crate) fn begin_way_back(&mut self, ticket: &Ticket) -> Result<bool, NotNow> {
        let claim = match self.raise(ticket) {
            Ok(claim) => claim,
            // Nothing was promised to it, and nothing done for it; nor will it be, whatever is still on its way.
            Err(NotNow::NotClaimed(_)) => {
                self.has_ended(ticket);
                return Ok(false);
            }
            Err(no) => return Err(no),
        };
        match claim.state {
            State::Claimed | State::Back => {
                claim.state = State::Back;
                Ok(false)
            }
            State::Active => {
                claim.state = State::Busy;
                Ok(true)
            }
            State::Busy => Err(NotNow::Busy(ticket.bundle.clone())),
        }
    }

    /// The way back has ended.
    pub(crate) fn end_way_back(&mut self, ticket: &Ticket) {
        if let Some(claim) = self.of(ticket) {
            claim.state = State::Back;
        }
    }

    fn of(&mut self, ticket: &Ticket) -> Option<&mut Claim> {
        let claim = self.claims.get_mut(&ticket.bundle)?;
        claim.is_of(ticket).then_some(claim)
    }

    /// A rollout is over. Answers whether it had the name here.
    pub(crate) fn settle(&mut self, ticket: &Ticket) -> Result<bool, NotNow> {
        let had = match self.raise(ticket) {
            Ok(claim) if claim.state == State::Busy => {
                return Err(NotNow::Busy(ticket.bundle.clone()));
            }
            Ok(_) => true,
            Err(NotNow::NotClaimed(_)) => false,
            Err(no) => return Err(no),
        };
        if had {
            self.claims.remove(&ticket.bundle);
        }
        self.has_ended(ticket);
        Ok(had)
    }

    fn has_ended(&mut self, ticket: &Ticket) {
        // Of the same number there may be another one, which has the name.
        if self.claims.contains_key(&ticket.bundle) {
            return;
        }
        if self.ended.len() >= ENDED_MAX && !self.ended.contains_key(&ticket.bundle) {
            let lowest = self.ended.iter().min_by_key(|(_, number)| **number);
            if let Some(bundle) = lowest.map(|(bundle, _)| bundle.clone()) {
                self.ended.remove(&bundle);
            }
        }
        let ended = self.ended.entry(ticket.bundle.clone()).or_default();
        *ended = ticket.number.max(*ended);
    }

    /// The highest number of a rollout of the name that is over here.
    pub(crate) fn ended(&self, bundle: &str) -> u64 {
        self.ended.get(bundle).copied().unwrap_or(0)
    }

    /// The rollout by which what is new runs here, and the name of the node that drives it.
    pub(crate) fn active(&self, bundle: &str) -> Option<(Ticket, String)> {
        let claim = self.claims.get(bundle).filter(|claim| claim.state == State::Active)?;
        let Claim { number, token, epoch, .. } = *claim;
        let ticket = Ticket { bundle: bundle.to_owned(), number, token, epoch };
        Some((ticket, claim.by_name.clone()))
    }

    /// Whether any rollout has the name, whose driver can be heard.
    pub(crate) fn is_claimed(&self, bundle: &str, linked: impl Fn(NodeId) -> bool) -> bool {
        self.claims.get(bundle).is_some_and(|claim| linked(claim.by))
    }

    /// The promises to those who cannot be heard any more, as `heard` says of a node and a rollout: by which right each is,
    /// to whom it was given, and whether what is new runs.
    pub(crate) fn orphans(
        &self,
        heard: impl Fn(NodeId, &str, u64) -> bool,
    ) -> Vec<(Ticket, String, bool)> {
        let is_orphan =
            |(bundle, claim): &(&String, &Claim)| !heard(claim.by, bundle, claim.number);
        let orphans = self.claims.iter().filter(is_orphan);
        let orphan = |(bundle, claim): (&String, &Claim)| {
            let Claim { number, token, epoch, .. } = *claim;
            let ticket = Ticket { bundle: bundle.clone(), number, token, epoch };
            (ticket, claim.by_name.clone(), claim.state != State::Claimed)
        };
        orphans.map(orphan).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(name: &str) -> Party {
        Party { name: name.into(), id: NodeId(u64::from(name.as_bytes()[0])) }
    }

    fn ticket(bundle: &str, number: u64, epoch: u64) -> Ticket {
        Ticket { bundle: bundle.into(), number, token: number, epoch }
    }

    fn held(by: &str) -> NotNow {
        NotNow::Held { bundle: "x".into(), by: by.into() }
    }

    #[test]
    fn the_second_is_told_who_was_first() {
        let mut leases = Leases::default();
        let (a, b) = (party("a"), party("b"));
        assert_eq!(leases.claim(&ticket("x", 1, 1), &a, |_| true), Ok(()));
        assert_eq!(leases.claim(&ticket("x", 1, 1), &a, |_| true), Ok(()), "asked again");
        let same_number = Ticket { token: 9, ..ticket("x", 1, 1) };
        assert_eq!(leases.claim(&same_number, &b, |_| true), Err(held("a")), "of another's log");
        assert_eq!(leases.settle(&same_number), Ok(false), "and it ends nothing");
        assert_eq!(leases.claim(&ticket("x", 2, 1), &b, |_| true), Err(held("a")));
        assert_eq!(leases.claim(&ticket("y", 2, 1), &b, |_| true), Ok(()), "another name is free");
        let other = leases.settle(&ticket("x", 2, 1));
        assert_eq!(other, Ok(false), "only its own rollout ends a claim");
        assert_eq!(leases.settle(&ticket("x", 1, 1)), Ok(true));
        let late = leases.claim(&ticket("x", 1, 1), &a, |_| true);
        assert!(matches!(late, Err(NotNow::Ended { ended: 1, .. })), "{late:?}");
        assert_eq!(leases.claim(&ticket("x", 3, 1), &b, |_| true), Ok(()));
    }

    #[test]
    fn who_is_lost_keeps_those_that_have_activated_and_nobody_else() {
        let mut leases = Leases::default();
        let (a, b) = (party("a"), party("b"));
        let (first, second) = (ticket("x", 1, 1), ticket("x", 2, 1));
        leases.claim(&first, &a, |_| true).unwrap();
        assert_eq!(leases.claim(&second, &b, |node| node != a.id), Ok(()));
        let late = leases.begin_activation(&first);
        assert_eq!(late, Err(NotNow::NotClaimed("x".into())), "what was void may activate nothing");
        leases.begin_activation(&second).unwrap();
        assert_eq!(leases.begin_way_back(&second), Err(NotNow::Busy("x".into())));
        leases.end_activation(&second, true);
        assert_eq!(leases.claim(&ticket("x", 3, 1), &a, |_| false), Err(held("b")));
        assert_eq!(leases.orphans(|_, _, _| false), [(second.clone(), "b".into(), true)]);
        assert_eq!(leases.begin_way_back(&second), Ok(true));
        leases.end_way_back(&second);
        assert_eq!(leases.begin_activation(&second), Err(NotNow::NotClaimed("x".into())));
    }

    #[test]
    fn what_an_earlier_epoch_asks_is_refused() {
        let mut leases = Leases::default();
        let (old, new) = (ticket("x", 1, 1), ticket("x", 1, 2));
        leases.claim(&old, &party("a"), |_| true).unwrap();
        assert_eq!(leases.begin_way_back(&new), Ok(false));
        assert_eq!(leases.begin_activation(&old), Err(NotNow::Fenced("x".into())));
        assert_eq!(leases.settle(&old), Err(NotNow::Fenced("x".into())));
        assert_eq!(leases.settle(&new), Ok(true));
    }
}
