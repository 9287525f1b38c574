//! What can be typed: the commands, and the flags that several of them share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use midflight_process::Pid;

use crate::network::HostPort;
use crate::{
    build, call, certs, check, cluster, completions, dead_letters, demo, drain, history, inspect,
    new, node, ps, push, relocate, rollback, rollout, sign, start, status, top, trace, watch,
};

/// Erlang-style processes whose code is replaced while they run.
///
/// Results go to standard output; progress and logs go to standard error.
///
/// Exit codes: 0 done, 1 ran and found something wrong, 2 usage, 3 cannot reach, 4 refused,
/// 5 environment (no cargo, a file, a permission).
#[derive(Debug, Parser)]
#[command(name = "midflight", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows it all: a cluster on this machine, whose code is replaced under load
    Demo(demo::Args),
    /// Runs a node
    Node(Box<node::Args>),
    /// Runs a cluster on this machine
    Cluster(cluster::Args),
    /// Makes a crate with a small behaviour, to begin with
    New(new::Args),
    /// Makes a bundle of a crate
    Build(build::Args),
    /// Puts a signature on a bundle, beside those it has
    Sign(sign::Args),
    /// Shows what is in a bundle
    Inspect(inspect::Args),
    /// Says whether a bundle may take the place of another, and whether there is a way back
    Check(check::Args),
    /// Brings a bundle to a cluster and switches its processes to it
    Push(push::Args),
    /// Starts, shows, pauses and aborts rollouts
    Rollout(rollout::Args),
    /// Builds a crate and brings it to a cluster, now and whenever it is saved
    Watch(watch::Args),
    /// Has every node go back to what was current before
    Rollback(rollback::Args),
    /// Moves a process to another node
    Relocate(relocate::Args),
    /// Moves the processes of a node to the others
    Drain(drain::Args),
    /// Shows what was current on a node, and since when
    History(history::Args),
    /// Starts processes of a behaviour on a node
    Start(start::Args),
    /// Sends a process a message, written as JSON, and shows its reply
    Call(call::Args),
    /// Lists a node's processes
    Ps(ps::Args),
    /// Shows what a node does, again and again
    Top(top::Args),
    /// Traces a process of a node: what it sends, takes in, and what becomes of it
    Trace(trace::Args),
    /// Shows how a node is: its peers, and the versions it runs
    Status(status::Args),
    /// Shows the messages that nobody could take, and sends them again
    DeadLetters(dead_letters::Args),
    /// Makes a development authority, and certificates for nodes and operators
    Certs(certs::Args),
    /// Prints a script with which a shell completes these commands
    Completions(completions::Args),
    /// Tries a library in a child process; nodes start it
    #[command(hide = true)]
    Probe(ProbeArgs),
}

/// The probe reads its arguments itself.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    #[arg(long)]
    library: Option<PathBuf>,
}

/// Which node to talk to, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reach {
    /// The node to talk to
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "MIDFLIGHT_NODE",
        default_value = "127.0.0.1:7400"
    )]
    pub(crate) node: HostPort,
    /// The file with the cluster's secret
    #[arg(long, value_name = "FILE", env = "MIDFLIGHT_SECRET_FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) wire: Wire,
}

/// How to talk to other nodes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wire {
    /// How nodes talk to each other
    #[arg(long, value_enum, env = "MIDFLIGHT_TRANSPORT", default_value_t = WireName::Tcp)]
    pub(crate) transport: WireName,
    /// The folder with ca.pem and this one's certificate and key, as `midflight certs` makes it, for
    /// TLS [default: certs in the user's data folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_CERTS")]
    pub(crate) certs: Option<PathBuf>,
}

/// A transport between operating system processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WireName {
    /// TCP
    Tcp,
    /// TLS over TCP: both sides prove by certificates who they are
    Tls,
}

/// How the nodes of a cluster on this machine talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportName {
    /// TCP
    Tcp,
    /// TLS over TCP, with certificates made for it
    Tls,
    /// Memory, within one process
    Inmem,
}

impl std::fmt::Display for TransportName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Inmem => "inmem",
        })
    }
}

/// Reads a pid, which a shell would want quoted with its brackets.
pub(crate) fn pid(text: &str) -> Result<Pid, String> {
    let bare = text.parse().or_else(|_| format!("<{text}>").parse::<Pid>());
    bare.map_err(|error| error.to_string())
}
