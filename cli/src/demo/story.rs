//! The demo's story, step by step.

use std::sync::Arc;
use std::time::Duration;

use counter_v2::{Add, Reset, Total};
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{
    Address, Deploy, Deployed, Objection, Rollback, Start, Started, Status, VersionStatus,
};
use midflight_process::message::Message;
use midflight_process::{CallError, Pid, Refusal};
use midflight_runtime::{Handle, Instant};

use super::bundles::Bundles;
use super::client::{LOST_AFTER, is_refusal};
use super::gauges::Gauges;
use super::ledger::Counts;
use super::load::Load;
use super::report::Report;
use super::view::View;
use crate::control::Control;
use crate::deployment::{self, Deployment, step_line};
use crate::error::{Error, describe, refused_field};
use crate::local::Cluster;
use crate::upload::{self, BundleFile};

/// What the counters' behaviour is called.
const COUNTER: &str = "counter";

/// Everything that the steps use.
pub(crate) struct Story<'a> {
    pub(crate) runtime: &'a Handle,
    pub(crate) view: &'a View,
    pub(crate) cluster: &'a Cluster,
    pub(crate) bundles: &'a Bundles,
    pub(crate) gauges: &'a Arc<Gauges>,
    pub(crate) report: &'a mut Report,
    /// A counter that is not in the load.
    pub(crate) apart: Option<Pid>,
}

impl Story<'_> {
    /// Version 1 runs on all nodes, with `processes` counters. Answers them.
    pub(crate) async fn start_counters(&mut self, processes: usize) -> Result<Vec<Pid>, Error> {
        self.view.phase("deploy_v1", "Version 1 goes to one node; the nodes pass it on");
        self.push_everywhere(&self.bundles.v1).await?;
        let nodes = &self.cluster.nodes;
        let mut counters = Vec::with_capacity(processes);
        for (number, node) in nodes.iter().enumerate() {
            let apart = usize::from(number == 0);
            // The first nodes take what does not divide.
            let share = processes / nodes.len() + usize::from(number < processes % nodes.len());
            let count = u32::try_from(share + apart).unwrap_or(u32::MAX);
            let start = Start { behaviour: COUNTER.into(), count, start: Vec::new() };
            let Started { mut pids, refused } = node.control.ask(start).await?;
            if pids.len() != share + apart {
                let why = refused.unwrap_or_default();
                return Err(Error::Wrong(format!("{} started too few: {why}", node.name)));
            }
            if apart == 1 {
                self.apart = pids.pop();
            }
            counters.extend(pids);
        }
        self.view.say(&format!("{processes} counters started on {} nodes", nodes.len()));
        Ok(counters)
    }

    /// The steps under load, which goes on until `until` at the least.
    pub(crate) async fn under_load(&mut self, until: Instant, load: &Load) -> Result<(), Error> {
        let left = until.since(self.runtime.now());
        let share = left / 5;
        self.view.phase("load_v1", "Clients call every counter, four calls in flight each");
        self.runtime.sleep(share).await;
        self.reset_is_refused().await?;
        self.view.end_phase();
        self.runtime.sleep(share / 2).await;

        self.view.phase("update_v2", "Version 2 goes to one node, under load");
        self.push_everywhere(&self.bundles.v2).await?;
        self.gauges.let_deeds_begin();
        self.wait_for_answers(2, load).await?;
        self.reset_works().await?;
        self.view.phase("load_v2", "Version 2 counts on");
        self.runtime.sleep(share).await;

        self.version_3_is_refused().await?;
        self.view.end_phase();
        self.runtime.sleep(share / 2).await;

        self.view.phase("roll_back", "Back to version 1, under load");
        self.everywhere(async || self.roll_back().await).await?;
        self.wait_for_answers(1, load).await?;
        self.view.phase("load_back", "Version 1 counts on, with the sums of version 2");
        self.runtime.sleep(until.since(self.runtime.now())).await;
        Ok(())
    }

    async fn reset_is_refused(&mut self) -> Result<(), Error> {
        self.view.phase("reset_refused", "A client sends Reset, which version 1 does not know");
        let seq = 0;
        let answer = self.call_apart(|cx, pid| async move {
            cx.call::<Reset, Total>(pid, Reset { seq }, LOST_AFTER).await
        });
        let answer = answer.await?;
        let is_refused = matches!(
            &answer,
            Err(CallError::Refused { refusal: Refusal::NotAccepted { type_name, .. }, .. })
                if type_name == "counter.Reset"
        );
        self.report.refused_reset_before = is_refused;
        match answer {
            Err(error) => self.view.check(is_refused, &error.to_string()),
            Ok(total) => self.view.check(false, &format!("version 1 has answered {total:?}")),
        }
        Ok(())
    }

    async fn reset_works(&mut self) -> Result<(), Error> {
        self.view.phase("reset_works", "Reset, on a counter beside the load");
        let added = self.call_apart(|cx, pid| async move {
            cx.call::<Add, Total>(pid, Add { seq: 1, amount: 42 }, LOST_AFTER).await
        });
        let added = added.await?;
        let reset = self.call_apart(|cx, pid| async move {
            cx.call::<Reset, Total>(pid, Reset { seq: 2 }, LOST_AFTER).await
        });
        let reset = reset.await?;
        let sum = |answer: &Result<Total, CallError>| answer.as_ref().ok().map(|t| t.total);
        self.report.reset_after = sum(&added) == Some(42) && sum(&reset) == Some(0);
        let line = match (&added, &reset) {
            (Ok(added), Ok(reset)) => {
                format!("its sum went from {} to {}", added.total, reset.total)
            }
            (Err(error), _) | (_, Err(error)) => error.to_string(),
        };
        self.view.check(self.report.reset_after, &line);
        Ok(())
    }

    async fn version_3_is_refused(&mut self) -> Result<(), Error> {
        self.view.phase("refuse_v3", "Version 3 changes a message in a way that nobody can read");
        let before = running(&self.cluster.statuses().await?);
        let deployed = self.push(&self.bundles.v3).await;
        let after = running(&self.cluster.statuses().await?);
        let objections = match deployed {
            Ok(Deployed::Refused(objections)) => objections,
            Err(Error::Refused(reason)) => {
                self.view.say(&reason);
                Vec::new()
            }
            Ok(other) => {
                self.view.check(false, &format!("version 3 was not refused: {other:?}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.report.refused_field = objections.iter().find_map(refused_field).unwrap_or_default();
        let is_untouched = before == after;
        self.report.incompatible_refused = is_untouched && !self.report.refused_field.is_empty();
        for objection in &objections {
            self.view.check(names_a_field(objection), &describe(objection));
        }
        self.view.check(is_untouched, "every node runs what it ran before");
        Ok(())
    }

    /// Whether the cluster has gone back to version 1, as its nodes and the last answers say.
    pub(crate) async fn check_rolled_back(&mut self, last_versions: &[u32]) -> Result<(), Error> {
        let statuses = self.cluster.statuses().await?;
        let expected = self.bundles.v1.address();
        let nodes_agree = running(&statuses)
            .iter()
            .flatten()
            .all(|version| version.address == expected && version.current);
        let answers_agree = last_versions.iter().all(|version| *version == 1);
        self.report.rolled_back = nodes_agree && answers_agree;
        self.view.check(self.report.rolled_back, "every node and every answer is version 1's");
        Ok(())
    }

    /// Calls the counter apart, and counts the call as a client does.
    async fn call_apart<F>(
        &mut self,
        call: impl FnOnce(Arc<midflight_process::Context>, Pid) -> F,
    ) -> Result<Result<Total, CallError>, Error>
    where
        F: Future<Output = Result<Total, CallError>> + Send + 'static,
    {
        let pid = self.apart.ok_or_else(|| Error::Wrong("there is no counter apart".into()))?;
        let run = self.cluster.own.run("operator", |cx| call(Arc::new(cx), pid));
        let answer = run.await.ok_or_else(|| Error::Wrong("this node has closed".into()))?;
        let mut counts = Counts { calls: 1, ..Counts::default() };
        match &answer {
            Ok(_) => counts.answered = 1,
            Err(error) if is_refusal(error) => counts.refused = 1,
            Err(_) => counts.lost = 1,
        }
        self.report.count(&counts);
        Ok(answer)
    }

    /// Pushes a bundle to the first node and waits until it runs everywhere.
    async fn push_everywhere(&self, file: &BundleFile) -> Result<(), Error> {
        self.everywhere(async || self.push(file).await).await
    }

    /// Has something deployed, and says where it runs then.
    async fn everywhere(
        &self,
        deploy: impl AsyncFnOnce() -> Result<Deployed, Error>,
    ) -> Result<(), Error> {
        let began = self.runtime.now();
        let done = deployment::judge(deploy().await?)?;
        let took = self.runtime.now().since(began).as_secs_f64() * 1e3;
        let (name, version) = (&done.name, done.version);
        let (nodes, switched) = (done.nodes.len(), done.switched);
        self.view.check(
            nodes == self.cluster.nodes.len(),
            &format!("{name} v{version} runs on {nodes} nodes, {switched} processes switched, {took:.0} ms"),
        );
        Ok(())
    }

    async fn push(&self, file: &BundleFile) -> Result<Deployed, Error> {
        upload::send(self.first()?, file).await?;
        let address = file.address();
        self.deployed(|watcher| Deploy {
            address,
            watcher,
            policy: Policy::Migrate,
            course: <_>::default(),
        })
        .await
    }

    /// To what was current before. An older bundle that is pushed again would be refused.
    async fn roll_back(&self) -> Result<Deployed, Error> {
        self.deployed(|watcher| Rollback { name: COUNTER.into(), to: None, watcher }).await
    }

    /// Asks the first node for a deployment.
    async fn deployed<M: Message>(
        &self,
        request: impl FnOnce(Option<Pid>) -> M + Send + 'static,
    ) -> Result<Deployed, Error> {
        let view = self.view.clone();
        let tell = move |step: &_| view.say(step_line(step).trim_start());
        match deployment::deploy(self.first()?, request, true, tell).await? {
            Deployment::Over(deployed) => Ok(deployed),
            Deployment::UnderWay => Err(Error::Wrong("the deployment has no end".into())),
        }
    }

    fn first(&self) -> Result<&Control, Error> {
        let first = self.cluster.nodes.first();
        Ok(&first.ok_or_else(|| Error::Wrong("there are no nodes".into()))?.control)
    }

    /// Waits until code of `version` answers the clients.
    async fn wait_for_answers(&self, version: usize, load: &Load) -> Result<(), Error> {
        let (before, deadline) = (self.gauges.answers_of(version), self.runtime.now() + LOST_AFTER);
        while self.gauges.answers_of(version) == before && !load.is_empty() {
            if self.runtime.now() > deadline {
                return Err(Error::Wrong(format!("version {version} answers nobody")));
            }
            self.runtime.sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

fn names_a_field(objection: &Objection) -> bool {
    objection.type_name.is_some() && objection.field.is_some()
}

/// A version that runs something or is current: what a refused one must leave as it is.
#[derive(Debug, PartialEq, Eq)]
struct Running {
    address: Address,
    current: bool,
    processes: u64,
}

/// The versions that run something or are current, node by node.
fn running(statuses: &[Status]) -> Vec<Vec<Running>> {
    let of = |status: &Status| {
        let versions = status.versions.iter().filter(|v| v.current || v.processes > 0);
        let running = |v: &VersionStatus| {
            let address = v.address.clone();
            Running { address, current: v.current, processes: v.processes }
        };
        versions.map(running).collect()
    };
    statuses.iter().map(of).collect()
}
