//! The bench's workloads in other actor libraries for Rust: what is measured is in `README.md` of
//! the bench. `sample <who> <workload> <divisor>` prints `<metric> <value> <unit>` a line; a divisor
//! of 10 does a tenth of the work.

mod actix_peer;
mod figures;
mod kameo_peer;
mod ractor_peer;
mod ractor_remote;

use std::process::ExitCode;

/// Senders of the fan-in.
const SENDERS: usize = 4;
/// Members of the ring.
const MEMBERS: usize = 1_000;
/// Children that live at the same time.
const BATCH: usize = 1_000;
/// A small message.
type Small = [u8; 64];

/// How much of a workload is done.
#[derive(Clone, Copy)]
struct Size(usize);

impl Size {
    fn of(self, full: usize) -> usize {
        full / self.0
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let size = |text: &str| text.parse().map(Size).map_err(|_| format!("no divisor: {text}"));
    let done = match words[..] {
        ["sample", "actix", workload, divisor] => {
            size(divisor).and_then(|size| actix_peer::sample(workload, size))
        }
        ["sample", "kameo", workload, divisor] => {
            size(divisor).and_then(|size| on_tokio(kameo_peer::sample(workload, size)))
        }
        ["sample", "ractor", workload, divisor] if workload.starts_with("remote") => {
            size(divisor).and_then(|size| on_tokio(ractor_remote::sample(workload, size)))
        }
        ["sample", "ractor", workload, divisor] => {
            size(divisor).and_then(|size| on_tokio(ractor_peer::sample(workload, size)))
        }
        ["serve"] => on_tokio(ractor_remote::serve()),
        _ => Err("usage: sample <actix|kameo|ractor> <workload> <divisor>".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("midflight-bench-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_tokio(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let output = runtime.block_on(work);
    runtime.shutdown_background();
    output
}

/// What is wrong, in words.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
