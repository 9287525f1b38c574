//! Driving a rollout: does what its kernel says, and tells it what came of it (R4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use midflight_process::message::Message;
use midflight_process::{Context, NodeId, Pid};
use midflight_runtime::Instant;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Control;
use super::gate::Watched;
use super::others::ask;
use crate::protocol::{
    Activate, Activated, CONTROL, Claim, Claimed, Deactivate, Deactivated, Driven, GateStatus,
    Objection, Progress, Release, Released, Stage, Vote, millis,
};
use crate::rollout::kernel::Rollout;
use crate::rollout::ledger::{Command, Party, Ticket};
use crate::rollout::steps::{Action, Ask, End, Input, Phase, Said};

/// How long a node may take to say whether a name is free, or to take in how it ended.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a node may take to fetch, check, probe and load.
const STAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a node may take to switch its processes.
const ACTIVATE_TIMEOUT: Duration = Duration::from_secs(300);
/// The time before a node, or the log, that did not answer is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// What operators may want of one rollout before it has been looked at.
const WISHES_MAX: usize = 16;

/// The rollouts that this node drives, by their bundles' names.
#[derive(Debug, Clone, Default)]
pub(super) struct Drivers(Arc<Mutex<BTreeMap<String, Driver>>>);

#[derive(Debug)]
struct Driver {
    ticket: Ticket,
    wishes: mpsc::Sender<Input>,
    shown: Shown,
}

/// What is shown of a rollout.
#[derive(Debug, Clone)]
struct Shown {
    phase: Phase,
    since: Instant,
    waits_for: Vec<String>,
    blocked: Option<String>,
    gates: Vec<GateStatus>,
}

impl Drivers {
    /// Whether this node drives that rollout.
    pub(super) fn drives(&self, bundle: &str, number: u64) -> bool {
        self.0.lock().get(bundle).is_some_and(|driver| driver.ticket.number == number)
    }

    /// Passes on what an operator wants.
    pub(super) fn wish(&self, bundle: &str, wish: Input) {
        if let Some(driver) = self.0.lock().get(bundle) {
            // Without room there are sixteen wishes before it.
            let _ = driver.wishes.try_send(wish);
        }
    }

    /// What is driven, for operators.
    pub(super) fn shown(&self, now: Instant) -> Vec<Driven> {
        let drivers = self.0.lock();
        let shown = drivers.iter().map(|(bundle, Driver { ticket, shown, .. })| Driven {
            bundle: bundle.clone(),
            number: ticket.number,
            step: step(shown.phase),
            millis: millis(now.since(shown.since)),
            waits_for: shown.waits_for.clone(),
            blocked: shown.blocked.clone(),
            gates: shown.gates.clone(),
        });
        shown.collect()
    }
}

fn step(phase: Phase) -> String {
    match phase {
        Phase::Claim(_) => "claim".into(),
        Phase::Stage => "stage".into(),
        Phase::Wave(wave) => format!("wave {}", wave + 1),
        Phase::Gate(wave) => format!("gate of wave {}", wave + 1),
        Phase::Held(wave) => format!("held after wave {}", wave + 1),
        Phase::Paused(wave) => format!("paused before wave {}", wave + 1),
        Phase::Decide { .. } => "decide".into(),
        Phase::Back => "back".into(),
        Phase::Settle { .. } => "settle".into(),
        Phase::Close | Phase::Over => "close".into(),
    }
}

/// Takes a rollout off the list of those that are driven, however its process ends.
struct OffTheList<'a>(&'a Drivers, Ticket);

impl Drop for OffTheList<'_> {
    fn drop(&mut self) {
        let OffTheList(Drivers(drivers), ticket) = self;
        let mut drivers = drivers.lock();
        if drivers.get(&ticket.bundle).is_some_and(|driver| driver.ticket == *ticket) {
            drivers.remove(&ticket.bundle);
        }
    }
}

/// How a rollout was, for who asked for it.
#[derive(Debug)]
pub(super) struct Driving {
    pub(super) end: End,
    /// Processes that were switched.
    pub(super) switched: u64,
    /// The nodes that run what is new.
    pub(super) active: Vec<String>,
    /// The highest number of a decision that any node knows of.
    pub(super) highest: u64,
}

/// A rollout under way.
pub(super) struct Drive<'a> {
    pub(super) control: &'a Control,
    pub(super) cx: &'a Context,
    pub(super) members: Vec<Party>,
    pub(super) rollout: Mutex<Rollout>,
    pub(super) watched: Mutex<Watched>,
    watcher: Option<Pid>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    switched: u64,
    active: Vec<String>,
    highest: u64,
}

impl Control {
    /// Drives a rollout to its end.
    pub(super) async fn drive(
        &self,
        cx: &Context,
        (rollout, actions): (Rollout, Vec<Action>),
        watcher: Option<Pid>,
    ) -> Driving {
        let (tell, mut wishes) = mpsc::channel(WISHES_MAX);
        let ticket = rollout.ticket().clone();
        let now = || self.server.node().runtime().now();
        let (phase, since) = (rollout.phase(), now());
        let (waits_for, gates) = Default::default();
        let shown = Shown { phase, since, waits_for, blocked: None, gates };
        let driver = Driver { ticket: ticket.clone(), wishes: tell, shown };
        self.drivers.0.lock().insert(ticket.bundle.clone(), driver);
        let _listed = OffTheList(&self.drivers, ticket);
        let members = rollout.plan().members().cloned().collect();
        let (rollout, seen, watched) = (Mutex::new(rollout), Mutex::default(), Mutex::default());
        let drive = Drive { control: self, cx, members, rollout, watched, watcher, seen };
        let end = drive.run(actions, &mut wishes).await;
        let Seen { switched, active, highest } = drive.seen.into_inner();
        Driving { end, switched, active, highest }
    }
}

impl Drive<'_> {
    async fn run(&self, mut actions: Vec<Action>, wishes: &mut mpsc::Receiver<Input>) -> End {
        let mut asked: FuturesUnordered<BoxFuture<'_, Input>> = FuturesUnordered::new();
        loop {
            for action in actions.drain(..) {
                match action {
                    Action::Ask { member, ask } => asked.push(Box::pin(self.ask(member, ask))),
                    Action::Decide(verdict) => {
                        let ticket = self.ticket();
                        asked.push(Box::pin(self.log(Command::Decide { ticket, verdict })));
                    }
                    Action::Close => {
                        let ticket = self.ticket();
                        asked.push(Box::pin(self.log(Command::Close { ticket })));
                    }
                    Action::AgainLater => asked.push(Box::pin(self.again())),
                    Action::Look { wave } => asked.push(Box::pin(self.look(wave))),
                    Action::End(end) => return end,
                }
            }
            self.show();
            let next = std::pin::pin!(wishes.recv());
            let input = match select(asked.next(), next).await {
                Either::Left((Some(input), _)) | Either::Right((Some(input), _)) => input,
                // Paused: nothing is asked, and an operator's word is awaited.
                Either::Left((None, next)) => match next.await {
                    Some(wish) => wish,
                    None => Input::Abort("nobody can end it any more".into()),
                },
                Either::Right((None, _)) => Input::Abort("nobody can end it any more".into()),
            };
            actions = self.rollout.lock().take(input);
        }
    }

    async fn again(&self) -> Input {
        self.cx.sleep(AGAIN_AFTER).await;
        Input::Again
    }

    async fn log(&self, command: Command) -> Input {
        match self.control.voting.propose(&command).await {
            Ok(answer) => Input::Logged(answer),
            Err(error) => {
                tracing::warn!(%error, "a rollout waits for its decision");
                Input::NoMajority(error.to_string())
            }
        }
    }

    /// Makes what is shown to operators true again.
    fn show(&self) {
        let rollout = self.rollout.lock();
        let waits_for = rollout.waits_for().filter_map(|(member, _)| self.members.get(member));
        let now = self.control.server.node().runtime().now();
        let mut drivers = self.control.drivers.0.lock();
        let Some(driver) = drivers.get_mut(&rollout.ticket().bundle) else { return };
        let shown = &mut driver.shown;
        if shown.phase != rollout.phase() {
            (shown.phase, shown.since) = (rollout.phase(), now);
        }
        shown.waits_for = waits_for.map(|party| party.name.clone()).collect();
        shown.blocked = rollout.blocked().map(ToOwned::to_owned);
        shown.gates = self.watched.lock().status().to_vec();
    }

    async fn ask(&self, member: usize, ask: Ask) -> Input {
        let party = &self.members[member];
        let said = match ask {
            Ask::Claim => self.claim(party).await,
            Ask::Stage => self.stage(party).await,
            Ask::Activate => self.activate(party).await,
            Ask::Deactivate => self.deactivate(party).await,
            Ask::Settle { commit } => self.settle(party, commit).await,
        };
        match said {
            Said::Silent(_) if self.is_gone(party.id).await => Input::Gone { member },
            said => Input::Said { member, ask, said },
        }
    }

    /// Whether that life of a node is over, for certain.
    pub(super) async fn is_gone(&self, id: NodeId) -> bool {
        let node = self.control.server.node();
        id != node.id() && node.living_members().await.iter().all(|member| member.id != id)
    }

    fn ticket(&self) -> Ticket {
        self.rollout.lock().ticket().clone()
    }

    async fn claim(&self, party: &Party) -> Said {
        let by = self.control.server.node().name().to_owned();
        let claim = Claim { ticket: self.ticket(), by };
        match self.call::<_, Claimed>(party, claim, CLAIM_TIMEOUT).await {
            Ok(Claimed { no: None, .. }) => Said::Yes,
            Ok(Claimed { no: Some(reason), number }) => {
                let mut seen = self.seen.lock();
                seen.highest = seen.highest.max(number);
                Said::No(about(party, "claim", reason))
            }
            Err(reason) => Said::Silent(about(party, "claim", reason)),
        }
    }

    async fn stage(&self, party: &Party) -> Said {
        let from = self.control.server.node().whereis(CONTROL).unwrap_or_else(|| self.cx.me());
        let (address, goes_back) = {
            let rollout = self.rollout.lock();
            (rollout.plan().address.clone(), rollout.plan().goes_back)
        };
        let stage = Stage { address, from, goes_back };
        match self.call::<_, Vote>(party, stage, STAGE_TIMEOUT).await {
            Ok(Vote::Yes { millis: [fetch, check, probe, load] }) => {
                let detail = format!(
                    "fetched in {fetch} ms, checked in {check} ms, probed in {probe} ms, loaded in {load} ms"
                );
                self.tell(party, "staged", detail);
                Said::Yes
            }
            Ok(Vote::No(objection)) => Said::No(objection),
            Err(reason) => Said::Silent(about(party, "stage", reason)),
        }
    }

    async fn activate(&self, party: &Party) -> Said {
        let (address, policy, back) = {
            let rollout = self.rollout.lock();
            let plan = rollout.plan();
            (plan.address.clone(), plan.policy, plan.back.clone())
        };
        let activate = Activate { address, ticket: self.ticket(), policy, back };
        match self.call::<_, Activated>(party, activate, ACTIVATE_TIMEOUT).await {
            Ok(Activated { undone: Some(objection), .. }) => Said::No(objection),
            Ok(Activated { switched, millis, .. }) => {
                let mut seen = self.seen.lock();
                seen.switched += switched;
                seen.active.push(party.name.clone());
                drop(seen);
                self.tell(
                    party,
                    "activated",
                    format!("{switched} processes run in it, in {millis} ms"),
                );
                Said::Yes
            }
            Err(reason) => Said::Silent(about(party, "switch", reason)),
        }
    }

    async fn deactivate(&self, party: &Party) -> Said {
        let (address, why) = {
            let rollout = self.rollout.lock();
            (rollout.plan().address.clone(), Some(rollout.why_back()))
        };
        let deactivate = Deactivate { address, ticket: self.ticket(), why };
        match self.call::<_, Deactivated>(party, deactivate, ACTIVATE_TIMEOUT).await {
            Ok(Deactivated { objection: Some(busy), again: true }) => Said::Silent(busy),
            Ok(Deactivated { objection: Some(objection), .. }) => Said::No(objection),
            Ok(Deactivated { objection: None, .. }) => Said::Yes,
            Err(reason) => Said::Silent(about(party, "back", reason)),
        }
    }

    async fn settle(&self, party: &Party, commit: bool) -> Said {
        let release = Release { ticket: self.ticket(), done: commit };
        match self.call::<_, Released>(party, release, CLAIM_TIMEOUT).await {
            Ok(Released { no: None }) => Said::Yes,
            Ok(Released { no: Some(reason) }) => Said::Silent(about(party, "settle", reason)),
            Err(reason) => Said::Silent(about(party, "settle", reason)),
        }
    }

    /// Asks a node's control process.
    pub(super) async fn call<M: Message, R: Message>(
        &self,
        party: &Party,
        message: M,
        timeout: Duration,
    ) -> Result<R, String> {
        ask(self.cx, party.id, message, timeout).await
    }

    /// Tells whoever watches, if there is room: it is only news.
    fn tell(&self, party: &Party, step: &str, detail: String) {
        self.tell_of(&party.name, step, detail);
    }

    pub(super) fn tell_of(&self, node: &str, step: &str, detail: String) {
        if let Some(watcher) = self.watcher {
            let progress = Progress { node: node.into(), step: step.into(), detail };
            let _ = self.cx.try_send(watcher, progress);
        }
    }
}

pub(super) fn about(party: &Party, step: &str, reason: String) -> Objection {
    let node = party.name.clone();
    Objection { node, step: step.to_owned(), reason, type_name: None, field: None }
}
