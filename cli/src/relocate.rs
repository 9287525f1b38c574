//! `midflight relocate`: one process moves to another node.

use midflight_dsu::protocol::{Relocate, Relocated};
use midflight_process::Pid;
use midflight_runtime::Handle;
use serde_json::json;

use crate::args::{Reach, pid};
use crate::error::Error;
use crate::{control, output};

/// Flags of `relocate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process, as `midflight ps` shows it; the angle brackets may be left out
    #[arg(value_parser = pid)]
    pid: Pid,
    /// The node that it is to move to: its name or its id
    to: String,
    #[command(flatten)]
    reach: Reach,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let request = Relocate { pid: args.pid, to: args.to.clone(), ask_others: true };
    let answer = control::ask_within(&runtime, &args.reach, request, control::MOVED_WITHIN).await?;
    let (pid, to) = (args.pid, args.to);
    match answer {
        Relocated::Done { from, micros } => {
            let value = json!({
                "pid": pid.to_string(), "from": from, "to": to, "stood_still_us": micros,
            });
            output::either(args.json, &value, || {
                format!("{pid} has moved from {from} to {to}; it stood still for {micros} µs\n")
            })
        }
        Relocated::Elsewhere(node) => Err(Error::Refused(format!(
            "{pid} does not live on the node that was asked: try {node}"
        ))),
        Relocated::Refused(why) => Err(Error::Refused(why)),
    }
}
