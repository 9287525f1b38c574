//! `midflight ps`: the processes of a node.

use midflight_dsu::protocol::{ProcessStatus, Processes, ProcessesRequest};
use midflight_runtime::Handle;
use serde_json::json;

use crate::args::Reach;
use crate::error::Error;
use crate::{control, output};

/// Flags of `ps`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    reach: Reach,
    /// Lists at most so many
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: u32,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let control = control::reach(&runtime, &args.reach).await?;
    let answer = control.ask(ProcessesRequest { limit: args.limit }).await;
    control.through.shutdown().await;
    let processes: Processes = answer?;
    let list: Vec<_> = processes.processes.iter().map(as_json).collect();
    let value = json!({ "total": processes.total, "processes": list });
    output::either(args.json, &value, || for_people(&processes))
}

fn as_json(process: &ProcessStatus) -> serde_json::Value {
    json!({
        "pid": process.pid.to_string(), "name": process.name, "version": process.version,
        "names": process.names, "mailbox": process.mailbox, "status": process.status,
    })
}

fn for_people(processes: &Processes) -> String {
    let head = ["PID", "RUNS", "VERSION", "STATUS", "MAILBOX", "NAMES"].map(str::to_owned).to_vec();
    let rows = processes.processes.iter().map(|process| {
        let version = match process.version {
            0 => "-".to_owned(),
            version => format!("v{version}"),
        };
        vec![
            process.pid.to_string(),
            process.name.clone(),
            version,
            process.status.clone(),
            process.mailbox.to_string(),
            process.names.join(", "),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut text = output::table(&rows);
    let (shown, total) = (processes.processes.len() as u64, processes.total);
    if shown < total {
        text.push_str(&format!("{shown} of {total}; --limit shows more\n"));
    }
    text
}
