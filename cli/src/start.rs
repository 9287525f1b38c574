//! `midflight start`: processes of a behaviour that runs on the cluster.

use midflight_dsu::protocol::{Start, Started};
use midflight_process::message::encode;
use midflight_runtime::Handle;
use serde_json::json;

use crate::args::Reach;
use crate::error::Error;
use crate::{control, output};

/// Flags of `start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The behaviour, such as `counter`; its `init` must want nothing
    behaviour: String,
    #[command(flatten)]
    reach: Reach,
    /// How many
    #[arg(
        long,
        default_value_t = 1,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    count: u32,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let mut start = Vec::new();
    encode(&(), &mut start).map_err(|error| Error::Wrong(error.to_string()))?;
    let request = Start { behaviour: args.behaviour, count: args.count, start };
    let started: Started = control::ask(&runtime, &args.reach, request).await?;
    if let Some(reason) = started.refused {
        let count = started.pids.len();
        return Err(Error::Refused(format!("{count} processes were started, then: {reason}")));
    }
    let pids: Vec<_> = started.pids.iter().map(ToString::to_string).collect();
    let value = json!({ "started": pids });
    output::either(args.json, &value, || pids.join("\n") + "\n")
}
