//! `midflight cluster`: a cluster on this machine, which runs until it is asked to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use midflight_dsu::keys::development_key;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{Deploy, Start, Started};
use midflight_runtime::Handle;
use serde_json::{Map, Value, json};

use crate::args::TransportName;
use crate::deployment::{self, Deployment, step_line};
use crate::error::Error;
use crate::local::{Cluster, Ended, LocalNode, Plan, Proof, log_of, tail};
use crate::network::HostPort;
use crate::output::{note, shell_word};
use crate::signals::StopSignals;
use crate::trust::TrustedKey;
use crate::upload::{self, BundleFile};
use crate::{host, output, user_data};

/// The port at which commands look for a node, unless they are told another.
const USUAL_PORT: u16 = 7400;
/// How long a node may take to end when asked to: its processes have ten seconds of it.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// Flags of `cluster`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Nodes, each an operating system process of its own, unless they are in memory
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: u16,
    /// How nodes talk to each other; what is in memory, no other program reaches
    #[arg(long, value_enum, default_value_t = TransportName::Tcp)]
    transport: TransportName,
    /// Where the first node listens, and the others at the ports after it; at port 0 each takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7400")]
    listen: HostPort,
    /// The folder for the nodes' data, logs and secret or certificates, which are used again by the next
    /// cluster there [default: cluster in the user's data folder, or in MIDFLIGHT_DATA]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A key whose bundles the nodes take, as for `node` [default: the development key of `build`]
    #[arg(long, value_name = "KEY[=NAMES]", num_args = 1..)]
    trust: Vec<TrustedKey>,
    /// A bundle to push as soon as the nodes are there; may be given several times
    #[arg(long, value_name = "FILE.mfb", num_args = 1..)]
    push: Vec<PathBuf>,
    /// Processes to start then, spread over the nodes; may be given several times
    #[arg(long, value_name = "BEHAVIOUR=COUNT", num_args = 1.., value_parser = processes)]
    start: Vec<(String, u32)>,
    /// Prints one JSON value, once the cluster is there
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether the nodes are in this process, and what they log is what this program logs.
    pub(crate) fn nodes_are_here(&self) -> bool {
        self.transport == TransportName::Inmem
    }
}

fn processes(text: &str) -> Result<(String, u32), String> {
    const COUNT_MAX: u32 = 100_000;
    let (behaviour, count) = text.split_once('=').unwrap_or((text, "1"));
    match count.parse() {
        Ok(count) if (1..=COUNT_MAX).contains(&count) => Ok((behaviour.to_owned(), count)),
        _ => Err(format!("give BEHAVIOUR=COUNT, such as greeter=3, with at most {COUNT_MAX}")),
    }
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let mut signals = StopSignals::listen()?;
    if !args.listen.is_loopback().await {
        return Err(Error::Usage(format!(
            "a cluster on this machine listens on loopback, and {} is not: for nodes that others \
             reach see `midflight node`",
            args.listen
        )));
    }
    // Where `build` has its key. Each node's own folder lies in that of the cluster.
    let user_data = user_data::folder(std::env::var_os("MIDFLIGHT_DATA").map(PathBuf::from))?;
    let folder = args.data.clone().unwrap_or_else(|| user_data.join("cluster"));
    let folder = host::prepared(&folder)?;
    let trusted = match &args.trust[..] {
        [] => vec![TrustedKey::of_all(
            development_key(&*runtime, &user_data)
                .map_err(|error| Error::Environment(error.to_string()))?
                .public(),
        )],
        named => named.to_vec(),
    };
    let plan = Plan {
        transport: args.transport,
        folder: &folder.path,
        count: args.nodes,
        listen: &args.listen,
        trusted: &trusted,
        ended_within: ENDED_WITHIN,
    };
    // Until the nodes are there a signal drops what is there of them, which kills them.
    let mut cluster = tokio::select! {
        started = Cluster::start(&runtime, &plan) => started?,
        signal = signals.asked_to_stop() => return Err(Error::Interrupted { signal }),
    };
    let ran = tokio::select! {
        ran = serve(&runtime, &args, &folder.path, &mut cluster) => ran,
        signal = signals.asked_to_stop() => {
            note(&format!("{signal}: the nodes stop"));
            Ok(())
        }
    };
    tokio::select! {
        () = cluster.stop(&runtime) => ran,
        signal = signals.asked_to_stop() => Err(Error::Interrupted { signal }),
    }
}

/// Brings the cluster to where it was asked to be, and says so; then tells of nodes that end, until all have.
async fn serve(
    runtime: &Handle,
    args: &Args,
    folder: &Path,
    cluster: &mut Cluster,
) -> Result<(), Error> {
    for file in &args.push {
        push(runtime, cluster, file).await?;
    }
    for (behaviour, count) in &args.start {
        start(cluster, behaviour, *count).await?;
    }
    let environment = environment(cluster);
    let value = as_json(args, folder, cluster, &environment);
    output::either(args.json, &value, || for_people(args, folder, cluster, &environment))?;
    for _node in 0..cluster.nodes.len() {
        let (node, ended) = cluster.next_end().await;
        note(&lost(folder, node, &ended));
    }
    Err(Error::Wrong("every node has ended".into()))
}

async fn push(runtime: &Handle, cluster: &Cluster, file: &Path) -> Result<(), Error> {
    let Some(node) = cluster.nodes.first() else { return Ok(()) };
    let file = BundleFile::read(runtime, file, true).await?;
    upload::send(&node.control, &file).await?;
    let address = file.address();
    let request = move |watcher| Deploy {
        address,
        watcher,
        policy: Policy::default(),
        course: <_>::default(),
    };
    note(&file.title());
    let deploying = deployment::deploy(&node.control, request, true, |step| note(&step_line(step)));
    match deploying.await? {
        Deployment::UnderWay => Ok(()),
        Deployment::Over(deployed) => deployment::judge(deployed).map(drop),
    }
}

/// Starts processes, as many on each node as on the others; the first ones take what does not divide.
async fn start(cluster: &Cluster, behaviour: &str, count: u32) -> Result<(), Error> {
    let nodes = u32::try_from(cluster.nodes.len()).unwrap_or(u32::MAX);
    for (number, node) in (0..nodes).zip(&cluster.nodes) {
        let count = count / nodes + u32::from(number < count % nodes);
        if count == 0 {
            continue;
        }
        let start = Start { behaviour: behaviour.to_owned(), count, start: Vec::new() };
        let Started { pids, refused } = node.control.ask(start).await?;
        if let Some(reason) = refused {
            return Err(Error::Refused(format!("{}: {reason}", node.name)));
        }
        note(&format!("  {}: {} × {behaviour}", node.name, pids.len()));
    }
    Ok(())
}

/// What the other commands want to be told in their environment.
fn environment(cluster: &Cluster) -> Vec<(&'static str, String)> {
    let mut variables = Vec::new();
    match &cluster.proof {
        None => return variables,
        Some(Proof::Secret(file)) => {
            variables.push(("MIDFLIGHT_SECRET_FILE", file.display().to_string()));
        }
        Some(Proof::Certificates(folder)) => {
            variables.push(("MIDFLIGHT_TRANSPORT", "tls".to_owned()));
            variables.push(("MIDFLIGHT_CERTS", folder.display().to_string()));
        }
    }
    let first = cluster.nodes.first().map(|node| node.control.node.clone()).unwrap_or_default();
    if first != HostPort::loopback(USUAL_PORT).to_string() {
        variables.push(("MIDFLIGHT_NODE", first));
    }
    variables
}

fn as_json(args: &Args, folder: &Path, cluster: &Cluster, environment: &[(&str, String)]) -> Value {
    let node = |node: &LocalNode| {
        let process = node.process_id();
        let log = process.map(|_apart| log_of(folder, &node.name));
        json!({
            "name": node.name, "address": node.control.node, "process": process, "log": log,
        })
    };
    let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    json!({
        "transport": args.transport.to_string(), "data": folder,
        "nodes": cluster.nodes.iter().map(node).collect::<Vec<_>>(),
        "environment": variables.collect::<Map<_, _>>(),
    })
}

fn for_people(
    args: &Args,
    folder: &Path,
    cluster: &Cluster,
    environment: &[(&str, String)],
) -> String {
    let mut text = String::new();
    for node in &cluster.nodes {
        text.push_str(&format!("{} {}\n", node.name, node.place()));
    }
    text.push_str(&format!("data and logs are in {}\n", folder.display()));
    if args.nodes_are_here() {
        text.push_str("No other program reaches them. Ctrl-C stops them.\n");
        return text;
    }
    text.push_str("\nIn another terminal:\n");
    for (name, value) in environment {
        text.push_str(&format!("  export {name}={}\n", shell_word(value)));
    }
    text.push_str(
        "  midflight push FILE.mfb --wait\n  midflight status\n\nCtrl-C stops the nodes.\n",
    );
    text
}

/// That a node is gone, and what it said last.
fn lost(folder: &Path, node: &LocalNode, ended: &Ended) -> String {
    let how = match ended {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let log = log_of(folder, &node.name);
    format!("{} has ended ({how}); the end of {}:\n{}", node.name, log.display(), tail(&log))
}
