//! Nodes in operating system processes of their own, which call, spawn, link, watch and send without pause,
//! while some are killed, stand still or lose their links; and what is left of it in the end.
//!
//! ```console
//! $ cargo run --release -p midflight-soak -- [--minutes 10] [--nodes 4] [--seed N]
//! ```
//!
//! One line is printed every ten seconds. It ends with code 0 when no promise was broken, nothing of those
//! who are gone is left in those who live, and the memory of the node that was never killed did not grow.
//!
//! [`parent`] starts the others and does the harm, [`member`] is one of them, [`load`] is what its processes
//! do, [`report`] what it says of itself, [`verdict`] what is wrong with that.

mod load;
mod member;
mod parent;
mod report;
mod verdict;

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Clone, Parser)]
#[command(about = "Nodes under load, kills and cuts")]
struct Args {
    /// For how long harm is done.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How many nodes there are; the first is never killed.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=16))]
    nodes: u16,
    /// Decides who is harmed when and how; what the system makes of it differs each time.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Is one of the nodes, with this number: what the program starts itself with.
    #[arg(long, hide = true)]
    member: Option<u16>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match args.member {
        Some(number) => member::run(number, args.seed),
        None => parent::run(&args),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("soak: {why}");
            ExitCode::FAILURE
        }
    }
}
