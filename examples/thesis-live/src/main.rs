//! The live program of the thesis: it prints a line every half second; change `ticker/src/lib.rs`
//! and save, and it prints what the new code says, without having stopped or forgotten its count.
//!
//! `cargo run -p thesis-live`, and an editor beside it. What does not compile, or would not
//! understand the state, is told and changes nothing.

mod live;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use midflight_process::{Node, Pid};
use midflight_runtime::{Handle, TokioRuntime, spawn};
use midflight_transport_inmem::Hub;
use thesis_live_ticker::{Line, Tick};

use live::{BoxError, LiveCrate, in_words};
use watch::Watch;

const TICK_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    // New code is tried in a child process first: this very program, started so.
    if std::env::args().nth(1).as_deref() == Some("probe") {
        return midflight_dsu::probe::child_main();
    }
    let tokio = tokio::runtime::Runtime::new().map_err(Box::from);
    match tokio.and_then(|tokio| tokio.block_on(async { run(TokioRuntime::current()).await })) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", in_words(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Runs until it is killed. The folder of the ticker can be given, and the one for what is built.
async fn run(runtime: Handle) -> Result<(), BoxError> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = arguments.next().unwrap_or_else(|| here.join("ticker"));
    let data = arguments.next().unwrap_or_else(|| here.join("../../target/thesis-live"));

    // A node of its own is all that a program needs to host behaviours.
    let transport = Hub::new(0).transport(runtime.clone());
    let node = Node::builder("live").start(&transport, runtime.clone()).await?;
    let watch = Watch::new(&folder);
    let ticker = LiveCrate::new(&node, folder, data)?;
    ticker.build_and_switch().await?;
    let pid = ticker.start("ticker")?;
    spawn(&runtime, "watch", rebuild_on_save(runtime.clone(), watch, ticker));
    print_ticks(&node, pid).await
}

/// Asks the one process for a line, again and again.
async fn print_ticks(node: &Node, ticker: Pid) -> Result<(), BoxError> {
    loop {
        let line: Line = node.call(ticker, Tick {}, Duration::from_secs(10)).await?;
        println!("{}", line.text);
        node.runtime().sleep(TICK_EVERY).await;
    }
}

/// Builds and switches whenever the source has changed.
async fn rebuild_on_save(runtime: Handle, mut watch: Watch, ticker: LiveCrate) {
    loop {
        runtime.sleep(LOOK_EVERY).await;
        if !watch.has_changed() {
            continue;
        }
        eprintln!("-- the source has changed");
        match ticker.build_and_switch().await {
            Ok(switched) => eprintln!("-- {switched} process runs the new code"),
            Err(error) => eprintln!("-- all goes on as it was: {}", in_words(&*error)),
        }
    }
}
