//! `midflight rollback`: every node goes back to what was current before.

use midflight_dsu::protocol::Rollback;
use midflight_runtime::Handle;
use serde_json::json;

use crate::deployment::{Flags, step_line};
use crate::error::Error;
use crate::output::note;
use crate::{control, deployment};

/// Flags of `rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle's name
    name: String,
    /// The version to go back to [default: what was current before the present one]
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
    #[command(flatten)]
    flags: Flags,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let control = control::reach(&runtime, &args.flags.reach).await?;
    let (name, to) = (args.name.clone(), args.to);
    let request = move |watcher| Rollback { name, to, watcher };
    let deployed =
        deployment::deploy(&control, request, args.flags.wait, |step| note(&step_line(step)));
    let deployed = deployed.await;
    control.through.shutdown().await;
    let title = format!("the rollback of {}", args.name);
    deployment::report(deployed?, &title, json!({ "name": args.name }), args.flags.json)
}
