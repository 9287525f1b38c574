//! `midflight demo`: a cluster on this machine whose code is replaced while clients call it, and
//! the clients' own records as proof that nothing was lost.

mod bundles;
mod client;
mod gauges;
mod ledger;
mod load;
mod report;
mod saboteur;
mod story;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::Handle;

use crate::args::TransportName;
use crate::error::Error;
use crate::local::{Cluster, Plan};
use crate::network::HostPort;
use crate::signals::StopSignals;
use crate::trust::TrustedKey;
use crate::{output, user_data};
use bundles::Bundles;
use gauges::Gauges;
use load::Load;
use report::{Phase, Report};
use saboteur::Sabotage;
use story::Story;
use view::View;

/// How long a node may take to end when asked to.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Nodes, each an operating system process of its own, unless they are in memory
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: u16,
    /// Counters, spread over the nodes; each has a client of its own
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    processes: u32,
    /// How long the clients call
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// How nodes talk to each other
    #[arg(long, value_enum, default_value_t = TransportName::Tcp)]
    transport: TransportName,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
    /// Injects a fault behind the clients' backs, to show that it would be seen
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
    /// The folder for keys and compiled parts, as of `build` [default: the user's data folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_DATA")]
    data: Option<PathBuf>,
}

impl Args {
    /// Whether the nodes are in this process, and what they log is among what the demo shows.
    pub(crate) fn nodes_are_here(&self) -> bool {
        self.transport == TransportName::Inmem
    }
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let mut signals = StopSignals::listen()?;
    let view = View::new(&runtime);
    // Whichever ends first, the other is dropped: children are killed, the folder is removed.
    let ended = tokio::select! {
        ended = play(&runtime, &args, &view) => ended,
        signal = signals.asked_to_stop() => Err(Error::Interrupted { signal }),
    };
    view.clear();
    let mut report = ended?;
    let wrong = report.judge();
    output::either(args.json, &report, || report.text(&wrong))?;
    if report.ok {
        return Ok(());
    }
    for words in &wrong {
        tracing::debug!(words, "wrong");
    }
    Err(Error::FoundWrong)
}

/// The whole demo, but for the verdict.
async fn play(runtime: &Handle, args: &Args, view: &View) -> Result<Report, Error> {
    let mut report = Report {
        nodes: args.nodes.into(),
        processes: args.processes.into(),
        transport: args.transport.to_string(),
        ..Report::default()
    };
    let folder = tempfile::Builder::new().prefix("midflight-demo-").tempdir();
    let folder = folder.map_err(|source| Error::Machine {
        what: "no temporary folder can be made".into(),
        source,
    })?;
    let data = user_data::folder(args.data.clone())?;
    view.phase("build", "Three versions of a counter become bundles, by `midflight build`");
    let bundles = Bundles::build(runtime, &data, folder.path(), view).await?;

    view.phase("start", start_title(args.transport));
    let plan = Plan {
        transport: args.transport,
        folder: folder.path(),
        count: args.nodes,
        listen: &HostPort::loopback(0),
        trusted: &[TrustedKey::of_all(bundles.signed_by)],
        ended_within: ENDED_WITHIN,
    };
    let cluster = Cluster::start(runtime, &plan).await?;
    for node in &cluster.nodes {
        view.say(&format!("{} {}", node.name, node.place()));
    }
    let played = story(runtime, args, view, &cluster, &bundles, &mut report).await;
    cluster.stop(runtime).await;
    view.end_phase();
    played?;
    report.phases = view.phases().into_iter().map(phase).collect();
    Ok(report)
}

async fn story(
    runtime: &Handle,
    args: &Args,
    view: &View,
    cluster: &Cluster,
    bundles: &Bundles,
    report: &mut Report,
) -> Result<(), Error> {
    let gauges = Arc::new(Gauges::default());
    let mut story = Story { runtime, view, cluster, bundles, gauges: &gauges, report, apart: None };
    let counters = story.start_counters(args.processes as usize).await?;
    if let Some(deed) = args.sabotage {
        view.say(&format!("a saboteur stands behind one client, with one deed in mind: {deed:?}"));
    }
    let load = Load::start(&cluster.own, &counters, args.sabotage, &gauges)?;
    let watching = [load::watch_versions(runtime, cluster, view), view.watch(gauges.clone())];
    let until = runtime.now() + Duration::from_secs(args.seconds.into());
    let told = story.under_load(until, &load).await;
    for task in &watching {
        task.abort();
    }
    if let Err(error) = told {
        // Whatever stopped the story: what the clients have found is still to be told.
        view.check(false, &error.in_words());
        story.report.broken_off = Some(error.in_words());
    }
    view.phase("verify", "The load ends; every client compares its counter with its records");
    let found = load.finish(runtime).await?;
    let kept = found.iter().filter(|found| found.state_kept).count();
    story.report.states_kept = kept as u64;
    for found in &found {
        story.report.count(&found.counts);
    }
    let versions: Vec<_> = found.iter().map(|found| found.last_version).collect();
    view.check(kept == counters.len(), &format!("{kept} of {} sums are right", counters.len()));
    if story.report.broken_off.is_none() {
        story.check_rolled_back(&versions).await?;
    }
    story.report.longest_gap_ms = gauges.longest_gap().as_secs_f64() * 1e3;
    Ok(())
}

const fn start_title(transport: TransportName) -> &'static str {
    match transport {
        TransportName::Tcp => "A cluster of operating system processes, over loopback TCP",
        TransportName::Tls => {
            "A cluster of operating system processes, over TLS, with certificates of its own"
        }
        TransportName::Inmem => "A cluster within this process, on a network in memory",
    }
}

fn phase((name, took): (String, Duration)) -> Phase {
    Phase { name, ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
}
