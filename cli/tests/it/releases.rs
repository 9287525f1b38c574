//! Releases that are older than one that a node has run: refused, unless one goes back on purpose.

use std::path::Path;

use crate::tools::{NodeProcess, bundle, end, midflight, run};

async fn push(node: &NodeProcess, example: &str) -> crate::tools::Ended {
    let bundle = bundle(example).await;
    run(&["push", bundle.to_str().unwrap(), "--wait", "--node", &node.address]).await
}

const REFUSED: [&str; 3] =
    ["release 1 of `counter` is older than release 2", "midflight rollback", "by the same key"];

async fn current(node: &NodeProcess) -> Vec<u64> {
    let status = node.status(&[]).await;
    let versions = status["versions"].as_array().unwrap().iter();
    let current = versions.filter(|version| version["current"] == true);
    current.map(|version| version["version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_bundle_that_is_replayed_is_refused_and_a_rollback_is_not() {
    let node = NodeProcess::start("a", &[]).await;
    push(&node, "counter-v1").await.expect(0, &[]);
    push(&node, "counter-v2").await.expect(0, &[]);
    push(&node, "counter-v1").await.expect(4, &REFUSED);
    assert_eq!(current(&node).await, [2], "it is as it was");

    let rollback = ["rollback", "counter", "--wait", "--node", &node.address];
    run(&rollback).await.expect(0, &[]);
    assert_eq!(current(&node).await, [1]);
    // What is current is no news, and the newest that has run is still the newest.
    push(&node, "counter-v1").await.expect(0, &[]);
    push(&node, "counter-v2").await.expect(0, &[]);
    push(&node, "counter-v1").await.expect(4, &REFUSED);
}

#[tokio::test]
async fn what_a_node_has_run_it_knows_after_it_was_killed() {
    let node = NodeProcess::start("a", &[]).await;
    push(&node, "counter-v2").await.expect(0, &[]);
    let node = node.again("a", &[]).await;
    push(&node, "counter-v1").await.expect(4, &REFUSED);
    push(&node, "counter-v2").await.expect(0, &[]);

    // A record that was tampered with is not forgotten in silence.
    let record = node.data().join("releases");
    let mut bytes = std::fs::read(&record).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let node = node.again("a", &[]).await;
    push(&node, "counter-v1")
        .await
        .expect(4, &["which releases have run here is not known", "it is damaged"]);
}

/// The number is the author's, and may go on where the version does not.
#[tokio::test]
async fn a_bundle_is_built_as_the_release_that_is_asked_for() {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counter-release-7.mfb");
    let mut build = midflight(["build", "--json", "--release-number", "7", "-o"]);
    build.arg(&built).arg(crate::tools::examples().join("counter-v1"));
    build.arg("--data").arg(crate::tools::build_data());
    let built_as = end(build).await;
    assert_eq!(built_as.expect(0, &[]).json()["release"], 7);
    let node = NodeProcess::start("a", &[]).await;
    let push = ["push", built.to_str().unwrap(), "--wait", "--node", &node.address];
    run(&push).await.expect(0, &[]);
    self::push(&node, "counter-v2")
        .await
        .expect(4, &["release 2 of `counter` is older than release 7"]);
}
