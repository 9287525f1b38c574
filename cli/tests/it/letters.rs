//! Dead letters, as an operator sees them.

use midflight_process::message::Message;
use midflight_process::{Node, Undelivered};
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tools::{LONG, NodeProcess, run, runtime};

const CONTROL: &str = "midflight.control";

/// Not what a node takes under this name.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Offer", version = 1)]
struct Offer {
    address: u64,
    size: u64,
}

/// A node of a test, with a link to `node`.
async fn stranger(node: &NodeProcess) -> Node {
    let transport = TcpTransport::new(TcpConfig::default(), runtime());
    let stranger = Node::builder("stranger").start(&transport, runtime()).await.unwrap();
    let address = format!("tcp:{}", node.address).parse().unwrap();
    stranger.connect(&address).await.unwrap();
    stranger
}

/// Has a message refused by the node's control process.
async fn refused(stranger: &Node) {
    let there = stranger.peers()[0].id;
    let control = stranger.whereis_on(there, CONTROL).await.unwrap().unwrap();
    let sent = stranger.run("sender", move |cx| async move {
        cx.send(control, Offer { address: 7, size: 9 }).await.unwrap();
        let notice: Undelivered = cx.expect_timeout(LONG).await.unwrap();
        assert_eq!(notice.to, control);
    });
    sent.await.unwrap();
}

async fn letters(node: &NodeProcess, more: &[&str]) -> Value {
    let args = [&["dead-letters", "--json", "--node", &node.address], more].concat();
    run(&args).await.expect(0, &[]).json()
}

#[tokio::test]
async fn an_operator_looks_at_letters_and_sends_one_again() {
    let node = NodeProcess::start_with("a", &[]).await;
    assert_eq!(letters(&node, &[]).await["total"], 0);
    let stranger = stranger(&node).await;
    refused(&stranger).await;

    let listed = letters(&node, &[]).await;
    assert_eq!((&listed["total"], &listed["lost"]), (&1.into(), &0.into()));
    let letter = &listed["letters"][0];
    assert_eq!(letter["type"], "midflight.control.Offer");
    assert_eq!((&letter["kind"], &letter["again"]), (&"incompatible".into(), &Value::Null));
    let count = &listed["refused"][0];
    assert_eq!((&count["from_version"], &count["to_version"]), (&1.into(), &1.into()));
    assert_eq!((&count["reason"], &count["count"]), (&"incompatible".into(), &1.into()));
    let people = run(&["dead-letters", "--node", &node.address]).await.expect(0, &[]).stdout;
    assert!(people.contains("midflight.control.Offer@1"), "{people}");

    let id = &letter["id"].to_string();
    let shown = letters(&node, &["show", id]).await;
    assert_eq!(shown["text"], "midflight.control.Offer {\n    address: 7,\n    size: 9,\n}");
    assert_eq!(shown["encoded"], "0709");

    // To a process that reads it, on another node.
    let (tell, told) = futures_channel::oneshot::channel();
    let reader = stranger.spawn("reader", |cx| async move {
        let received = cx.receive_one::<Offer>().await;
        tell.send((received.message.size, received.again.map(|id| id.get()))).unwrap();
    });
    let sent = letters(&node, &["redeliver", id, "--to", &reader.unwrap().to_string()]).await;
    assert!(sent["sent_to"].is_string(), "{sent}");
    let told = midflight_runtime::timeout(&*runtime(), LONG, told).await.unwrap();
    assert_eq!(told.unwrap(), (9, letter["id"].as_u64()));
    run(&["dead-letters", "show", id, "--node", &node.address])
        .await
        .expect(4, &["there is no dead letter"]);
    stranger.shutdown().await;
}

#[tokio::test]
async fn an_operator_throws_letters_away() {
    let node = NodeProcess::start_with("a", &[]).await;
    for times in 1..=3 {
        // A sender that knows sends no second one.
        let stranger = stranger(&node).await;
        refused(&stranger).await;
        stranger.shutdown().await;
        assert_eq!(letters(&node, &[]).await["total"], times);
    }
    let first = letters(&node, &["--limit", "3"]).await["letters"][0]["id"].to_string();
    assert_eq!(letters(&node, &["drop", &first]).await["dropped"], 1);
    assert_eq!(letters(&node, &["--limit", "1"]).await["letters"].as_array().unwrap().len(), 1);
    assert_eq!(letters(&node, &["clear"]).await["dropped"], 2);
    assert_eq!(letters(&node, &[]).await["total"], 0);
    for wrong in [&["show"][..], &["list", "3"], &["drop", "3", "--to", "<1.1.1>"]] {
        let args = [&["dead-letters", "--node", &node.address], wrong].concat();
        run(&args).await.expect(2, &[]);
    }
}
