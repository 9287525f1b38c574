//! `midflight node`: a node that hosts behaviours until it is asked to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::voting::VoterNames;
use midflight_process::{Limits, Member, Node, Secret};
use midflight_runtime::{Handle, timeout};
use midflight_transport_api::{Address, Transport};
use tokio::io::AsyncReadExt as _;

use crate::access::{self, RoleOf};
use crate::args::{Wire, WireName};
use crate::error::{Error, says_no};
use crate::metrics::Page;
use crate::network::{HostPort, Network};
use crate::probation::Probation;
use crate::readiness::Readiness;
use crate::roles::RolesFile;
use crate::signals::StopSignals;
use crate::trust::TrustedKey;
use crate::{control, host, metrics, output, secret, trust, user_data};

/// How long a node may take to say goodbye to its peers, once its processes have ended.
const GOODBYE: Duration = Duration::from_secs(8);

/// How long a node that joins may take to catch up before it says that it is ready all the same.
const CATCH_UP: Duration = Duration::from_secs(30);

/// Flags of `node`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file with what is not said by flags or variables: a line `FLAG = VALUE` for each, in TOML
    #[arg(long, value_name = "FILE", env = "MIDFLIGHT_CONFIG")]
    config: Option<PathBuf>,
    /// The node's name: letters, digits, `-`, `_` and `.`; over TLS that of its certificate
    /// [default: one with a random end]
    #[arg(long, value_parser = node_name)]
    name: Option<String>,
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7400")]
    listen: HostPort,
    /// What others dial, when it is not where the node listens
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<HostPort>,
    /// A node of the cluster to join, or a name that DNS resolves to several of them; may be given several
    /// times
    #[arg(long, value_name = "HOST:PORT", num_args = 1..)]
    join: Vec<HostPort>,
    #[command(flatten)]
    wire: Wire,
    /// The file with the cluster's secret; over TCP a node without one listens on loopback alone
    #[arg(long, value_name = "FILE", env = "MIDFLIGHT_SECRET_FILE")]
    secret_file: Option<PathBuf>,
    /// Lets peers on this machine start functions and bring and deploy code over plain TCP, which takes
    /// TLS elsewhere; the node then listens, and joins others, on loopback alone
    #[arg(long)]
    trust_loopback: bool,
    /// What a peer may do here: some of send, exit, inspect, spawn, publish and deploy, with commas, or
    /// all, or none; `*` for NAME is everybody who is not named [default: *=all]
    #[arg(long, value_name = "NAME=ROLES", num_args = 1..)]
    role: Vec<RoleOf>,
    /// A file with a line `NAME = ROLES` for each, as for --role; a NAME that ends with `*` stands for all
    /// that begin so. It is read again when it changes, and on SIGHUP
    #[arg(long, value_name = "FILE", conflicts_with = "role")]
    roles: Option<PathBuf>,
    /// The folder for code [default: nodes/NAME in the user's data folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_DATA")]
    data: Option<PathBuf>,
    /// A key whose bundles the node takes: its 64 digits, or the file that holds them; with =NAME,NAME… those of
    /// these names alone, where `shop.*` stands for all that begin so
    #[arg(long, value_name = "KEY[=NAMES]", num_args = 1..)]
    trust: Vec<TrustedKey>,
    /// How many of the trusted keys must have signed a bundle
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    threshold: u8,
    /// The nodes whose majority decides what the cluster runs: one, three or five names, with commas, the same on every
    /// node [default: each node that drives a rollout decides alone]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = node_name, env = "MIDFLIGHT_VOTERS")]
    voters: Vec<String>,
    #[command(flatten)]
    probation: Probation,
    /// Where Prometheus asks for the node's metrics, at /metrics, and others whether it is ready, at /ready,
    /// without saying who they are
    #[arg(long, value_name = "HOST:PORT", env = "MIDFLIGHT_METRICS")]
    metrics: Option<HostPort>,
    /// How long processes may take to end when the node is asked to stop (SIGTERM, SIGINT); a second
    /// signal ends it at once
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    drain: u64,
    /// Stops when standard input ends: whoever started the node is gone
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let mut signals = StopSignals::listen()?;
    let secret = secret::read_if_named(args.secret_file.as_deref())?;
    if secret.is_none() && args.wire.transport == WireName::Tcp && !args.listen.is_loopback().await
    {
        return Err(Error::Refused(format!(
            "without a secret a node listens on loopback alone, not at {}: anyone who reaches it \
             could run code in it. Give --secret-file FILE, or certificates with --transport tls, \
             or listen at 127.0.0.1:{}",
            args.listen,
            args.listen.port(),
        )));
    }
    let voters = match &*args.voters {
        [] => VoterNames::default(),
        names => {
            VoterNames::new(names.to_vec()).map_err(|error| Error::Usage(error.to_string()))?
        }
    };
    access::check(&args.listen, &args.join, args.trust_loopback).await?;
    let name = name(&runtime, &args)?;
    let network = Network::open(&runtime, &args.wire, &name).await?;
    let dialled = args.advertise.as_ref().unwrap_or(&args.listen);
    let objection = match &network {
        Network::Tls(identified) => identified.objection_to(dialled),
        Network::Tcp(_) if dialled.is_unspecified() => Some(format!(
            "others would dial {dialled}, which is every address and so nobody's: say where this \
             node is with --advertise HOST:PORT"
        )),
        Network::Tcp(_) => None,
    };
    objection.map_or(Ok(()), |why| Err(Error::Refused(why)))?;
    let data = match &args.data {
        Some(data) => data.clone(),
        None => user_data::folder(None)?.join("nodes").join(&name),
    };
    let data = host::prepared(&data)?;
    let roles = match &args.roles {
        Some(path) => Some(RolesFile::read(&runtime, path).await?),
        None => None,
    };
    let (node, seeds) =
        start(&runtime, network.transport(), &args, name, secret, roles.as_ref()).await?;
    let _watch = network.watch(&runtime)?;
    let _roles = roles.map(|roles| roles.watch(&node)).transpose()?;
    if args.trust.is_empty() {
        tracing::warn!("this node trusts no key and takes no bundles: give --trust KEY");
    }
    let trusted = trust::keys(&args.trust, args.threshold.into())?;
    let readiness = Arc::new(Readiness::new(node.clone()));
    let served = async {
        let server =
            host::serve_code(&node, data.path.clone(), trusted, args.probation.limits(), voters)?;
        if let Some(at) = &args.metrics {
            let at =
                metrics::serve(&runtime, at, Page::new(server.clone()), readiness.clone()).await?;
            tracing::info!("metrics are at http://{at}/metrics");
        }
        join(&node, seeds, &readiness).await?;
        catch_up(&runtime, &server).await?;
        readiness.caught_up();
        until_stopped(&node, &mut signals, args.until_stdin_ends).await
    };
    let served = served.await;
    readiness.ends();
    drain(&runtime, &node, signals, args.drain()).await;
    served
}

/// Shuts the node down, until it has, or somebody asks once more. What it leaves undone is in the log.
async fn drain(runtime: &Handle, node: &Node, mut signals: StopSignals, limit: Duration) {
    tokio::select! {
        ended = timeout(&**runtime, limit + GOODBYE, node.shutdown()) => match ended {
            Ok(report) if report.is_clean() => tracing::info!("the node {} has ended", node.name()),
            Ok(_logged) => {}
            Err(_elapsed) => tracing::warn!("the links did not close in time; they are cut"),
        },
        signal = signals.asked_to_stop() => {
            let processes = node.process_count();
            tracing::warn!(processes, "{signal} came once more: the node ends at once");
        }
    }
}

impl Args {
    const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }
}

/// The name that was given. Over TLS it says which certificate is meant.
fn name(runtime: &Handle, args: &Args) -> Result<String, Error> {
    match (&args.name, args.wire.transport) {
        (Some(name), _) => Ok(name.clone()),
        (None, WireName::Tcp) => Ok(format!("node-{:08x}", runtime.random_u64() >> 32)),
        (None, WireName::Tls) => Err(Error::Usage(
            "over TLS a node has the name that is in its certificate: give --name NAME".to_owned(),
        )),
    }
}

/// Starts the node; answers the addresses of those it is to join, too.
async fn start(
    runtime: &Handle,
    transport: &dyn Transport,
    args: &Args,
    name: String,
    secret: Option<Secret>,
    roles: Option<&RolesFile>,
) -> Result<(Node, Vec<Address>), Error> {
    let seeds = args.join.iter().map(|seed| seed.address(transport)).collect::<Result<_, _>>()?;
    let limits = Limits { shutdown_timeout: args.drain(), ..Limits::default() };
    let mut builder = Node::builder(name).limits(limits).listen(args.listen.address(transport)?);
    if let Some(advertise) = &args.advertise {
        builder = builder.advertise(advertise.address(transport)?);
    }
    let builder = access::grant(builder, &args.role, args.trust_loopback);
    let builder = match roles {
        Some(roles) => builder.role_table(roles.table().clone()),
        None => builder,
    };
    let started =
        control::guarded(builder, transport, secret).start(transport, runtime.clone()).await;
    let node =
        started.map_err(|source| Error::Start { listen: args.listen.to_string(), source })?;
    Ok((node, seeds))
}

fn node_name(text: &str) -> Result<String, String> {
    if Member::is_name(text) {
        return Ok(text.to_owned());
    }
    Err("a node's name has 1 to 64 letters, digits, `-`, `_` or `.`, and begins with none of the \
         last"
        .to_owned())
}

/// Says that the node is ready, and waits until it is asked to stop.
async fn until_stopped(
    node: &Node,
    signals: &mut StopSignals,
    until_stdin_ends: bool,
) -> Result<(), Error> {
    let address = node.address().map(|address| address.rest().to_owned()).unwrap_or_default();
    tracing::info!("the node {} is ready at {address}", node.name());
    // For scripts.
    output::text(&format!("ready {} {address}\n", node.name()))?;
    let why = tokio::select! {
        signal = signals.asked_to_stop() => signal,
        () = stdin_ended(), if until_stdin_ends => "the end of its standard input",
    };
    tracing::info!("the node {} stops: {why}", node.name());
    Ok(())
}

/// Dials each seed once, so that a cluster that says no is heard; then goes on trying.
async fn join(node: &Node, seeds: Vec<Address>, readiness: &Arc<Readiness>) -> Result<(), Error> {
    for seed in &seeds {
        match node.try_join(seed).await {
            Ok(_linked) => {}
            Err(source) if says_no(&source) => {
                return Err(Error::Join { node: seed.rest().to_owned(), source });
            }
            Err(error) => tracing::warn!("cannot join yet, and will go on trying: {error}"),
        }
    }
    readiness.follow(seeds.clone());
    node.join(seeds);
    Ok(())
}

/// Begins with what was committed, and follows what the others have decided since, before the node says that it is
/// ready. What takes longer goes on behind it: until then the node starts none of these behaviours.
async fn catch_up(runtime: &Handle, server: &CodeServer) -> Result<(), Error> {
    match timeout(&**runtime, CATCH_UP, server.caught_up()).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(Error::Environment(why)),
        Err(_elapsed) => {
            tracing::warn!("not all that the cluster runs is here yet: see `midflight status`");
        }
    }
    Ok(())
}

async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 256];
    while stdin.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
}
