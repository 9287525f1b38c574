//! Benchmarks beside peers. Every figure comes from an OS process of its own: this program executes
//! itself for each sample, Midflight and the others in turns, and reports medians.

mod args;
mod detection;
mod dynamic;
mod far_side;
mod local;
mod memory;
mod nodes;
mod payload;
mod peers;
mod push;
mod raw;
mod remote;
mod report;
mod transport;
mod upgrade;

use std::process::{Command, ExitCode, Stdio};

use clap::Parser as _;

use args::{Args, Own, Role, Size, Workload};
use peers::Peer;
use report::{Figure, Report};

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Role::Probe { .. }) = args.role {
        return midflight_dsu::probe::child_main();
    }
    let done = match &args.role {
        Some(Role::Sample { who, workload, quick }) => sample(*who, *workload, Size::new(*quick)),
        Some(Role::Serve { who, wire }) => on_tokio(async {
            match (who, wire) {
                (who, Some(_)) => transport::serve(*who).await,
                (Own::Midflight, None) => remote::serve().await,
                (Own::Raw, None) => raw::serve().await,
            }
        }),
        Some(Role::Probe { .. }) | None => measure(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("midflight-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_tokio<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build().map_err(|error| error.to_string())?;
    let output = runtime.block_on(work);
    // What still runs is of no interest; a task that does not yield must not hold up the end.
    runtime.shutdown_background();
    output
}

/// One workload, once: its figures go to standard output.
fn sample(who: Own, workload: Workload, size: Size) -> Result<(), String> {
    let figures = on_tokio(async {
        if let Some((wire, shape)) = workload.transport() {
            return transport::sample(who, wire, shape, size).await;
        }
        match who {
            Own::Raw => raw::sample(workload, size).await,
            Own::Midflight => {
                if let Some((wire, remote)) = workload.remote() {
                    return remote::sample(workload, wire, remote, size).await;
                }
                if workload == Workload::CodePush {
                    return push::sample().await;
                }
                let node = nodes::start("bench", None).await?;
                match workload {
                    Workload::DynamicStatic => dynamic::sample(&node, size).await,
                    Workload::ProcessMemory => memory::sample(&node, size).await,
                    workload if workload.is_upgrade() => {
                        upgrade::sample(&node, workload, size).await
                    }
                    workload => local::sample(&node, workload, size).await,
                }
            }
        }
    })?;
    figures.iter().for_each(|figure| println!("{figure}"));
    Ok(())
}

/// All that was asked for, in rounds.
fn measure(args: &Args) -> Result<(), String> {
    let size = Size::new(args.quick);
    let mut report = Report::default();
    let peers = if args.peers { Peer::all(&mut report)? } else { Vec::new() };
    let is_wanted =
        |metric: &str| args.metrics.is_empty() || args.metrics.iter().any(|m| m == metric);
    for workload in Workload::chosen(&args.metrics) {
        eprintln!("{} …", workload.name());
        for round in 0..size.rounds() {
            let mut own = [Own::Raw, Own::Midflight];
            if round % 2 == 1 {
                own.reverse();
            }
            for who in own.into_iter().filter(|who| who.runs(workload)) {
                report.add(who.name(), run_own(who, workload, args.quick)?);
            }
            for peer in peers.iter().filter(|peer| peer.runs(workload)) {
                report.add(peer.name(), peer.run(workload, args.quick)?);
            }
        }
        if !args.json {
            report.print_lines(is_wanted);
        }
    }
    if args.json {
        report.print_json(is_wanted);
    } else {
        report.print_absent();
    }
    report.print_ratios();
    let weak = raw::weak(&report);
    if !weak.is_empty() {
        let text = format!("raw is weak: {}", weak.join(", "));
        if args.json { eprintln!("{text}") } else { println!("{text}") }
    }
    Ok(())
}

/// Runs a sample of our own in an OS process of its own.
fn run_own(who: Own, workload: Workload, quick: bool) -> Result<Vec<Figure>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["sample", who.name(), &workload.name()]);
    if quick {
        command.arg("--quick");
    }
    figures_of(&mut command)
}

/// The figures that a program prints.
fn figures_of(command: &mut Command) -> Result<Vec<Figure>, String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed"));
    }
    let figures: Vec<_> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(Figure::parse).collect();
    if figures.is_empty() { Err(format!("{command:?} printed no figures")) } else { Ok(figures) }
}
