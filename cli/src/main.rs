//! The `midflight` program: one file a command, and here the way to it.
//!
//! Results go to standard output, progress and logs to standard error. How a run ended is its exit
//! code; [`error::Error`] says which.

#![forbid(unsafe_code)]

mod access;
mod args;
mod build;
mod call;
mod certs;
mod check;
mod cluster;
mod completions;
mod config;
mod control;
mod course;
mod dead_letters;
mod demo;
mod deployment;
mod drain;
mod error;
mod history;
mod host;
mod inspect;
mod local;
mod logs;
mod metrics;
mod network;
mod new;
mod node;
mod output;
mod probation;
mod ps;
mod push;
mod readiness;
mod relocate;
mod roles;
mod rollback;
mod rollout;
mod sdk;
mod secret;
mod sign;
mod signals;
mod start;
mod status;
mod tls;
mod top;
mod trace;
mod trust;
mod upload;
mod user_data;
mod watch;
mod watchdog;

use std::process::ExitCode;
use std::time::Duration;

use midflight_runtime::TokioRuntime;

use args::Command;
use error::Error;

/// How long what still runs at the end may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match config::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => return error.report(),
    };
    if let Command::Probe(_) = cli.command {
        // Before a runtime or a thread is started.
        return midflight_dsu::probe::child_main();
    }
    logs::start(&cli.command);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return Error::Runtime { source }.report(),
    };
    if matches!(cli.command, Command::Node(_) | Command::Cluster(_) | Command::Demo(_)) {
        // The others run nobody's code.
        watchdog::start(runtime.handle().clone());
    }
    let ended = runtime.block_on(run(cli.command));
    runtime.shutdown_timeout(LAST_WORDS);
    ended.map_or_else(|error| error.report(), |()| ExitCode::SUCCESS)
}

async fn run(command: Command) -> Result<(), Error> {
    let runtime = TokioRuntime::current();
    match command {
        Command::Demo(args) => demo::run(runtime, args).await,
        Command::Node(args) => node::run(runtime, *args).await,
        Command::Cluster(args) => cluster::run(runtime, args).await,
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(runtime, args).await,
        Command::Sign(args) => sign::run(runtime, args).await,
        Command::Inspect(args) => inspect::run(&runtime, args).await,
        Command::Check(args) => check::run(&runtime, args).await,
        Command::Push(args) => push::run(runtime, args).await,
        Command::Watch(args) => watch::run(runtime, args).await,
        Command::Rollback(args) => rollback::run(runtime, args).await,
        Command::Drain(args) => drain::run(runtime, args).await,
        Command::Relocate(args) => relocate::run(runtime, args).await,
        Command::Rollout(args) => rollout::run(runtime, args).await,
        Command::History(args) => history::run(runtime, args).await,
        Command::Start(args) => start::run(runtime, args).await,
        Command::Call(args) => call::run(runtime, args).await,
        Command::Ps(args) => ps::run(runtime, args).await,
        Command::Top(args) => top::run(runtime, args).await,
        Command::Trace(args) => trace::run(runtime, args).await,
        Command::Status(args) => status::run(runtime, args).await,
        Command::DeadLetters(args) => dead_letters::run(runtime, args).await,
        Command::Certs(args) => certs::run(&runtime, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Probe(_) => Ok(()),
    }
}
