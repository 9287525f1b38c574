//! The load: one client for each counter, on this program's own node.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use midflight_dsu::protocol::StatusRequest;
use midflight_process::{Node, Pid};
use midflight_runtime::{Handle, Task, spawn, timeout};

use super::client::{self, Found, LOST_AFTER};
use super::gauges::Gauges;
use super::saboteur::Sabotage;
use super::view::View;
use crate::control::Control;
use crate::error::Error;
use crate::local::Cluster;

/// How often the nodes are asked what they run.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    gauges: Arc<Gauges>,
    results: Vec<oneshot::Receiver<Found>>,
}

impl Load {
    /// Starts a client for each counter. The saboteur, if any, is with the first.
    pub(crate) fn start(
        node: &Node,
        counters: &[Pid],
        sabotage: Option<Sabotage>,
        gauges: &Arc<Gauges>,
    ) -> Result<Self, Error> {
        let mut results = Vec::with_capacity(counters.len());
        for (seed, &counter) in (0..).zip(counters) {
            let (tell, told) = oneshot::channel();
            let gauges = gauges.clone();
            let sabotage = sabotage.filter(|_| seed == 0);
            let client = node.spawn("client", |cx| async move {
                let found = client::run(&cx, counter, seed, sabotage, &gauges).await;
                // Who does not wait any more needs no result.
                let _ = tell.send(found);
            });
            client.map_err(|error| Error::Wrong(error.to_string()))?;
            results.push(told);
        }
        Ok(Self { gauges: gauges.clone(), results })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// Ends the load. Answers what every client found.
    pub(crate) async fn finish(self, runtime: &Handle) -> Result<Vec<Found>, Error> {
        self.gauges.end_load();
        // The calls in flight, then the last one.
        let longest = 3 * LOST_AFTER;
        let all = futures_util::future::try_join_all(self.results);
        let all = timeout(&**runtime, longest, all).await;
        let unfinished = || Error::Wrong("a client did not finish".into());
        all.map_err(|_elapsed| unfinished())?.map_err(|_gone| unfinished())
    }
}

/// Keeps the view told of what every node runs, until the task is aborted.
pub(crate) fn watch_versions(runtime: &Handle, cluster: &Cluster, view: &View) -> Task {
    let controls: Vec<(String, Control)> =
        cluster.nodes.iter().map(|node| (node.name.clone(), node.control.clone())).collect();
    let (view, ours) = (view.clone(), runtime.clone());
    spawn(runtime, "versions", async move {
        loop {
            let mut lines = Vec::with_capacity(controls.len());
            for (name, control) in &controls {
                lines.push(format!("{name}: {}", versions_of(control).await));
            }
            view.versions(lines);
            ours.sleep(ASK_EVERY).await;
        }
    })
}

async fn versions_of(control: &Control) -> String {
    let Ok(status) = control.ask::<_, midflight_dsu::protocol::Status>(StatusRequest).await else {
        return "?".to_owned();
    };
    let versions = status.versions.iter().filter(|version| version.processes > 0);
    let versions: Vec<_> =
        versions.map(|version| format!("v{} × {}", version.version, version.processes)).collect();
    if versions.is_empty() { "nothing".to_owned() } else { versions.join(" + ") }
}
