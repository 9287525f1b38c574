//! `midflight ps`: the processes of a node.

use midflight_dsu::protocol::{ProcessStatus, Processes, ProcessesRequest, Unreceived, Wait};
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
    /// Lists those with the longest mailboxes first
    #[arg(long)]
    longest: bool,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let request = ProcessesRequest { limit: args.limit, longest_first: args.longest, cycles: true };
    let processes: Processes = control::ask(&runtime, &args.reach, request).await?;
    let list: Vec<_> = processes.processes.iter().map(as_json).collect();
    let cycles = processes.cycles.iter().map(|cycle| cycle.iter().map(ToString::to_string));
    let cycles: Vec<Vec<_>> = cycles.map(Iterator::collect).collect();
    let value = json!({ "total": processes.total, "processes": list, "cycles": cycles });
    output::either(args.json, &value, || for_people(&processes))
}

pub(crate) fn as_json(process: &ProcessStatus) -> serde_json::Value {
    let unreceived = process.unreceived.iter();
    let unreceived: Vec<_> = unreceived
        .map(|kind| {
            let Unreceived { type_name, count, millis, old } = kind;
            json!({ "type": type_name, "count": count, "millis": millis, "old": old })
        })
        .collect();
    json!({
        "pid": process.pid.to_string(), "name": process.name, "version": process.version,
        "names": process.names, "mailbox": process.mailbox,
        "mailbox_bytes": process.mailbox_bytes, "status": process.status,
        "waits_for": process.waits_for, "links": process.links, "monitors": process.monitors,
        "watchers": process.watchers, "traps_exits": process.traps_exits,
        "unreceived": unreceived, "waits": process.waits.iter().map(wait_as_json).collect::<Vec<_>>(),
    })
}

fn wait_as_json(wait: &Wait) -> serde_json::Value {
    let on = wait.on.map(|pid| pid.to_string());
    json!({ "kind": wait.kind, "on": on, "millis": wait.millis })
}

fn for_people(processes: &Processes) -> String {
    let mut text = table(&processes.processes);
    let (shown, total) = (processes.processes.len() as u64, processes.total);
    if shown < total {
        text.push_str(&format!("{shown} of {total}; --limit shows more\n"));
    }
    for cycle in &processes.cycles {
        let names: Vec<_> = cycle.iter().chain(cycle.first()).map(ToString::to_string).collect();
        text.push_str(&format!(
            "a circle, until the first deadline: {}\n",
            names.join(" waits for ")
        ));
    }
    text
}

/// Processes, one on a line.
pub(crate) fn table(processes: &[ProcessStatus]) -> String {
    let head =
        ["PID", "RUNS", "VERSION", "STATUS", "MAILBOX", "OLD", "LINKS", "NAMES", "WAITS FOR"];
    let rows = processes.iter().map(|process| {
        let version = match process.version {
            0 => "-".to_owned(),
            version => format!("v{version}"),
        };
        let traps = if process.traps_exits { " (traps)" } else { "" };
        vec![
            process.pid.to_string(),
            process.name.clone(),
            version,
            process.status.clone(),
            process.mailbox.to_string(),
            process.unreceived.iter().map(|kind| kind.old).sum::<u64>().to_string(),
            format!("{}{traps}", process.links),
            process.names.join(", "),
            waits_for(process),
        ]
    });
    let head = head.map(str::to_owned).to_vec();
    output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// What a process waits for, and what it leaves lying.
fn waits_for(process: &ProcessStatus) -> String {
    let lies = process.unreceived.iter().map(|kind| {
        let Unreceived { type_name, count, millis, .. } = kind;
        format!("not for {count} {type_name}, {} s old", millis / 1_000)
    });
    let waits = process.waits.iter().map(wait_in_words);
    process.waits_for.iter().cloned().chain(waits).chain(lies).collect::<Vec<_>>().join("; ")
}

fn wait_in_words(Wait { kind, on, millis }: &Wait) -> String {
    let on = on.map(|pid| format!(" of {pid}")).unwrap_or_default();
    let long = millis.map(|millis| format!(" for {} s", millis / 1_000)).unwrap_or_default();
    format!("{kind}{on}{long}")
}
