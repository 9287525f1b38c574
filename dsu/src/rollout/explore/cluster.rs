//! The cluster in which every order of events is tried.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use midflight_message::NodeId;

use crate::control::lease::{Leases, NotNow};
use crate::policy::Policy;
use crate::protocol::Objection;
use crate::rollout::gates::Gates;
use crate::rollout::kernel::Rollout;
use crate::rollout::ledger::{Answer, Command, Ledger, Party, Plan, Ticket, Verdict};
use crate::rollout::steps::{Action, Ask, Input, Phase, Said};

pub(super) const NODES: usize = 3;
pub(super) const BUNDLE: &str = "x";

/// A node that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) lives: bool,
    pub(super) is_new: bool,
    pub(super) leases: Leases,
}

/// Somebody who drives, or drove, the rollout.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    pub(super) at: usize,
    pub(super) lives: bool,
    pub(super) rollout: Rollout,
    /// Commands of it that the log has not answered.
    pub(super) commands: VecDeque<Command>,
    /// The wave that it is to look at.
    pub(super) look: Option<usize>,
}

impl Driver {
    pub(super) fn drives(&self) -> bool {
        self.lives && self.rollout.phase() != Phase::Over
    }
}

/// A request or its answer on its way; those of one driver and one node stay in their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Letter {
    Request(Ticket, Ask),
    Answer(Ask, Said),
}

#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) ledger: Ledger,
    pub(super) nodes: Vec<Node>,
    pub(super) drivers: Vec<Driver>,
    /// By driver and node: to the node, and back.
    pub(super) letters: BTreeMap<(usize, usize, bool), VecDeque<Letter>>,
    pub(super) crashes: u32,
    pub(super) refusals: u32,
    pub(super) take_overs: u32,
    pub(super) wishes: u32,
    pub(super) bounds: Bounds,
}

/// What may go wrong in one exploration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) refusals: u32,
    pub(super) crashes: u32,
    /// A driver that lives is taken for dead.
    pub(super) suspicions: u32,
    /// Waves are looked at before the next one follows.
    pub(super) gates: bool,
    /// What an operator wants, beside that what waits for a person goes on.
    pub(super) wishes: u32,
}

impl Bounds {
    pub(super) const NONE: Self =
        Self { refusals: 0, crashes: 0, suspicions: 0, gates: false, wishes: 0 };
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// The next letter between a driver and a node arrives; the node says yes, or no where it may.
    Arrives((usize, usize, bool), bool),
    /// The log takes in a driver's next command.
    Logged(usize),
    /// A node crashes, with whoever drives there.
    Crash(usize),
    /// A node takes the rollout over.
    TakeOver(usize),
    /// A node that was promised to somebody asks the log.
    Asks(usize),
    /// A driver looks at the wave that it is to look at.
    Looks(usize, View),
    /// An operator wants it to stop, to go on, or to end. The log has it; of a wish to end, the driver may not hear.
    Pauses(bool),
    Aborts {
        is_told: bool,
    },
}

/// What a look shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum View {
    Good,
    Bad,
    Unclear,
}

pub(super) fn party(node: usize) -> Party {
    Party { name: format!("n{node}"), id: NodeId(node as u64 + 1) }
}

pub(super) fn objection() -> Objection {
    let (node, step, reason) = ("n".to_owned(), "switch".to_owned(), "no".to_owned());
    Objection { node, step, reason, type_name: None, field: None }
}

impl Cluster {
    pub(super) fn new(waves: &[&[usize]], bounds: Bounds) -> Self {
        let gated = bounds.gates;
        let wave = |wave: &&[usize]| wave.iter().map(|node| party(*node)).collect();
        let plan = Plan {
            bundle: BUNDLE.into(),
            address: "new".into(),
            version: 2,
            policy: Policy::Migrate,
            waves: waves.iter().map(wave).collect(),
            gates: gated.then(Gates::default),
            back: None,
            goes_back: false,
        };
        let mut ledger = Ledger::default();
        let begin = Command::Begin { token: 1, by: party(0), plan: plan.clone(), after: 0 };
        let Answer::Yours(ticket) = ledger.apply(begin) else { panic!("it opens") };
        let node = Node { lives: true, is_new: false, leases: Leases::default() };
        let mut cluster = Self {
            ledger,
            nodes: vec![node; NODES],
            drivers: Vec::new(),
            letters: BTreeMap::new(),
            crashes: 0,
            refusals: 0,
            take_overs: 0,
            wishes: 0,
            bounds,
        };
        cluster.drive(0, Rollout::begun(plan, ticket));
        cluster
    }

    fn drive(&mut self, at: usize, (rollout, actions): (Rollout, Vec<Action>)) {
        let (commands, look) = (VecDeque::new(), None);
        self.drivers.push(Driver { at, lives: true, rollout, commands, look });
        self.act(self.drivers.len() - 1, actions);
    }

    pub(super) fn act(&mut self, driver: usize, actions: Vec<Action>) {
        let ticket = self.drivers[driver].rollout.ticket().clone();
        for action in actions {
            let commands = &mut self.drivers[driver].commands;
            match action {
                Action::Ask { member, ask } => {
                    let at = self.node_of(driver, member);
                    let letters = self.letters.entry((driver, at, true)).or_default();
                    letters.push_back(Letter::Request(ticket.clone(), ask));
                }
                Action::Decide(verdict) => {
                    commands.push_back(Command::Decide { ticket: ticket.clone(), verdict });
                }
                Action::Close => commands.push_back(Command::Close { ticket: ticket.clone() }),
                Action::AgainLater => {
                    let again = self.drivers[driver].rollout.take(Input::Again);
                    self.act(driver, again);
                }
                Action::Look { wave } => self.drivers[driver].look = Some(wave),
                Action::End(_) => {}
            }
        }
    }

    fn node_of(&self, driver: usize, member: usize) -> usize {
        let id = self.drivers[driver].rollout.plan().members().nth(member).map(|party| party.id.0);
        id.map_or(0, |id| usize::try_from(id).unwrap_or(1) - 1)
    }

    fn member_of(&self, driver: usize, node: usize) -> usize {
        let id = party(node).id;
        let mut members = self.drivers[driver].rollout.plan().members();
        members.position(|party| party.id == id).unwrap_or(0)
    }

    /// What can happen next.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (&(driver, node, to_node), letters) in &self.letters {
            let Some(letter) = letters.front() else { continue };
            if !to_node {
                events.push(Event::Arrives((driver, node, to_node), true));
                continue;
            }
            events.push(Event::Arrives((driver, node, to_node), true));
            let may_refuse = matches!(letter, Letter::Request(_, Ask::Stage | Ask::Activate));
            if may_refuse && self.refusals < self.bounds.refusals && self.nodes[node].lives {
                events.push(Event::Arrives((driver, node, to_node), false));
            }
        }
        for (at, driver) in self.drivers.iter().enumerate() {
            if driver.lives && !driver.commands.is_empty() {
                events.push(Event::Logged(at));
            }
        }
        self.looks_and_wishes(&mut events);
        let is_open = self.ledger.name(BUNDLE).is_some_and(|name| name.open.is_some());
        if self.crashes < self.bounds.crashes && is_open {
            events.extend((0..NODES).map(Event::Crash));
        }
        let may_take =
            self.take_overs < self.bounds.suspicions || self.drivers.iter().all(|it| !it.drives());
        if is_open && may_take && self.take_overs < 2 {
            let living = (1..NODES).find(|node| self.nodes[*node].lives);
            events.extend(living.map(Event::TakeOver));
        }
        for (node, state) in self.nodes.iter().enumerate() {
            let orphans = state.leases.orphans(|by, _, _| self.is_heard(by));
            if state.lives && !orphans.is_empty() {
                events.push(Event::Asks(node));
            }
        }
        events
    }

    /// Whether somebody drives at that node.
    fn is_heard(&self, by: NodeId) -> bool {
        self.drivers.iter().any(|driver| driver.drives() && party(driver.at).id == by)
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(way, yes) => self.arrive(way, yes),
            Event::Logged(driver) => {
                let Some(command) = self.drivers[driver].commands.pop_front() else { return };
                let answer = self.ledger.apply(command);
                let actions = self.drivers[driver].rollout.take(Input::Logged(answer));
                self.act(driver, actions);
            }
            Event::Crash(node) => self.crash(node),
            Event::TakeOver(node) => self.take_over(node),
            Event::Asks(node) => self.ask_the_log(node),
            Event::Looks(driver, view) => self.looks(driver, view),
            wish => self.wishes(wish),
        }
    }

    fn arrive(&mut self, (driver, node, to_node): (usize, usize, bool), yes: bool) {
        let letters = self.letters.get_mut(&(driver, node, to_node));
        let Some(letter) = letters.and_then(VecDeque::pop_front) else { return };
        match letter {
            Letter::Request(ticket, ask) => {
                if !self.nodes[node].lives {
                    return self.tell_gone(driver, node);
                }
                self.refusals += u32::from(!yes);
                let said = self.answer(driver, node, &ticket, ask, yes);
                let back = self.letters.entry((driver, node, false)).or_default();
                back.push_back(Letter::Answer(ask, said));
            }
            Letter::Answer(ask, said) => {
                if self.drivers[driver].lives {
                    let member = self.member_of(driver, node);
                    let actions =
                        self.drivers[driver].rollout.take(Input::Said { member, ask, said });
                    self.act(driver, actions);
                }
            }
        }
    }

    fn tell_gone(&mut self, driver: usize, node: usize) {
        if self.drivers[driver].lives {
            let member = self.member_of(driver, node);
            let actions = self.drivers[driver].rollout.take(Input::Gone { member });
            self.act(driver, actions);
        }
    }

    /// What the shell of a node does, without anything that takes time.
    fn answer(&mut self, driver: usize, node: usize, ticket: &Ticket, ask: Ask, yes: bool) -> Said {
        let by = party(self.drivers[driver].at);
        let heard: Vec<_> =
            self.drivers.iter().filter(|it| it.lives).map(|it| party(it.at).id).collect();
        let node = &mut self.nodes[node];
        let no = |_: NotNow| Said::No(objection());
        match ask {
            Ask::Claim => {
                let claimed = node.leases.claim(ticket, &by, |id| heard.contains(&id));
                claimed.map_or_else(no, |()| Said::Yes)
            }
            Ask::Stage => {
                if yes {
                    Said::Yes
                } else {
                    Said::No(objection())
                }
            }
            Ask::Activate => match node.leases.begin_activation(ticket) {
                Ok(()) => {
                    node.is_new |= yes;
                    node.leases.end_activation(ticket, yes);
                    if yes { Said::Yes } else { Said::No(objection()) }
                }
                Err(refused) => no(refused),
            },
            Ask::Deactivate => match node.leases.begin_way_back(ticket) {
                Ok(is_active) => {
                    if is_active {
                        node.is_new = false;
                        node.leases.end_way_back(ticket);
                    }
                    Said::Yes
                }
                Err(refused) => no(refused),
            },
            Ask::Settle { .. } => node.leases.settle(ticket).map_or_else(no, |_| Said::Yes),
        }
    }

    fn crash(&mut self, node: usize) {
        self.crashes += 1;
        self.nodes[node].lives = false;
        for driver in &mut self.drivers {
            driver.lives &= driver.at != node;
        }
    }

    fn take_over(&mut self, node: usize) {
        self.take_overs += 1;
        let Some(open) = self.ledger.name(BUNDLE).and_then(|name| name.open.clone()) else {
            return;
        };
        let take = Command::Take { ticket: open.ticket(), by: party(node) };
        if let Answer::Yours(ticket) = self.ledger.apply(take) {
            self.drive(node, Rollout::taken_over(open.plan, ticket, open.verdict.as_ref()));
        }
    }

    fn ask_the_log(&mut self, node: usize) {
        let orphans = self.nodes[node].leases.orphans(|by, _, _| self.is_heard(by));
        for (ticket, ..) in orphans {
            let look = Command::Look { bundle: BUNDLE.into(), number: ticket.number };
            let Answer::Decided(Verdict { commit, .. }) = self.ledger.apply(look) else { continue };
            let node = &mut self.nodes[node];
            if !commit && node.leases.begin_way_back(&ticket) == Ok(true) {
                node.is_new = false;
                node.leases.end_way_back(&ticket);
            }
            node.leases.settle(&ticket).expect("nobody else asks in between");
        }
    }

    /// Nothing more can happen: is it as it should be?
    pub(super) fn judge(&self) -> Result<bool, String> {
        let name = self.ledger.name(BUNDLE).ok_or("no name")?;
        if let Some(open) = &name.open {
            return Err(format!("it never ends: {open:?}"));
        }
        let commit = name.past.back().ok_or("no past")?.verdict.commit;
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.lives) {
            if node.is_new != commit {
                return Err(format!(
                    "node {at} runs what is {}, and it was decided: {commit}",
                    if node.is_new { "new" } else { "old" }
                ));
            }
            if node.leases.is_claimed(BUNDLE, |_| true) {
                return Err(format!("node {at} is still claimed"));
            }
        }
        Ok(commit)
    }

    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let Self { ledger, nodes, drivers, letters, crashes, refusals, take_overs, wishes, .. } =
            self;
        (ledger, nodes, crashes, refusals, take_overs, wishes).hash(&mut hasher);
        for Driver { at, lives, rollout, commands, look } in drivers {
            (at, lives, rollout, commands, look).hash(&mut hasher);
        }
        for (way, letters) in letters.iter().filter(|(_, letters)| !letters.is_empty()) {
            (way, letters).hash(&mut hasher);
        }
        hasher.finish()
    }
}
