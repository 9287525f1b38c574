//! A node killed in the middle of a push leaves the others running and answering.

use std::time::Duration;

use counter_v2::{Add, Total};
use midflight_dsu::bundle::Bundle;
use midflight_dsu::protocol::{CHUNK_BYTES, CONTROL, Chunk, Offer, Start, Started, Wanted};
use midflight_process::{Node, Pid};
use midflight_runtime::timeout;
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::tools::{LONG, NodeProcess, bundle, midflight, run, runtime, until};

const SECONDS: Duration = Duration::from_secs(20);

/// Three nodes that run version 1, and an operator's node.
struct World {
    nodes: Vec<NodeProcess>,
    operator: Node,
}

impl World {
    async fn new() -> Self {
        let a = NodeProcess::start("a", &[]).await;
        let b = NodeProcess::start("b", &["--join", &a.address]).await;
        let c = NodeProcess::start("c", &["--join", &a.address]).await;
        let nodes = vec![a, b, c];
        until("all have met", async || {
            let mut all = true;
            for node in &nodes {
                let status = node.status(&[]).await;
                let members = status["members"].as_array().unwrap();
                all &= members.iter().filter(|m| !m["address"].is_null()).count() == 3;
            }
            all
        })
        .await;
        let v1 = bundle("counter-v1").await;
        let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &nodes[0].address];
        run(&push).await.expect(0, &[]);
        let transport = TcpTransport::new(TcpConfig::default(), runtime());
        let operator = Node::builder("test").start(&transport, runtime()).await.unwrap();
        Self { nodes, operator }
    }

    async fn control(&self, node: usize) -> Pid {
        let address = format!("tcp:{}", self.nodes[node].address).parse().unwrap();
        let node = self.operator.connect(&address).await.unwrap();
        self.operator.whereis_on(node, CONTROL).await.unwrap().unwrap()
    }

    async fn counter(&self, node: usize) -> Pid {
        let control = self.control(node).await;
        let start = Start { behaviour: "counter".into(), count: 1, start: Vec::new() };
        let started = self.operator.run("start", move |cx| async move {
            cx.call::<_, Started>(control, start, SECONDS).await.unwrap()
        });
        started.await.unwrap().pids[0]
    }

    async fn add(&self, counter: Pid) -> Total {
        let added = self.operator.run("add", move |cx| async move {
            cx.call::<_, Total>(counter, Add { seq: 1, amount: 7 }, SECONDS).await.unwrap()
        });
        added.await.unwrap()
    }
}

#[tokio::test]
async fn killed_while_it_receives() {
    let mut world = World::new().await;
    let (on_a, on_b) = (world.counter(0).await, world.counter(1).await);
    assert_eq!((world.add(on_a).await.total, world.add(on_b).await.total), (7, 7));

    // Node c has the first parts of version 2.
    let v2 = bundle("counter-v2").await;
    let bytes = std::fs::read(&v2).unwrap();
    let address = Bundle::read(&bytes).unwrap().address().to_string();
    let (control, size) = (world.control(2).await, bytes.len() as u64);
    let begun = world.operator.run("push", move |cx| async move {
        let offer = Offer { address: address.clone(), size };
        let wanted = cx.call::<_, Wanted>(control, offer, SECONDS).await.unwrap();
        assert_eq!(wanted, Wanted::From(0));
        let bytes = bytes[..CHUNK_BYTES].to_vec();
        cx.call::<_, Wanted>(control, Chunk { address, offset: 0, bytes }, SECONDS).await.unwrap()
    });
    assert_eq!(begun.await.unwrap(), Wanted::From(CHUNK_BYTES as u64));
    world.nodes[2].child.kill().await.unwrap();

    assert_eq!((world.add(on_a).await.total, world.add(on_b).await.total), (14, 14));
    until("c is known to be gone", async || {
        let status = world.nodes[0].status(&[]).await;
        let peers = status["peers"].as_array().unwrap().clone();
        !peers.contains(&"c".into())
    })
    .await;
    // The others take the same push.
    let push =
        ["push", v2.to_str().unwrap(), "--wait", "--json", "--node", &world.nodes[0].address];
    let mut nodes = run(&push).await.expect(0, &[]).json()["nodes"].as_array().unwrap().clone();
    nodes.sort_by_key(|node| node.as_str().unwrap().to_owned());
    assert_eq!(nodes, ["a", "b"]);
    for counter in [on_a, on_b] {
        let total = world.add(counter).await;
        assert_eq!((total.total, total.code_version), (21, 2));
    }
}

#[tokio::test]
async fn killed_while_all_are_updated() {
    let mut world = World::new().await;
    let (on_a, on_b) = (world.counter(0).await, world.counter(1).await);
    let v2 = bundle("counter-v2").await;
    let mut push = midflight(["push", "--wait", "--node", &world.nodes[0].address]);
    push.arg(v2).stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut push = push.spawn().unwrap();
    let mut lines = BufReader::new(push.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("staged") {
            world.nodes[2].child.kill().await.unwrap();
            break;
        }
    }
    midflight_runtime::spawn(&runtime(), "the rest", async move {
        while let Ok(Some(_)) = lines.next_line().await {}
    });
    // However it ends, it ends, and says one of the things that can have happened.
    let ended = timeout(&*runtime(), LONG, push.wait()).await.unwrap().unwrap();
    let code = ended.code().unwrap();
    assert!([0, 1, 4].contains(&code), "{code}");
    for counter in [on_a, on_b] {
        let total = world.add(counter).await;
        assert_eq!(total.total, 7);
        assert_eq!(total.code_version, if code == 0 { 2 } else { 1 });
    }
}
