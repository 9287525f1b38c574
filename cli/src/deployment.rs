//! Having a bundle deployed, and saying what came of it.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use midflight_dsu::protocol::{Deployed, Objection, Progress};
use midflight_process::message::Message;
use midflight_process::{CallError, Pid};
use serde_json::{Value, json};

use crate::args::Reach;
use crate::control::Control;
use crate::error::{Error, refused_field};
use crate::output::{self, text};

/// How long a deployment may take, on all nodes: each of its steps has a shorter deadline there.
pub(crate) const DEPLOYED_WITHIN: Duration = Duration::from_secs(600);

/// Flags of what has a bundle deployed.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Waits until every node runs it, or has said why not
    #[arg(long)]
    pub(crate) wait: bool,
    /// Prints one JSON value
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a deployment has come to.
#[derive(Debug)]
pub(crate) enum Deployment {
    /// It is under way; nobody waited for its end.
    UnderWay,
    /// It is over.
    Over(Deployed),
}

/// Has a bundle deployed: `request` is a [`Deploy`](midflight_dsu::protocol::Deploy) or a
/// [`Rollback`](midflight_dsu::protocol::Rollback) with that watcher. Each step on each node is told to
/// `tell`. With `wait`, ends with the deployment; without, as soon as the first step shows that it has begun.
pub(crate) async fn deploy<M: Message>(
    control: &Control,
    request: impl FnOnce(Option<Pid>) -> M + Send + 'static,
    wait: bool,
    tell: impl Fn(&Progress) + Send + Sync + 'static,
) -> Result<Deployment, Error> {
    deploy_within(control, request, wait, DEPLOYED_WITHIN, tell).await
}

/// The same, which may take so long.
pub(crate) async fn deploy_within<M: Message>(
    control: &Control,
    request: impl FnOnce(Option<Pid>) -> M + Send + 'static,
    wait: bool,
    within: Duration,
    tell: impl Fn(&Progress) + Send + Sync + 'static,
) -> Result<Deployment, Error> {
    let pid = control.pid;
    let run = control.through.run("deploy", move |cx| async move {
        let request = request(Some(cx.me()));
        let mut ending = pin!(cx.call::<M, Deployed>(pid, request, within));
        loop {
            match select(ending.as_mut(), pin!(cx.expect::<Progress>())).await {
                Either::Left((ended, _)) => {
                    while let Some(step) = cx.expect_timeout::<Progress>(Duration::ZERO).await {
                        tell(&step);
                    }
                    return ended.map(Deployment::Over);
                }
                Either::Right((step, _)) => {
                    tell(&step);
                    if !wait {
                        return Ok::<_, CallError>(Deployment::UnderWay);
                    }
                }
            }
        }
    });
    let ended = run.await.ok_or_else(|| Error::Wrong("this node has closed".into()))?;
    ended.map_err(|source| Error::Call {
        node: control.node.clone(),
        request: M::NAME,
        source: Box::new(source),
    })
}

/// What a deployment that is over means for who asked for it.
pub(crate) fn judge(deployed: Deployed) -> Result<Everywhere, Error> {
    match deployed {
        Deployed::Everywhere { name, version, switched, nodes } => {
            Ok(Everywhere { name, version, switched, nodes })
        }
        Deployed::Refused(objections) => Err(Error::Objections(objections)),
        Deployed::Partly { missing, .. } => Err(Error::Partly(missing)),
    }
}

/// A deployment that went well.
#[derive(Debug)]
pub(crate) struct Everywhere {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) switched: u64,
    pub(crate) nodes: Vec<String>,
}

/// Prints what came of a deployment of what `title` names; `about` is what JSON says of it beside.
pub(crate) fn report(
    deployment: Deployment,
    title: &str,
    mut about: Value,
    as_json: bool,
) -> Result<(), Error> {
    let deployed = match deployment {
        Deployment::UnderWay if as_json => {
            merge(&mut about, json!({ "outcome": "accepted" }));
            return output::json(&about);
        }
        Deployment::UnderWay => {
            let line = format!("{title} is accepted; `midflight status` shows how far it is\n");
            return text(&line);
        }
        Deployment::Over(deployed) => deployed,
    };
    if as_json {
        merge(&mut about, json!({ "outcome": outcome(&deployed) }));
        merge(&mut about, details(&deployed));
        output::json(&about)?;
    }
    let Everywhere { name, version, switched, nodes } = judge(deployed)?;
    if as_json {
        return Ok(());
    }
    let nodes = nodes.join(", ");
    text(&format!("{name} v{version} runs on {nodes}; {switched} processes switched\n"))
}

/// A step of a deployment, for people.
pub(crate) fn step_line(step: &Progress) -> String {
    let Progress { node, step, detail } = step;
    format!("  {node} {step}: {detail}")
}

fn outcome(deployed: &Deployed) -> &'static str {
    match deployed {
        Deployed::Everywhere { .. } => "deployed",
        Deployed::Refused(_) => "refused",
        Deployed::Partly { .. } => "partly",
    }
}

fn details(deployed: &Deployed) -> Value {
    let objections = |objections: &[Objection]| -> Vec<_> {
        objections
            .iter()
            .map(|objection| {
                json!({
                    "node": objection.node, "step": objection.step, "reason": objection.reason,
                    "type": objection.type_name, "field": refused_field(objection),
                })
            })
            .collect()
    };
    match deployed {
        Deployed::Everywhere { name, version, switched, nodes } => {
            json!({ "name": name, "version": version, "switched": switched, "nodes": nodes })
        }
        Deployed::Refused(refused) => json!({ "objections": objections(refused) }),
        Deployed::Partly { nodes, missing } => {
            json!({ "nodes": nodes, "objections": objections(missing) })
        }
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
