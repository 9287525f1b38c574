//! `midflight drain`: the processes of a node move to the others.

use midflight_dsu::protocol::{Drain, Drained, Left};
use midflight_runtime::Handle;
use serde_json::json;

use crate::args::Reach;
use crate::error::Error;
use crate::{control, output};

/// Flags of `drain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node that is to be drained: its name or its id
    #[arg(value_name = "NODE")]
    drained: String,
    #[command(flatten)]
    reach: Reach,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let request = Drain { node: args.drained.clone() };
    let answer = control::ask_within(&runtime, &args.reach, request, control::DRAINED_WITHIN);
    let (moved, left, stay) = match answer.await? {
        Drained::Done { moved, left, stay } => (moved, left, stay),
        Drained::Refused(why) => return Err(Error::Refused(why)),
    };
    let all: u64 = moved.iter().map(|(_, count)| count).sum();
    let by_node: serde_json::Map<_, _> =
        moved.iter().map(|(node, count)| (node.clone(), json!(count))).collect();
    let value = json!({
        "node": args.drained, "moved": all, "to": by_node, "stay": stay,
        "left": left.iter().map(as_json).collect::<Vec<_>>(),
    });
    output::either(args.json, &value, || {
        let mut text = format!("{all} processes have moved away from {}", args.drained);
        for (node, count) in &moved {
            text.push_str(&format!("\n  {count} to {node}"));
        }
        for Left { pid, name, why } in &left {
            text.push_str(&format!("\n{pid} {name} stays: {why}"));
        }
        text + "\n"
    })?;
    // What stays is said above.
    if stay > 0 { Err(Error::FoundWrong) } else { Ok(()) }
}

fn as_json(left: &Left) -> serde_json::Value {
    json!({ "pid": left.pid.to_string(), "name": left.name, "why": left.why })
}
