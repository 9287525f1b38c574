//! A supervisor with two managed workers. One crashes, and comes back; the other notices nothing.
//! `cargo run -p supervised`.

use std::error::Error;
use std::time::Duration;

use midflight_process::managed::{Managed, Request, ServerRef};
use midflight_process::message::Message;
use midflight_process::supervisor::{Child, Strategy, Supervisor};
use midflight_process::{Context, Node};
use midflight_runtime::{Handle, TokioRuntime};
use midflight_transport_inmem::Hub;
use serde::{Deserialize, Serialize};

/// A question, with the type of its answer.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "supervised.Divide", version = 1)]
struct Divide(u32, u32);

impl Request for Divide {
    type Reply = u32;
}

/// How many divisions were made.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "supervised.Count", version = 1)]
struct Count;

impl Request for Count {
    type Reply = u32;
}

/// The state of a worker.
#[derive(Default)]
struct Divider {
    made: u32,
}

/// A worker: what it does about which message.
fn divider(name: &str) -> Managed<Divider> {
    Managed::new()
        .call(|divider: &mut Divider, Divide(a, b), _| {
            // Nobody checks. It is the supervisor's business when this goes wrong.
            let quotient = a / b;
            divider.made += 1;
            quotient
        })
        .call(|divider, _: Count, _| divider.made)
        .register(name)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [left, right] = divide(TokioRuntime::current()).await?;
    println!("the left worker has made {left} division since it came back, the right one {right}");
    Ok(())
}

/// Has both workers divide, the left one by zero; answers how many divisions each knows of.
async fn divide(runtime: Handle) -> Result<[u32; 2], Box<dyn Error>> {
    let node =
        Node::builder("node").start(&Hub::new(1).transport(runtime.clone()), runtime).await?;
    let worker = |name| Child::managed(name, move || divider(name), |_| Ok(Divider::default()));
    Supervisor::new(Strategy::OneForOne)
        .intensity(3, Duration::from_secs(10))
        .child(worker("left"))
        .child(worker("right"))
        .start(&node)
        .await?;
    let counts = node.run("user", use_both).await.ok_or("the user ended early")??;
    node.shutdown().await;
    Ok(counts)
}

async fn use_both(cx: Context) -> Result<[u32; 2], midflight_process::CallError> {
    let (left, right) = (ServerRef::from("left"), ServerRef::from("right"));
    for server in [&left, &right] {
        println!("6 / 2 = {}", server.call(&cx, Divide(6, 2)).await?);
    }
    if let Err(why) = left.call(&cx, Divide(1, 0)).await {
        println!("1 / 0: {why}");
    }
    // Its name is its successor's as soon as that has started.
    while left.call(&cx, Divide(9, 3)).await.is_err() {
        cx.sleep(Duration::from_millis(1)).await;
    }
    Ok([left.call(&cx, Count).await?, right.call(&cx, Count).await?])
}

#[cfg(test)]
mod tests;
