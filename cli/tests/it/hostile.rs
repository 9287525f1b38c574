//! Garbage on a node's port, and a node that stops answering: nothing else suffers.

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tools::{LONG, NodeProcess, bundle, run, runtime, until};

fn peers(status: &Value) -> Vec<&str> {
    let names = status["peers"].as_array().unwrap().iter().map(|peer| peer.as_str().unwrap());
    // The program that asks is a peer too, for as long as it asks.
    names.filter(|name| ["a", "b", "c"].contains(name)).collect()
}

#[tokio::test]
async fn random_bytes_on_the_port_cost_nobody_but_their_sender() {
    let a = NodeProcess::start("a", &[]).await;
    let b = NodeProcess::start("b", &["--join", &a.address]).await;
    until("b is linked", async || peers(&a.status(&[]).await) == ["b"]).await;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20 {
        let mut garbage = Vec::new();
        for _ in 0..512 {
            // Knuth's linear congruential generator: any bytes will do.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            garbage.extend_from_slice(&random.to_le_bytes());
        }
        let mut stream = TcpStream::connect(&a.address).await.unwrap();
        // The node may close before it has read all.
        let _ = stream.write_all(&garbage).await;
        let mut said = Vec::new();
        let runtime = runtime();
        let closed = midflight_runtime::timeout(&*runtime, LONG, stream.read_to_end(&mut said));
        // Closed or reset: both are an end.
        let _ = closed.await.expect("the node ends the connection in time");
    }
    let log = a.log();
    assert!(log.contains("WARN"), "it is logged: {log}");
    assert_eq!(peers(&a.status(&[]).await), ["b"], "the link to b lives");
    assert_eq!(peers(&b.status(&[]).await), ["a"]);
}

#[tokio::test]
async fn a_node_that_stops_answering_is_noticed_and_comes_back() {
    let a = NodeProcess::start("a", &[]).await;
    let b = NodeProcess::start("b", &["--join", &a.address]).await;
    let c = NodeProcess::start("c", &["--join", &a.address]).await;
    until("all are linked", async || peers(&a.status(&[]).await).len() == 2).await;
    c.signal(Signal::STOP);
    until("c is missed", async || peers(&a.status(&[]).await) == ["b"]).await;
    // Nobody can say whether c is gone, so an update is refused by name, and the others go on.
    let bundle = bundle("counter-v1").await;
    let push = ["push", bundle.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(4, &["c"]);
    assert_eq!(b.status(&[]).await["node"], "b");
    c.signal(Signal::CONT);
    until("c is back", async || peers(&a.status(&[]).await).contains(&"c")).await;
    run(&push).await.expect(0, &[]);
}
