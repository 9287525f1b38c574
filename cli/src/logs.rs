//! Logs: on standard error, as `RUST_LOG` says.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::args::Command;
use crate::output::note;

/// Starts logging. A node says what it does; the other commands only what is wrong, and what is
/// wrong for a node is a part of the demo's story.
pub(crate) fn start(command: &Command) {
    let default = match command {
        Command::Node(_) => "info",
        Command::Cluster(args) if args.nodes_are_here() => "info",
        Command::Demo(args) if args.nodes_are_here() => "error",
        _ => "warn",
    };
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(asked.as_deref().unwrap_or(default));
    let filter = filter.unwrap_or_else(|error| {
        note(&format!("warning: RUST_LOG is not understood ({error}); it is `{default}` now"));
        EnvFilter::new(default)
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
