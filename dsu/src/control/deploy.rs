//! Bringing a bundle to every member: a rollout of one wave. All stage it, and when every one could run it, all activate
//! it. One no, and everything is as it was: each node goes back to what it ran before. Where one cannot, that is said.

use midflight_process::{Context, Pid};

use super::Control;
use crate::hash::ContentAddress;
use crate::policy::Policy;
use crate::protocol::{Back, Course, Deploy, Deployed, Objection};
use crate::rollout::kernel::Rollout;
use crate::rollout::ledger::{Answer, Command, Party, Plan};
use crate::rollout::steps::End;

use super::drive::Driving;

/// How often a rollout is begun anew with a higher number, because a node knows of a later decision than the log.
const NUMBERS_MAX: u32 = 3;

/// How a bundle is brought to all.
pub(super) struct Bring {
    pub(super) watcher: Option<Pid>,
    pub(super) policy: Policy,
    pub(super) course: Course,
    pub(super) back: Option<Back>,
    /// Whether it is a rollback, to what was current before.
    pub(super) is_rollback: bool,
}

impl Control {
    /// Brings a bundle that is here to every member.
    pub(super) async fn deploy(&self, cx: &Context, deploy: Deploy) -> Deployed {
        let Deploy { address, watcher, policy, course } = deploy;
        match address.parse::<ContentAddress>() {
            Ok(address) => {
                let how = Bring { watcher, policy, course, back: None, is_rollback: false };
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
        let refused =
            |step: &str, reason: String| Deployed::Refused(vec![self.objection(step, reason)]);
        let Some((bundle, version)) = self.server.name_and_version_of(address).await else {
            return refused("deploy", "the bundle is not on this node: push it first".into());
        };
        if self.server.versions().behind().contains_key(&bundle) {
            let reason = "this node is catching up with what the others run: ask again";
            return refused("claim", reason.into());
        }
        let Bring { watcher, policy, course, back, is_rollback } = how;
        let (waves, gates) = match self.course(course).await {
            Ok(planned) => planned,
            Err(why) => return refused("deploy", why),
        };
        let goes_back = is_rollback || back.is_some();
        let address = address.to_string();
        let plan = Plan { bundle, address, version, policy, waves, gates, back, goes_back };
        let mut after = self.server.versions().committed().number(&plan.bundle);
        let mut deployed = refused("log", "it was not begun".into());
        for _ in 0..NUMBERS_MAX {
            let begin = Command::Begin {
                token: self.server.node().runtime().random_u64(),
                by: self.party(),
                plan: plan.clone(),
                after,
            };
            let driving = match self.voting.propose(&begin).await {
                Ok(Answer::Yours(ticket)) => {
                    self.drive(cx, Rollout::begun(plan.clone(), ticket), watcher).await
                }
                Ok(Answer::Held(by)) => {
                    let (name, by) = (&plan.bundle, by.name);
                    let reason = format!("another update of `{name}` is under way, from node {by}");
                    return refused("claim", reason);
                }
                Ok(_) => return refused("log", "the log does not open it".into()),
                Err(error) => return refused("log", error.to_string()),
            };
            let highest = driving.highest;
            deployed = self.outcome(&plan, driving);
            // Upon the highest number there is none can come: whoever says it does not spoil the log.
            if highest <= after || highest == u64::MAX {
                break;
            }
            after = highest;
        }
        deployed
    }

    /// This node.
    pub(super) fn party(&self) -> Party {
        let node = self.server.node();
        Party { name: node.name().to_owned(), id: node.id() }
    }

    fn outcome(&self, plan: &Plan, driving: Driving) -> Deployed {
        let Driving { end, switched, active, .. } = driving;
        match end {
            End::Committed { late } => {
                for Objection { node, reason, .. } in late {
                    tracing::warn!(node, reason, "a node has yet to hear what was decided");
                }
                let (name, version) = (plan.bundle.clone(), plan.version);
                Deployed::Everywhere { name, version, switched, nodes: active }
            }
            End::Aborted { because, left } if left.is_empty() => Deployed::Refused(because),
            End::Aborted { because, left } => {
                let nodes = left.iter().map(|no| no.node.clone()).collect();
                Deployed::Partly { nodes, missing: because.into_iter().chain(left).collect() }
            }
            End::TakenOver(by) => {
                let reason = format!(
                    "node {by} has taken the rollout over: `midflight status` shows what it decides"
                );
                let missing = vec![self.objection("drive", reason)];
                Deployed::Partly { nodes: Vec::new(), missing }
            }
        }
    }
}
