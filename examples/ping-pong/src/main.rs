//! Ping-pong: two nodes, two processes, ten messages each way. `cargo run -p ping-pong`.

use std::error::Error;
use std::time::Duration;

use midflight_process::{Node, message::Message};
use midflight_runtime::{Handle, TokioRuntime};
use midflight_transport_api::{Address, Transport};
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use serde::{Deserialize, Serialize};

/// A message is a type with a name and a version.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "ping-pong.Ping", version = 1)]
struct Ping(u32);

/// The answer.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "ping-pong.Pong", version = 1)]
struct Pong(u32);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let runtime = TokioRuntime::current();
    // The line to change for another transport. In memory, it is this one:
    // let transport = midflight_transport_inmem::Hub::new(1).transport(runtime.clone());
    let transport = TcpTransport::new(TcpConfig::default(), runtime.clone());
    let pongs = ping_pong(&transport, runtime).await?;
    println!("{pongs} pongs over {}", transport.scheme());
    Ok(())
}

/// Plays; nothing in here knows what the transport is.
async fn ping_pong(transport: &dyn Transport, runtime: Handle) -> Result<u32, Box<dyn Error>> {
    // One node listens, the other dials it.
    let address = Address::new(transport.scheme(), "127.0.0.1:0")?;
    let right = Node::builder("right").listen(address).start(transport, runtime.clone()).await?;
    let left = Node::builder("left").start(transport, runtime).await?;

    // A process is an async function with a mailbox. This one has a name, to be found by.
    let ponger = right.spawn("ponger", |cx| async move {
        loop {
            let ping = cx.receive_one::<Ping>().await;
            if let Some(caller) = ping.reply_to {
                caller.reply(Pong(ping.message.0));
            }
        }
    })?;
    right.register("ponger", ponger)?;

    let reached = left.connect(&right.address().ok_or("the right node listens")?).await?;
    let pongs = left.run("pinger", move |cx| async move {
        let mut pongs = 0;
        for number in 1..=10 {
            let ponger = ("ponger", reached);
            let pong: Pong = cx.call(ponger, Ping(number), Duration::from_secs(5)).await?;
            println!("ping {number} from {}, pong {} from node {reached}", cx.me(), pong.0);
            pongs += 1;
        }
        Ok::<_, midflight_process::CallError>(pongs)
    });
    let pongs = pongs.await.ok_or("the pinger ended early")??;
    left.shutdown().await;
    right.shutdown().await;
    Ok(pongs)
}

#[cfg(test)]
mod tests;
