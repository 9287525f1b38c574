//! Three behaviours of one bundle that change together under load, as loaded libraries (E42).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use midflight_dsu::policy::Policy;
use midflight_process::{Node, Pid};
use midflight_tests::real::bundle;
use midflight_tests::steps::start;
use relay::{Hand, Look, Make, Seen};

use crate::real::{PATIENCE, code_server, node, stage};

/// Messages that are sent before the last switch, at the least.
const SENT_MIN: u64 = 20_000;

async fn look(node: &Node, at: Pid) -> Seen {
    let seen = node.run("client", move |cx| async move {
        cx.call::<_, Seen>(at, Look {}, PATIENCE).await.unwrap()
    });
    seen.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_a_codec_and_a_consumer_change_their_form_together_under_load() {
    let (node, data) = (node("together").await, tempfile::tempdir().unwrap());
    let v1 = bundle(node.runtime(), "tests/fixtures/relay-v1").await;
    let v2 = bundle(node.runtime(), "tests/fixtures/relay-v2").await;
    let server = code_server(&node, data.path(), &v1);
    let first = stage(&server, &v1).await;
    server.activate(first).await.unwrap();
    let consumer = start(&server, "consumer", &());
    let codec = start(&server, "codec", &Hand { to: consumer });
    let producer = start(&server, "producer", &Hand { to: codec });

    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let load = node.run("load", move |cx| async move {
        let mut sent = 0_u64;
        while sent < SENT_MIN || !over.load(Ordering::Acquire) {
            cx.send(producer, Make { n: 1 }).await.unwrap();
            sent += 1;
        }
        sent
    });
    let switches = async {
        // There and back, so that some switch meets the three in the middle of everything.
        for to in [&v2, &v1, &v2, &v1, &v2] {
            // None of a group is on probation by itself, so that the version before is retired at once.
            let to = stage(&server, to).await;
            assert_eq!(server.activate_by(to, Policy::Quiescent).await.unwrap(), 3);
        }
        is_over.store(true, Ordering::Release);
    };
    let (sent, ()) = futures_util::join!(load, switches);
    let sent = sent.unwrap();
    let mut seen = look(&node, consumer).await;
    while seen.read + seen.mixed < sent {
        seen = look(&node, consumer).await;
    }
    assert_eq!(seen, Seen { read: sent, mixed: 0, by: 2 });
    assert_eq!(look(&node, codec).await, seen);
    assert!(node.dead_letters().is_empty(), "none was refused");
    node.shutdown().await;
}
