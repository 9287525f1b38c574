//! What the decision log says: which rollouts are open, who drives each, and how each has ended (R4, R5). Pure, and the
//! same on every voter: commands go in, in the log's order, and each is answered.
//!
//! An *epoch* counts who has driven a rollout: who takes it over has a higher one, and what an earlier one still asks
//! for is refused.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use midflight_message::{NodeId, Schema};
use serde::{Deserialize, Serialize};

use crate::history::short;
use crate::policy::Policy;
use crate::protocol::{Address, Back};
use crate::rollout::gates::Gates;

/// Rollouts of one name that are remembered when they are over.
const PAST_MAX: usize = 16;
/// Nodes that one rollout may have.
pub(crate) const MEMBERS_MAX: usize = 1_024;
/// Names that may have a past; the one whose past is the oldest makes room.
const NAMES_MAX: usize = 4_096;

/// A node, in this life of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// Its incarnation.
    pub id: NodeId,
}

/// What a rollout is to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Plan {
    /// The bundle's name.
    pub bundle: String,
    /// The bundle.
    pub address: Address,
    /// Its version.
    pub version: u32,
    /// What becomes of the processes of other versions.
    pub policy: Policy,
    /// The nodes, wave by wave.
    pub waves: Vec<Vec<Party>>,
    /// What stands between two waves; none where each follows as soon as the one before is there.
    pub gates: Option<Gates>,
    /// Where it is a way back that a node has taken by itself.
    pub back: Option<Back>,
    /// Whether it leads to what was current before, so that an older release may follow a newer one.
    pub goes_back: bool,
}

impl Plan {
    /// Every node, in the order of the waves.
    pub fn members(&self) -> impl Iterator<Item = &Party> {
        self.waves.iter().flatten()
    }
}

/// Which rollout, and by which right.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Ticket {
    /// The bundle's name.
    pub bundle: String,
    /// The rollout's number: higher than that of any rollout of the name before.
    pub number: u64,
    /// What it was begun with: where no voters are declared, logs of several nodes may give the same number.
    pub token: u64,
    /// Who drives it: a higher one has taken it over.
    pub epoch: u64,
}

/// How a rollout has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Verdict {
    /// Whether all run what is new, or all what was.
    pub commit: bool,
    /// Why.
    pub why: String,
}

impl Verdict {
    fn unknown() -> Self {
        Self { commit: false, why: "the log knows of no such rollout".into() }
    }
}

/// What is put into the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum Command {
    /// Opens a rollout, if there is none of the name. The same token again is the same rollout.
    Begin {
        /// A number drawn by who begins.
        token: u64,
        /// Who drives it.
        by: Party,
        /// What it is to do.
        plan: Plan,
        /// Its number is to be higher than this one.
        after: u64,
    },
    /// Takes a rollout over, from the epoch that the ticket has.
    Take {
        /// Which.
        ticket: Ticket,
        /// Who drives it from now on.
        by: Party,
    },
    /// Decides. The first decision stands.
    Decide {
        /// Which.
        ticket: Ticket,
        /// What.
        verdict: Verdict,
    },
    /// An operator wants it to stop before the next wave, or to go on.
    Pause {
        /// The bundle's name.
        bundle: String,
        /// Whether to stop.
        paused: bool,
    },
    /// An operator wants it to be aborted, or a node whose version has failed. Where it is decided already, that stands.
    Abort {
        /// The bundle's name.
        bundle: String,
        /// The rollout's number; none: whichever is open.
        number: Option<u64>,
        /// Why.
        why: String,
    },
    /// How has a rollout ended? It is a command, so that the answer is as old as the log and no older.
    Look {
        /// The bundle's name.
        bundle: String,
        /// The rollout's number.
        number: u64,
    },
    /// Every node has heard of the decision, or is gone: the name is free.
    Close {
        /// Which.
        ticket: Ticket,
    },
}

/// What comes of a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum Answer {
    /// It is open, and whoever asked drives it.
    Yours(Ticket),
    /// Another rollout of the name is open: who drives it.
    Held(Party),
    /// Somebody else drives it.
    Fenced(Party),
    /// It is decided.
    Decided(Verdict),
    /// It is not decided yet: who drives it.
    Open(Party),
    /// Done.
    Done,
    /// It is written down for who drives it.
    Wanted(Party),
    /// There is no such rollout.
    None,
}

/// A rollout that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Open {
    /// Its number.
    pub number: u64,
    /// How often it was taken over, and one.
    pub epoch: u64,
    /// What it was begun with.
    pub token: u64,
    /// Who drives it.
    pub by: Party,
    /// What it does.
    pub plan: Plan,
    /// Whether it is to stop before the next wave.
    pub paused: bool,
    /// Why it is to be aborted, if somebody wants that.
    pub abort: Option<String>,
    /// What was decided.
    pub verdict: Option<Verdict>,
}

impl Open {
    /// The right by which it is driven now.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        let Self { number, token, epoch, .. } = *self;
        Ticket { bundle: self.plan.bundle.clone(), number, token, epoch }
    }
}

/// A rollout that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Closed {
    /// Its number.
    pub number: u64,
    /// The bundle.
    pub address: Address,
    /// Its version.
    pub version: u32,
    /// How it ended.
    pub verdict: Verdict,
}

/// One bundle's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Name {
    /// The highest number that was given.
    pub last: u64,
    /// The rollout that is not over.
    pub open: Option<Open>,
    /// Those that are, the oldest first.
    pub past: VecDeque<Closed>,
}

impl Name {
    /// How a rollout has ended: `None` while it is not decided; one that is not known of has been aborted, or was never begun.
    #[must_use]
    pub fn verdict(&self, number: u64) -> Option<Verdict> {
        if let Some(open) = self.open.as_ref().filter(|open| open.number == number) {
            return open.verdict.clone();
        }
        let closed = self.past.iter().find(|closed| closed.number == number);
        Some(closed.map_or_else(Verdict::unknown, |closed| closed.verdict.clone()))
    }
}

/// All names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ledger {
    names: BTreeMap<String, Name>,
}

impl Ledger {
    /// What is known of a name.
    #[must_use]
    pub fn name(&self, bundle: &str) -> Option<&Name> {
        self.names.get(bundle)
    }

    /// All names, in their order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Name)> {
        self.names.iter().map(|(bundle, name)| (bundle.as_str(), name))
    }

    /// Does what a command says. A command that comes twice is answered the same, as far as nothing came between.
    pub fn apply(&mut self, command: Command) -> Answer {
        match command {
            Command::Begin { token, by, plan, after } => self.begin(token, by, plan, after),
            Command::Take { ticket, by } => self.take(&ticket, by),
            Command::Decide { ticket, verdict } => self.decide(&ticket, verdict),
            Command::Pause { bundle, paused } => {
                self.wish(&bundle, None, |open| open.paused = paused)
            }
            Command::Abort { bundle, number, why } => self.wish(&bundle, number, |open| {
                open.abort.get_or_insert_with(|| short(&why));
            }),
            Command::Look { bundle, number } => self.look(&bundle, number),
            Command::Close { ticket } => self.close(&ticket),
        }
    }

    fn begin(&mut self, token: u64, by: Party, plan: Plan, after: u64) -> Answer {
        if !self.names.contains_key(&plan.bundle) && self.names.len() >= NAMES_MAX {
            self.forget_one();
        }
        let name = self.names.entry(plan.bundle.clone()).or_default();
        match &name.open {
            Some(open) if open.token == token && open.by == by => Answer::Yours(open.ticket()),
            Some(open) => Answer::Held(open.by.clone()),
            None => {
                name.last = name.last.max(after).saturating_add(1);
                let (number, epoch) = (name.last, 1);
                let (paused, abort, verdict) = (false, None, None);
                let open = Open { number, epoch, token, by, plan, paused, abort, verdict };
                Answer::Yours(name.open.insert(open).ticket())
            }
        }
    }

    fn take(&mut self, ticket: &Ticket, by: Party) -> Answer {
        let Some(open) = self.open(ticket) else { return Answer::None };
        if open.epoch == ticket.epoch {
            open.epoch = open.epoch.saturating_add(1);
            open.by = by;
        } else if open.by != by {
            return Answer::Fenced(open.by.clone());
        }
        Answer::Yours(open.ticket())
    }

    fn decide(&mut self, ticket: &Ticket, verdict: Verdict) -> Answer {
        let Some(open) = self.open(ticket) else { return self.look(&ticket.bundle, ticket.number) };
        if open.epoch != ticket.epoch {
            return Answer::Fenced(open.by.clone());
        }
        // A wish that came before is as good as a no.
        let why = open.abort.clone().filter(|_| verdict.commit);
        let verdict = why.map_or(verdict, |why| Verdict { commit: false, why });
        let verdict = Verdict { why: short(&verdict.why), ..verdict };
        Answer::Decided(open.verdict.get_or_insert(verdict).clone())
    }

    fn look(&self, bundle: &str, number: u64) -> Answer {
        let Some(name) = self.name(bundle) else { return Answer::Decided(Verdict::unknown()) };
        match (name.verdict(number), &name.open) {
            (Some(verdict), _) => Answer::Decided(verdict),
            (None, Some(open)) => Answer::Open(open.by.clone()),
            (None, None) => Answer::None,
        }
    }

    fn close(&mut self, ticket: &Ticket) -> Answer {
        let Some(open) = self.open(ticket) else { return Answer::Done };
        if open.epoch != ticket.epoch {
            return Answer::Fenced(open.by.clone());
        }
        let Some(verdict) = open.verdict.clone() else { return Answer::None };
        let (address, version) = (open.plan.address.clone(), open.plan.version);
        let closed = Closed { number: ticket.number, address, version, verdict };
        if let Some(name) = self.names.get_mut(&ticket.bundle) {
            name.open = None;
            if name.past.len() == PAST_MAX {
                name.past.pop_front();
            }
            name.past.push_back(closed);
        }
        Answer::Done
    }

    fn wish(&mut self, bundle: &str, number: Option<u64>, wish: impl FnOnce(&mut Open)) -> Answer {
        let open = self.names.get_mut(bundle).and_then(|name| name.open.as_mut());
        let open = open.filter(|open| number.is_none_or(|number| number == open.number));
        let Some(open) = open else { return Answer::None };
        if let Some(verdict) = &open.verdict {
            return Answer::Decided(verdict.clone());
        }
        wish(open);
        Answer::Wanted(open.by.clone())
    }

    fn open(&mut self, ticket: &Ticket) -> Option<&mut Open> {
        let open = self.names.get_mut(&ticket.bundle)?.open.as_mut()?;
        (open.number == ticket.number).then_some(open)
    }

    /// Of names of which nothing is open, the one with the lowest number is forgotten.
    fn forget_one(&mut self) {
        let idle = self.names.iter().filter(|(_, name)| name.open.is_none());
        let idle = idle.min_by_key(|(_, name)| name.last).map(|(bundle, _)| bundle.clone());
        if let Some(bundle) = idle {
            self.names.remove(&bundle);
        }
    }
}
