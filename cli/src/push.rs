//! `midflight push`: a bundle goes to one node; the nodes bring it to each other.

use std::path::PathBuf;

use midflight_dsu::protocol::{Deployed, Objection, Progress};
use midflight_runtime::Handle;
use serde_json::json;

use crate::args::Reach;
use crate::control;
use crate::error::{Error, refused_field};
use crate::output::{json, note, short, text};
use crate::upload::{self, BundleFile, Deployment};

/// Flags of `push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle, as `midflight build` makes it
    file: PathBuf,
    #[command(flatten)]
    reach: Reach,
    /// Waits until every node runs it, or has said why not
    #[arg(long)]
    wait: bool,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let file = BundleFile::read(&runtime, &args.file, true).await?;
    let control = control::reach(&runtime, &args.reach).await?;
    let pushed = push(&control, &file, &args).await;
    control.through.shutdown().await;
    pushed
}

async fn push(control: &control::Control, file: &BundleFile, args: &Args) -> Result<(), Error> {
    let address = file.address();
    let sent = upload::send(control, file).await?;
    let (title, node) = (file.title(), &control.node);
    note(&format!("{title} · {} · {sent} bytes sent to {node}", short(&address)));
    let deployment = upload::deploy(control, address.clone(), args.wait, |step| {
        note(&step_line(step));
    });
    let base = |outcome: &str| {
        let manifest = file.bundle.manifest();
        json!({
            "outcome": outcome, "name": manifest.name, "version": manifest.version,
            "address": address, "bytes_sent": sent,
        })
    };
    match deployment.await? {
        Deployment::UnderWay if args.json => json(&base("accepted")),
        Deployment::UnderWay => {
            text(&format!("{} is accepted; `midflight status` shows how far it is\n", file.title()))
        }
        Deployment::Over(deployed) => {
            if args.json {
                let mut value = base(outcome(&deployed));
                merge(&mut value, details(&deployed));
                json(&value)?;
            }
            let done = upload::judge(deployed)?;
            if args.json {
                return Ok(());
            }
            let nodes = done.nodes.join(", ");
            let (name, version, switched) = (done.name, done.version, done.switched);
            text(&format!("{name} v{version} runs on {nodes}; {switched} processes switched\n"))
        }
    }
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

fn details(deployed: &Deployed) -> serde_json::Value {
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
        Deployed::Everywhere { switched, nodes, .. } => {
            json!({ "switched": switched, "nodes": nodes })
        }
        Deployed::Refused(refused) => json!({ "objections": objections(refused) }),
        Deployed::Partly { nodes, missing } => {
            json!({ "nodes": nodes, "objections": objections(missing) })
        }
    }
}

fn merge(into: &mut serde_json::Value, more: serde_json::Value) {
    if let (Some(into), serde_json::Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
