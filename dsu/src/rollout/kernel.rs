//! One rollout as whoever drives it sees it: what nodes and the log answer goes in, what they are asked next comes out
//! (R4). Pure: nothing is asked here, and no time passes.
//!
//! The order is: the log opens it; every node is claimed, one after the other; all stage; wave by wave they activate, and where
//! it has gates each wave but the last is looked at before the next one follows; the log decides; all hear of it; the log closes it. From anywhere before the decision a no leads to an abort, and that is a
//! decision of the log's, too. Who takes a rollout over begins at the decision: what is not decided is aborted.
//! Each question may be asked twice: an answer that is not waited for is passed over.

mod looks;

use std::collections::BTreeMap;

use crate::history::short;
use crate::protocol::Objection;
use crate::rollout::ledger::{Answer, Plan, Ticket, Verdict};
use crate::rollout::steps::{Action, Ask, End, Input, Phase, Said};

/// How often a node that does not answer is asked to take in what was decided; after that it finds out by itself.
const TELLINGS_MAX: u32 = 3;

/// A rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Rollout {
    plan: Plan,
    ticket: Ticket,
    phase: Phase,
    /// Of whom an answer is awaited.
    open: BTreeMap<usize, Ask>,
    /// Who is to be asked again, in the phases in which that may go on for long.
    silent: BTreeMap<usize, Ask>,
    /// Nobody asks these any more.
    gone: Vec<bool>,
    /// These have something to be told when it ends, and these may run what is new.
    claimed: Vec<bool>,
    touched: Vec<bool>,
    paused: bool,
    /// Whether a wave is being looked at: one look is under way at a time.
    looking: bool,
    /// What the gates have said that were passed, and why the one that holds it does.
    passed: Vec<String>,
    unsure: Option<String>,
    tellings: u32,
    because: Vec<Objection>,
    left: Vec<Objection>,
    /// Why the log does not answer, while it does not.
    no_majority: Option<String>,
}

impl Rollout {
    /// One that was just begun.
    pub(crate) fn begun(plan: Plan, ticket: Ticket) -> (Self, Vec<Action>) {
        let mut rollout = Self::new(plan, ticket, Phase::Claim(0));
        let mut actions = Vec::new();
        rollout.claim_next(&mut actions);
        (rollout, actions)
    }

    /// One that was taken over from whoever drove it before: it goes on with its decision, or is aborted.
    pub(crate) fn taken_over(
        plan: Plan,
        ticket: Ticket,
        verdict: Option<&Verdict>,
    ) -> (Self, Vec<Action>) {
        let mut rollout = Self::new(plan, ticket, Phase::Decide { commit: false });
        // What was asked of whom is not known.
        rollout.claimed.fill(true);
        rollout.touched.fill(true);
        let mut actions = Vec::new();
        match verdict {
            Some(verdict) => rollout.decided(verdict, &mut actions),
            None => {
                let why = "whoever drove it is gone";
                rollout.because.push(objection("", "drive", why));
                rollout.decide(false, &mut actions);
            }
        }
        (rollout, actions)
    }

    fn new(plan: Plan, ticket: Ticket, phase: Phase) -> Self {
        let gone = vec![false; plan.members().count()];
        let (claimed, touched) = (gone.clone(), gone.clone());
        let (open, silent, because, left) = Default::default();
        let (passed, unsure, no_majority) = Default::default();
        let (paused, looking, tellings) = (false, false, 0);
        Self {
            plan,
            ticket,
            phase,
            open,
            silent,
            gone,
            claimed,
            touched,
            paused,
            looking,
            passed,
            unsure,
            tellings,
            because,
            left,
            no_majority,
        }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The nodes it waits for, by their number in the plan.
    pub(crate) fn waits_for(&self) -> impl Iterator<Item = (usize, Ask)> {
        self.open.iter().chain(&self.silent).map(|(member, ask)| (*member, *ask))
    }

    /// Takes in what happens, and answers what is to be done.
    pub(crate) fn take(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Said { member, ask, said } => self.said(member, ask, said, &mut actions),
            Input::Gone { member } => self.is_gone(member, &mut actions),
            Input::Logged(answer) => self.logged(answer, &mut actions),
            Input::NoMajority(why) => {
                self.no_majority = Some(why);
                actions.push(Action::AgainLater);
            }
            Input::Paused(paused) => {
                self.paused = paused;
                match self.phase {
                    Phase::Paused(wave) if !paused => self.wave(wave, &mut actions),
                    Phase::Held(wave) if !paused => {
                        let unsure = self.unsure.take().unwrap_or_default();
                        self.passed.push(format!("an operator has decided: {unsure}"));
                        self.wave(wave + 1, &mut actions);
                    }
                    _ => {}
                }
            }
            Input::Abort(why) => {
                if self.phase < (Phase::Decide { commit: false }) {
                    self.because.push(objection("", "abort", &why));
                    self.decide(false, &mut actions);
                }
            }
            Input::Again => self.again(&mut actions),
            Input::Looked { wave, looked } => {
                self.looking = false;
                self.looked(wave, looked, &mut actions);
                self.look(&mut actions);
            }
        }
        actions
    }

    fn said(&mut self, member: usize, ask: Ask, said: Said, actions: &mut Vec<Action>) {
        if self.open.get(&member) != Some(&ask) {
            return;
        }
        self.open.remove(&member);
        match (self.phase, said) {
            (Phase::Claim(_) | Phase::Stage | Phase::Wave(_), Said::Yes) => self.next(actions),
            (Phase::Claim(_) | Phase::Stage | Phase::Wave(_), Said::No(no) | Said::Silent(no)) => {
                self.because.push(no);
                // Every node's reason is of use: of those that are asked all are heard.
                if self.open.is_empty() {
                    self.decide(false, actions);
                }
            }
            // Who was asked for no more than a promise finds out by itself that it is over.
            (Phase::Settle { commit: false }, Said::Silent(_)) if !self.touched[member] => {
                self.next(actions);
            }
            (Phase::Back | Phase::Settle { .. }, Said::Silent(_)) => {
                self.silent.insert(member, ask);
                self.next(actions);
            }
            (Phase::Back | Phase::Settle { .. }, Said::No(no)) => {
                self.left.push(no);
                self.next(actions);
            }
            (Phase::Back | Phase::Settle { .. }, Said::Yes) => self.next(actions),
            _ => {}
        }
    }

    fn is_gone(&mut self, member: usize, actions: &mut Vec<Action>) {
        if std::mem::replace(&mut self.gone[member], true) {
            return;
        }
        self.silent.remove(&member);
        self.open.remove(&member);
        match self.phase {
            // It had no part in it yet, and has no say; when it comes back it catches up.
            Phase::Claim(_) => self.next(actions),
            // Whatever it was, what is new may have been the reason.
            Phase::Stage | Phase::Wave(_) | Phase::Gate(_) | Phase::Held(_) | Phase::Paused(_) => {
                self.because.push(self.lost(member));
                if self.open.is_empty() {
                    self.decide(false, actions);
                }
            }
            Phase::Back | Phase::Settle { .. } => self.next(actions),
            Phase::Decide { .. } | Phase::Close | Phase::Over => {}
        }
    }

    fn lost(&self, member: usize) -> Objection {
        let name = self.plan.members().nth(member).map_or("", |party| &party.name);
        objection(name, "link", "the node is gone")
    }

    fn logged(&mut self, answer: Answer, actions: &mut Vec<Action>) {
        self.no_majority = None;
        match (self.phase, answer) {
            (Phase::Decide { .. }, Answer::Decided(verdict)) => self.decided(&verdict, actions),
            (Phase::Close, Answer::Done | Answer::None | Answer::Decided(_)) => self.end(actions),
            (Phase::Over, _) => {}
            (_, Answer::Fenced(by) | Answer::Held(by)) => {
                self.phase = Phase::Over;
                self.open.clear();
                actions.push(Action::End(End::TakenOver(by.name)));
            }
            (Phase::Decide { .. }, Answer::None) => {
                let verdict = Verdict { commit: false, why: "the log has forgotten it".into() };
                self.decided(&verdict, actions);
            }
            _ => {}
        }
    }

    /// Goes on, if all that was asked in this phase is answered.
    fn next(&mut self, actions: &mut Vec<Action>) {
        if !self.open.is_empty() {
            return;
        }
        if !self.because.is_empty() && self.phase < (Phase::Decide { commit: false }) {
            return self.decide(false, actions);
        }
        match self.phase {
            Phase::Claim(done) => {
                self.phase = Phase::Claim(done + 1);
                self.claim_next(actions);
            }
            Phase::Stage => self.wave(0, actions),
            Phase::Wave(wave) if self.plan.gates.is_some() && wave + 1 < self.plan.waves.len() => {
                self.phase = Phase::Gate(wave);
                self.look(actions);
            }
            Phase::Wave(wave) => self.wave(wave + 1, actions),
            Phase::Back | Phase::Settle { .. } if !self.silent.is_empty() => {
                if self.tellings < TELLINGS_MAX {
                    actions.push(Action::AgainLater);
                } else {
                    self.give_up(actions);
                }
            }
            Phase::Back => self.settle(false, actions),
            Phase::Settle { .. } => {
                self.phase = Phase::Close;
                actions.push(Action::Close);
            }
            _ => {}
        }
    }

    fn claim_next(&mut self, actions: &mut Vec<Action>) {
        let Phase::Claim(done) = self.phase else { return };
        // In an order that all have who drive rollouts: of two that begin at once one is refused at the first.
        let mut order: Vec<_> = self.plan.members().map(|party| party.id).enumerate().collect();
        order.sort_by_key(|(_, id)| *id);
        let next = (done..order.len()).find(|at| !self.gone[order[*at].0]);
        match next {
            Some(at) => {
                self.phase = Phase::Claim(at);
                self.ask(order[at].0, Ask::Claim, actions);
            }
            None => {
                self.phase = Phase::Stage;
                self.ask_all(Ask::Stage, |_| true, actions);
            }
        }
    }

    fn wave(&mut self, wave: usize, actions: &mut Vec<Action>) {
        let Some(size) = self.plan.waves.get(wave).map(Vec::len) else {
            return self.decide(true, actions);
        };
        if self.paused {
            self.phase = Phase::Paused(wave);
            return self.look(actions);
        }
        self.phase = Phase::Wave(wave);
        let first: usize = self.plan.waves[..wave].iter().map(Vec::len).sum();
        self.ask_all(Ask::Activate, |member| (first..first + size).contains(&member), actions);
    }

    fn decide(&mut self, commit: bool, actions: &mut Vec<Action>) {
        self.open.clear();
        self.phase = Phase::Decide { commit };
        actions.push(Action::Decide(self.verdict(commit)));
    }

    fn verdict(&self, commit: bool) -> Verdict {
        let reasons = self.because.iter().map(|no| match &*no.node {
            "" => no.reason.clone(),
            node => format!("{node} ({}): {}", no.step, no.reason),
        });
        let why: Vec<_> = if commit {
            let every = String::from("every node runs it");
            [every].into_iter().chain(self.passed.iter().cloned()).collect()
        } else {
            reasons.collect()
        };
        Verdict { commit, why: short(&why.join("; ")) }
    }

    fn decided(&mut self, verdict: &Verdict, actions: &mut Vec<Action>) {
        self.tellings = 0;
        if verdict.commit {
            self.because.clear();
            return self.settle(true, actions);
        }
        if self.because.is_empty() {
            self.because.push(objection("", "decide", &verdict.why));
        }
        self.phase = Phase::Back;
        let touched = self.touched.clone();
        self.ask_all(Ask::Deactivate, |member| touched[member], actions);
    }

    fn settle(&mut self, commit: bool, actions: &mut Vec<Action>) {
        self.phase = Phase::Settle { commit };
        let claimed = self.claimed.clone();
        self.ask_all(Ask::Settle { commit }, |member| claimed[member], actions);
    }

    /// Asks all of those that are not gone; goes on when there are none.
    fn ask_all(&mut self, ask: Ask, whom: impl Fn(usize) -> bool, actions: &mut Vec<Action>) {
        for member in 0..self.gone.len() {
            if !self.gone[member] && whom(member) {
                self.ask(member, ask, actions);
            }
        }
        if self.open.is_empty() {
            self.next(actions);
        }
    }

    fn ask(&mut self, member: usize, ask: Ask, actions: &mut Vec<Action>) {
        self.claimed[member] |= ask == Ask::Claim;
        self.touched[member] |= ask == Ask::Activate;
        self.open.insert(member, ask);
        actions.push(Action::Ask { member, ask });
    }

    fn again(&mut self, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Decide { commit } => actions.push(Action::Decide(self.verdict(commit))),
            Phase::Close => actions.push(Action::Close),
            Phase::Back | Phase::Settle { .. } if self.open.is_empty() => {
                self.tellings += 1;
                for (member, ask) in std::mem::take(&mut self.silent) {
                    self.ask(member, ask, actions);
                }
            }
            _ => {}
        }
    }

    /// Those that do not answer find out by themselves what was decided: they ask the log.
    fn give_up(&mut self, actions: &mut Vec<Action>) {
        for (member, _) in std::mem::take(&mut self.silent) {
            self.gone[member] = true;
            let name = self.plan.members().nth(member).map_or("", |party| &party.name);
            let why =
                "it does not answer; it does what was decided as soon as it can be heard again";
            self.left.push(objection(name, "tell", why));
        }
        self.next(actions);
    }

    fn end(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Over;
        let (because, left) = (std::mem::take(&mut self.because), std::mem::take(&mut self.left));
        let end = match because.is_empty() {
            true => End::Committed { late: left },
            false => End::Aborted { because, left },
        };
        actions.push(Action::End(end));
    }
}

fn objection(node: &str, step: &str, reason: &str) -> Objection {
    let (node, step, reason) = (node.to_owned(), step.to_owned(), reason.to_owned());
    Objection { node, step, reason, type_name: None, field: None }
}
