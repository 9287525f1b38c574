//! Bringing a bundle to every member: all stage it, and when every one could run it, all activate
//! it. One no, and everything is as it was: each node goes back to what it ran before. Where one
//! cannot, that is said.
//!
//! Thin for now: the decision lives in this process and dies with it. The rollout's state machine
//! with its log takes this place.

use std::time::Duration;

use futures_util::future::join_all;
use midflight_process::message::{Message, NodeId};
use midflight_process::{Context, Member, Pid};

use super::Control;
use crate::code_server::{ActivateError, Conflicts, GoingBack, Order, StageError, with_sources};
use crate::hash::{ContentAddress, HashError};
use crate::policy::Policy;
use crate::protocol::{
    Activate, Activated, Back, CONTROL, Claim, Claimed, Deactivate, Deactivated, Deploy, Deployed,
    Objection, Progress, Release, Stage, Vote,
};
use crate::switch::SwitchError;

/// How long a node may take to say whether a name is free.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a node may take to fetch, check, probe and load.
const STAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a node may take to switch its processes.
const ACTIVATE_TIMEOUT: Duration = Duration::from_secs(300);

impl Control {
    /// Fetches, checks, probes and loads a bundle on this node.
    pub(super) async fn stage(&self, cx: &Context, stage: Stage) -> Vote {
        let no = |step: &str, reason: String| Vote::No(self.objection(step, reason));
        let Ok(address) = stage.address.parse::<ContentAddress>() else {
            return no("fetch", format!("`{}` is no content address", stage.address));
        };
        let now = || self.server.node().runtime().now();
        let began = now();
        match self.fetch(cx, address, stage.from).await {
            Ok(None) => {}
            Ok(Some(file)) => {
                if let Err(error) = self.accept(address, &file).await {
                    return no("check", with_sources(&error));
                }
            }
            Err(why) => return no("fetch", why),
        }
        let fetched = now().since(began);
        if let Err(error) = self.server.refuse_older(address, stage.goes_back).await {
            return no("release", with_sources(&error));
        }
        match self.server.stage(address).await {
            Ok(times) => {
                let all = [fetched, times.check, times.probe, times.load];
                Vote::Yes { millis: all.map(millis) }
            }
            Err(error) => {
                tracing::warn!(%address, %error, "not staged");
                Vote::No(self.stage_objection(&error))
            }
        }
    }

    /// Switches this node to a staged bundle.
    pub(super) async fn activate(&self, activate: Activate) -> Activated {
        let began = self.server.node().runtime().now();
        let not = |undone| Activated { switched: 0, undone: Some(undone), left: 0, millis: 0 };
        let Activate { policy, rollout, back, .. } = &activate;
        let parsed = activate.address.parse::<ContentAddress>();
        let parsed = parsed.and_then(|it| Ok((it, back.as_ref().map(going_back).transpose()?)));
        let (address, back) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return not(self.objection("switch", error.to_string())),
        };
        if let Some(undone) = self.not_claimed(address, *rollout) {
            return not(undone);
        }
        let order = Order { policy: *policy, rollout: Some(*rollout), back };
        let activated = self.server.activate_in(address, order).await;
        let millis = millis(self.server.node().runtime().now().since(began));
        match activated {
            Ok(switched) => Activated { switched: switched as u64, undone: None, left: 0, millis },
            Err(error) => {
                tracing::warn!(%error, "not activated");
                let left = match &error {
                    ActivateError::Switch { not_back, .. } => not_back.len() as u64,
                    _ => 0,
                };
                let undone = Some(self.activate_objection(&error));
                Activated { switched: 0, undone, left, millis }
            }
        }
    }

    /// Takes back what a deployment has activated here.
    pub(super) async fn deactivate(&self, deactivate: Deactivate) -> Deactivated {
        let undone = match deactivate.address.parse::<ContentAddress>() {
            Ok(address) => self.server.deactivate(address, deactivate.rollout).await,
            Err(error) => {
                return Deactivated { objection: Some(self.objection("back", error.to_string())) };
            }
        };
        let objection = undone.err().map(|error| self.objection("back", error.to_string()));
        Deactivated { objection }
    }

    /// Brings a bundle that is here to every member.
    pub(super) async fn deploy(&self, cx: &Context, deploy: Deploy) -> Deployed {
        let Deploy { address, watcher, policy } = deploy;
        match address.parse::<ContentAddress>() {
            Ok(address) => {
                let how = Bring { watcher, policy, back: None, is_rollback: false };
                self.bring(cx, address, how).await
            }
            Err(_) => {
                let reason = format!("`{address}` is no content address");
                Deployed::Refused(vec![self.objection("deploy", reason)])
            }
        }
    }

    pub(super) async fn bring(
        &self,
        cx: &Context,
        address: ContentAddress,
        how: Bring,
    ) -> Deployed {
        let Some(name) = self.server.name_of(address).await else {
            let reason = String::from("the bundle is not on this node: push it first");
            return Deployed::Refused(vec![self.objection("deploy", reason)]);
        };
        if self.server.versions().behind().contains_key(&name) {
            let reason =
                String::from("this node is catching up with what the others run: ask again");
            return Deployed::Refused(vec![self.objection("claim", reason)]);
        }
        // Nodes that only dial, such as an operator's, run no code of the cluster's; one that is
        // known to be gone has no say, one that is out of reach says no.
        let members = self.server.node().living_members().await;
        let rollout = self.server.node().runtime().random_u64();
        let deployment = Deployment { control: self, cx, name, address, rollout, how };
        let (deployed, number) = deployment.run(&members).await;
        let done = matches!(deployed, Deployed::Everywhere { .. });
        deployment.release_everywhere(&members, done.then_some(number)).await;
        deployed
    }

    /// Claims a bundle's name for a deployment that another node, or this one, coordinates.
    pub(super) fn claim(&self, claim: &Claim, from: Option<Pid>) -> Claimed {
        let node = self.server.node();
        let coordinator = (from.map_or_else(|| node.id(), |pid| pid.node), &*claim.coordinator);
        let linked = |id| self.is_linked(id);
        let now = node.runtime().now();
        let Claim { name, rollout, .. } = claim;
        let claimed = self.leases.lock().claim(name, *rollout, coordinator, now, linked);
        let number = self.server.versions().committed().number(name);
        Claimed { held_by: claimed.err(), number }
    }

    /// Whether a node can be heard.
    pub(super) fn is_linked(&self, id: NodeId) -> bool {
        let node = self.server.node();
        id == node.id() || node.peers().iter().any(|peer| peer.id == id)
    }

    /// Why a deployment may not activate a bundle here, if it may not.
    fn not_claimed(&self, address: ContentAddress, rollout: u64) -> Option<Objection> {
        let version = self.server.versions().get(address)?;
        let now = self.server.node().runtime().now();
        let holds = self.leases.lock().holds(&version.name, rollout, now);
        (!holds).then(|| {
            let name = &version.name;
            self.objection("switch", format!("the deployment's claim to `{name}` has ended"))
        })
    }

    pub(super) fn objection(&self, step: &str, reason: String) -> Objection {
        let node = self.server.node().name().to_owned();
        Objection { node, step: step.to_owned(), reason, type_name: None, field: None }
    }

    fn stage_objection(&self, error: &StageError) -> Objection {
        let step = match error {
            StageError::Conflicts { .. } => "schemas",
            StageError::Probe(_) | StageError::State { .. } => "probe",
            StageError::Load(_) => "load",
            StageError::Busy(_) => "busy",
            _ => "check",
        };
        let mut objection = self.objection(step, error.to_string());
        if let StageError::Conflicts(conflicts) = error {
            name_type(&mut objection, conflicts);
        }
        objection
    }

    fn activate_objection(&self, error: &ActivateError) -> Objection {
        let mut objection = self.objection("switch", error.to_string());
        match error {
            ActivateError::Conflicts(conflicts) => name_type(&mut objection, conflicts),
            ActivateError::Switch { failed, .. } => {
                if let Some(SwitchError::Convert { source, .. }) = failed.first()
                    && let crate::convert::ConvertError::Mismatch(mismatch) = source
                {
                    objection.type_name = Some(mismatch.type_name.clone());
                    objection.field = Some(mismatch.field_path.clone());
                }
            }
            _ => {}
        }
        objection
    }
}

fn name_type(objection: &mut Objection, conflicts: &Conflicts) {
    let named = conflicts.conflicts.iter().find_map(|conflict| conflict.type_and_field());
    if let Some((type_name, field)) = named {
        objection.type_name = Some(type_name.to_owned());
        objection.field = Some(field.to_owned());
    }
}

/// One deployment, as its coordinator sees it.
struct Deployment<'a> {
    control: &'a Control,
    cx: &'a Context,
    name: String,
    address: ContentAddress,
    rollout: u64,
    how: Bring,
}

/// How a bundle is brought to all.
pub(super) struct Bring {
    pub(super) watcher: Option<Pid>,
    pub(super) policy: Policy,
    pub(super) back: Option<Back>,
    /// Whether it is a rollback, to what was current before.
    pub(super) is_rollback: bool,
}

fn going_back(back: &Back) -> Result<GoingBack, HashError> {
    Ok(GoingBack { from: back.from.parse()?, why: back.why.clone() })
}

impl Deployment<'_> {
    /// Answers the number of the decision, too, which is higher than any that a member knows of.
    async fn run(&self, members: &[Member]) -> (Deployed, u64) {
        let number = match self.claim_everywhere(members).await {
            Ok(last) => last.saturating_add(1),
            Err(objection) => return (Deployed::Refused(vec![objection]), 0),
        };
        let objections = self.stage_everywhere(members).await;
        if !objections.is_empty() {
            return (Deployed::Refused(objections), number);
        }
        (self.activate_everywhere(members).await, number)
    }

    /// Claims the name on one member after the other, in an order that all coordinators have: of
    /// two that begin at once, one is refused at the first. Answers the number of the last decision
    /// about the name that any of them knows of.
    async fn claim_everywhere(&self, members: &[Member]) -> Result<u64, Objection> {
        let mut last = 0;
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by_key(|member| member.id);
        for member in members {
            let (name, rollout) = (self.name.clone(), self.rollout);
            let coordinator = self.control.server.node().name().to_owned();
            let claim = Claim { name, rollout, coordinator };
            let claimed = self.ask::<_, Claimed>(member, claim, CLAIM_TIMEOUT).await;
            let claimed = claimed.map_err(|reason| about(member, "claim", reason))?;
            if let Some(by) = claimed.held_by {
                let name = &self.name;
                let reason = format!("another update of `{name}` is under way, from node {by}");
                return Err(about(member, "claim", reason));
            }
            last = last.max(claimed.number);
        }
        Ok(last)
    }

    /// Gives the name free. A member that does not hear it does so by itself, with the link or the
    /// claim's deadline.
    async fn release_everywhere(&self, members: &[Member], done: Option<u64>) {
        let released = join_all(members.iter().map(|member| {
            let (name, rollout, number) = (self.name.clone(), self.rollout, done.unwrap_or(0));
            let release = Release { name, rollout, done: done.is_some(), number };
            self.ask::<_, ()>(member, release, CLAIM_TIMEOUT)
        }));
        for (member, released) in members.iter().zip(released.await) {
            if let Err(reason) = released {
                tracing::warn!(node = %member.name, reason, "a claim was not released");
            }
        }
    }

    /// Answers every objection.
    async fn stage_everywhere(&self, members: &[Member]) -> Vec<Objection> {
        let from = self.control.server.node().whereis(CONTROL).unwrap_or_else(|| self.cx.me());
        let address = self.address.to_string();
        let votes = join_all(members.iter().map(|member| async {
            let goes_back = self.how.is_rollback || self.how.back.is_some();
            let stage = Stage { address: address.clone(), from, goes_back };
            let vote = self.ask::<_, Vote>(member, stage, STAGE_TIMEOUT).await;
            if let Ok(Vote::Yes { millis: [fetch, check, probe, load] }) = &vote {
                let detail = format!(
                    "fetched in {fetch} ms, checked in {check} ms, probed in {probe} ms, loaded in {load} ms"
                );
                self.tell(member, "staged", detail);
            }
            match vote {
                Ok(Vote::Yes { .. }) => None,
                Ok(Vote::No(objection)) => Some(objection),
                Err(reason) => Some(about(member, "stage", reason)),
            }
        }));
        votes.await.into_iter().flatten().collect()
    }

    async fn activate_everywhere(&self, members: &[Member]) -> Deployed {
        let Some(version) = self.control.server.versions().get(self.address) else {
            let reason = String::from("the bundle is not loaded here any more");
            return Deployed::Refused(vec![self.control.objection("switch", reason)]);
        };
        let results = self.activate(members).await;
        let mut nodes = Vec::new();
        let (mut switched, mut undone, mut unreached) = (0, Vec::new(), Vec::new());
        // Those that may have something to take back, and those that cannot wholly.
        let (mut active, mut left) = (Vec::new(), Vec::new());
        for (member, result) in members.iter().zip(results) {
            match result {
                Ok(Activated { undone: Some(objection), left: 0, .. }) => undone.push(objection),
                Ok(Activated { undone: Some(objection), .. }) => {
                    undone.push(objection);
                    left.push(member.name.clone());
                }
                Ok(activated) => {
                    switched += activated.switched;
                    nodes.push(member.name.clone());
                    active.push(member);
                }
                Err(reason) => {
                    unreached.push(about(member, "switch", reason));
                    active.push(member);
                }
            }
        }
        if !undone.is_empty() {
            undone.append(&mut unreached);
            return self.take_back(&active, left, undone).await;
        }
        if !unreached.is_empty() {
            return Deployed::Partly { nodes, missing: unreached };
        }
        let (name, version) = (version.name.clone(), version.version);
        Deployed::Everywhere { name, version, switched, nodes }
    }

    /// One could not: all go back to what each ran before.
    async fn take_back(
        &self,
        members: &[&Member],
        mut left: Vec<String>,
        mut objections: Vec<Objection>,
    ) -> Deployed {
        let results = join_all(members.iter().map(|member| {
            let (address, rollout) = (self.address.to_string(), self.rollout);
            let deactivate = Deactivate { address, rollout };
            self.ask::<_, Deactivated>(member, deactivate, ACTIVATE_TIMEOUT)
        }));
        for (member, result) in members.iter().zip(results.await) {
            let objection = match result {
                Ok(Deactivated { objection: None }) => continue,
                Ok(Deactivated { objection: Some(objection) }) => objection,
                Err(reason) => about(member, "back", reason),
            };
            left.push(member.name.clone());
            objections.push(objection);
        }
        if left.is_empty() {
            return Deployed::Refused(objections);
        }
        Deployed::Partly { nodes: left, missing: objections }
    }

    async fn activate(&self, members: &[Member]) -> Vec<Result<Activated, String>> {
        join_all(members.iter().map(|member| async {
            let (address, rollout) = (self.address.to_string(), self.rollout);
            let Bring { policy, back, .. } = &self.how;
            let (policy, back) = (*policy, back.clone());
            let activate = Activate { address, rollout, policy, back };
            let result = self.ask::<_, Activated>(member, activate, ACTIVATE_TIMEOUT).await;
            if let Ok(Activated { switched, undone: None, millis, .. }) = &result {
                let detail = format!("{switched} processes run in it, in {millis} ms");
                self.tell(member, "activated", detail);
            }
            result
        }))
        .await
    }

    /// Asks a member's control process.
    async fn ask<M: Message, R: Message>(
        &self,
        member: &Member,
        message: M,
        timeout: Duration,
    ) -> Result<R, String> {
        let control = self.control_of(member.id).await?;
        self.cx.call(control, message, timeout).await.map_err(|error| error.to_string())
    }

    async fn control_of(&self, node: NodeId) -> Result<Pid, String> {
        let found = self.cx.node().whereis_on(node, CONTROL).await;
        let found = found.map_err(|error| error.to_string())?;
        found.ok_or_else(|| "the node has no control process".into())
    }

    /// Tells whoever watches, if there is room: it is only news.
    fn tell(&self, member: &Member, step: &str, detail: String) {
        if let Some(watcher) = self.how.watcher {
            let progress = Progress { node: member.name.clone(), step: step.into(), detail };
            let _ = self.cx.try_send(watcher, progress);
        }
    }
}

fn about(member: &Member, step: &str, reason: String) -> Objection {
    let node = member.name.clone();
    Objection { node, step: step.to_owned(), reason, type_name: None, field: None }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
