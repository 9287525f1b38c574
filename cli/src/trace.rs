//! `midflight trace`: what one process does, as it does it.

use std::time::Duration;

use clap::ValueEnum;
use midflight_dsu::protocol::{TraceReply, TraceRequest};
use midflight_process::trace::{TraceEvent, Traced};
use midflight_process::{Context, Down, Pid};
use midflight_runtime::Handle;
use serde_json::json;

use crate::args::Reach;
use crate::control::{self, Control};
use crate::error::Error;
use crate::output;
use crate::signals::StopSignals;

/// How long the node may take to say that it traces.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long the last event of a process that has ended may take.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// Flags of `trace`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process, which is one of the node's
    pid: Pid,
    /// Whether its events are written to the node's log
    #[arg(value_enum, default_value_t = Switch::On)]
    switch: Switch,
    /// Prints each event, until the process ends or this is interrupted; then it is traced no longer
    #[arg(long)]
    follow: bool,
    /// Ends after so many events
    #[arg(long, value_name = "NUMBER", requires = "follow")]
    limit: Option<u64>,
    /// Traces only these kinds of event
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    only: Vec<Kind>,
    #[command(flatten)]
    reach: Reach,
    /// Prints each event as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Whether to trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// From the process's next turn on
    On,
    /// No longer
    Off,
}

/// What can be traced, after Erlang's trace flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Messages it sends
    Send,
    /// Messages it takes in
    Receive,
    /// Spawned, exited, linked, monitored, registered
    Procs,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    if args.follow && args.switch == Switch::Off {
        return Err(Error::Usage("--follow is for `on`".into()));
    }
    let mut signals = StopSignals::listen()?;
    let control = control::reach(&runtime, &args.reach).await?;
    let request = request(&args);
    let (json, limit, follow) = (args.json, args.limit, args.follow);
    let done = tokio::select! {
        done = ask(&control, request, json, limit) => done,
        // One that follows has no other end, where its process has none.
        _signal = signals.asked_to_stop(), if follow => Ok(()),
    };
    control.through.shutdown().await;
    done
}

fn request(args: &Args) -> TraceRequest {
    let wanted =
        |kind| args.switch == Switch::On && (args.only.is_empty() || args.only.contains(&kind));
    TraceRequest {
        pid: args.pid,
        send: wanted(Kind::Send),
        receive: wanted(Kind::Receive),
        procs: wanted(Kind::Procs),
        follow: args.follow,
    }
}

/// Switches the trace and, where that is wanted, shows its events.
async fn ask(
    control: &Control,
    request: TraceRequest,
    json: bool,
    limit: Option<u64>,
) -> Result<(), Error> {
    let (pid, node) = (control.pid, control.node.clone());
    let asked = control.through.run("operator", move |cx| async move {
        let (follow, procs, traced) = (request.follow, request.procs, request.pid);
        let answer = cx.call::<_, TraceReply>(pid, request, ANSWER_WITHIN).await;
        match answer {
            Ok(TraceReply::Set) if follow => show(&cx, traced, procs, json, limit).await,
            Ok(TraceReply::Set) => Ok(()),
            Ok(TraceReply::Refused(why)) => Err(Error::Refused(why)),
            Err(source) => {
                let request = "midflight.control.TraceRequest";
                Err(Error::Call { node, request, source: Box::new(source) })
            }
        }
    });
    asked.await.ok_or_else(|| Error::Wrong("this node has closed".into()))?
}

async fn show(
    cx: &Context,
    pid: Pid,
    procs: bool,
    json: bool,
    limit: Option<u64>,
) -> Result<(), Error> {
    cx.monitor(pid).await;
    let (mut shown, mut ended) = (0, false);
    while limit.is_none_or(|limit| shown < limit) {
        let next =
            cx.receive().on(|event: midflight_process::Received<TraceEvent>| Some(event.message));
        let next = match ended {
            true => next.timeout(LAST_WITHIN).await.flatten(),
            false => next.on(|_: midflight_process::Received<Down>| None).forever().await,
        };
        match next {
            Some(event) => {
                output::text(&line(&event, json))?;
                shown += 1;
                if let Traced::Exited { .. } = event.what {
                    return Ok(());
                }
            }
            // What is on its way still comes.
            None if procs && !ended => ended = true,
            None => return Ok(()),
        }
    }
    Ok(())
}

fn line(event: &TraceEvent, json: bool) -> String {
    let trace = event.trace.map(|trace| trace.to_string());
    if json {
        let value = json!({
            "pid": event.pid.to_string(), "unix_micros": event.unix_micros, "trace": trace,
            "hops": event.hops, "missed": event.missed, "kind": event.what.kind(),
            "what": event.what.to_string(),
        });
        return format!("{value}\n");
    }
    let missed = match event.missed {
        0 => String::new(),
        missed => format!("{missed} events were missed\n"),
    };
    let (seconds, micros) = (event.unix_micros / 1_000_000, event.unix_micros % 1_000_000);
    let trace = trace.map(|trace| format!("  {trace} hop {}", event.hops)).unwrap_or_default();
    format!("{missed}{seconds}.{micros:06} {} {}{trace}\n", event.pid, event.what)
}

#[cfg(test)]
mod tests {
    use midflight_process::NodeId;
    use midflight_process::trace::TraceId;

    use super::*;

    #[test]
    fn a_line_says_what_was_missed() {
        let event = TraceEvent {
            pid: Pid { node: NodeId(1), index: 2, generation: 3 },
            unix_micros: 5_000_007,
            trace: Some(TraceId { node: NodeId(1), number: 9 }),
            hops: 2,
            missed: 4,
            what: Traced::Registered { name: "shop".into() },
        };
        let text = line(&event, false);
        assert!(text.starts_with("4 events were missed\n5.000007 "), "{text}");
        assert!(text.ends_with("registered as `shop`  00000000000000010000000000000009 hop 2\n"));
        let value: serde_json::Value = serde_json::from_str(&line(&event, true)).unwrap();
        assert_eq!((&value["kind"], &value["missed"]), (&"registered".into(), &4.into()));
    }
}
