//! One of the nodes: it says where it listens, is told where the others do, and works until its input ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use midflight_process::Node;
use midflight_runtime::TokioRuntime;
use midflight_transport_api::Address;
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::load::{Driver, GROUP, NEXT, SENDER, next, send_numbers};
use crate::report::{Counts, Report};

/// How soon a peer that is silent is lost.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);
const DRIVERS: u64 = 8;

/// Runs as the node of this number. Blocks.
pub(crate) fn run(number: u16, seed: u64) -> Result<(), String> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    tokio.map_err(|error| error.to_string())?.block_on(work(number, seed))
}

async fn work(number: u16, seed: u64) -> Result<(), String> {
    let node = start(number).await?;
    let address = node.address().ok_or("it does not listen")?;
    println!("{address}");
    let (counts, rests) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    for driver in 0..DRIVERS {
        let seed = seed.wrapping_mul(1_000).wrapping_add(u64::from(number) * DRIVERS + driver);
        let (counts, rests) = (counts.clone(), rests.clone());
        let work = move |cx| Driver::new(cx, seed, counts, rests).run();
        node.spawn("driver", work).map_err(|error| error.to_string())?;
    }
    let obeying = obey(&node, &rests);
    let reporting = async {
        loop {
            node.runtime().sleep(Duration::from_secs(1)).await;
            let report = Report::of(&node, GROUP, &counts)?;
            let line = serde_json::to_string(&report).map_err(|error| error.to_string())?;
            println!("{line}");
        }
    };
    tokio::select! {
        ended = obeying => ended,
        ended = reporting => ended,
    }
}

async fn start(number: u16) -> Result<Node, String> {
    let runtime = TokioRuntime::current();
    let mut config = TcpConfig::default();
    config.links.heartbeat = HEARTBEAT;
    let transport = TcpTransport::new(config, runtime.clone());
    let listen: Address = "tcp:127.0.0.1:0".parse().map_err(|error| format!("{error}"))?;
    let builder = Node::builder(format!("soak-{number}"))
        .listen(listen)
        .trust_links(|_| true)
        .callable(&NEXT, next)
        .function(&SENDER, send_numbers);
    builder.start(&transport, runtime).await.map_err(|error| error.to_string())
}

/// Does what stands on each line of the input: `join ADDRESS`, `cut` (all links), `rest`.
async fn obey(node: &Node, rests: &AtomicBool) -> Result<(), String> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.map_err(|error| error.to_string())? {
        match line.split_once(' ') {
            Some(("join", address)) => {
                let address = address.parse().map_err(|error| format!("{address}: {error}"))?;
                // One that has been killed meanwhile is found by the others.
                if let Err(error) = node.connect(&address).await {
                    eprintln!("{} joined nobody at {address}: {error}", node.name());
                }
            }
            None if line == "cut" => {
                for peer in node.peers() {
                    node.disconnect(peer.id);
                }
            }
            None if line == "rest" => rests.store(true, Ordering::Relaxed),
            _ => return Err(format!("no order: {line}")),
        }
    }
    Ok(())
}
