//! Rollouts in waves between nodes in processes of their own, one of which is killed in the middle (R3, R4).

use std::path::Path;
use std::process::Stdio;

use tempfile::NamedTempFile;
use tokio::process::Child;

use crate::tools::{NodeProcess, bundle, midflight, run, until};

const VOTERS: [&str; 2] = ["--voters", "a,b,c"];

/// Three nodes that run version 1 of a counter. The first is asked for everything, and so drives; the canary is `b`.
async fn cluster() -> [NodeProcess; 3] {
    let a = NodeProcess::start("a", &VOTERS).await;
    let flags = [&VOTERS[..], &["--join", &a.address]].concat();
    let b = NodeProcess::start("b", &flags).await;
    let c = NodeProcess::start("c", &flags).await;
    for node in [&a, &b, &c] {
        let all = async || node.status(&[]).await["members"].as_array().unwrap().len() == 3;
        until("all know all", all).await;
    }
    let v1 = bundle("counter-v1").await;
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(0, &[]);
    for node in [&a, &b, &c] {
        run(&["start", "counter", "--node", &node.address]).await.expect(0, &[]);
    }
    [a, b, c]
}

async fn current(node: &NodeProcess) -> u64 {
    let status = node.status(&[]).await;
    let versions = status["versions"].as_array().unwrap();
    let current = versions.iter().find(|version| version["current"] == true);
    current.map_or(0, |version| version["version"].as_u64().unwrap())
}

/// Begins a rollout that nothing is said to, so that its gates can never be sure, and waits until it asks a person. While
/// the voters elect, which a busy machine may have them do at any time, it is refused; then it is asked for again.
async fn held(node: &NodeProcess, bundle: &Path) -> Child {
    let said = NamedTempFile::new().unwrap();
    let start = || {
        said.as_file().set_len(0).unwrap();
        let mut start = midflight(["rollout", "start", "--wait", "--node", &node.address]);
        start.arg(bundle).args(["--canary", "b", "--gate-time", "1", "--gate-deadline", "1"]);
        start.stdout(Stdio::null()).stderr(said.reopen().unwrap()).spawn().unwrap()
    };
    let mut started = start();
    until("it waits for a person", async || {
        if started.try_wait().unwrap().is_some() {
            let said = std::fs::read_to_string(said.path()).unwrap();
            assert!(said.contains("no majority of the voters"), "it has ended: {said}");
            started = start();
        }
        let said = ["rollout", "status", "--json", "--node", &node.address];
        let said = run(&said).await.expect(0, &[]).json();
        said["driven"][0]["step"] == "held after wave 1"
    })
    .await;
    started
}

async fn code(mut started: Child) -> Option<i32> {
    started.wait().await.unwrap().code()
}

#[tokio::test]
async fn the_canary_alone_has_it_until_a_person_says_go_on_or_go_back() {
    let [a, b, c] = cluster().await;
    let v2 = bundle("counter-v2").await;
    let started = held(&a, &v2).await;
    assert_eq!([current(&a).await, current(&b).await, current(&c).await], [1, 2, 1]);
    let said = run(&["rollout", "status", "--node", &a.address]).await.expect(0, &[]).stdout;
    assert!(said.contains("in waves: b | c a\n") && said.contains("waits for a person"), "{said}");
    run(&["rollout", "abort", "counter", "--node", &c.address]).await.expect(0, &[]);
    assert_eq!(code(started).await, Some(4));
    assert_eq!([current(&a).await, current(&b).await, current(&c).await], [1, 1, 1]);

    let started = held(&a, &v2).await;
    run(&["rollout", "resume", "counter", "--node", &c.address]).await.expect(0, &[]);
    assert_eq!(code(started).await, Some(0));
    assert_eq!([current(&a).await, current(&b).await, current(&c).await], [2, 2, 2]);
    let none = run(&["rollout", "resume", "counter", "--node", &c.address]).await;
    none.expect(4, &["no rollout of `counter` is open"]);
}

#[tokio::test]
async fn the_driver_is_killed_while_the_canary_is_looked_at_and_the_canary_goes_back() {
    let [mut a, b, c] = cluster().await;
    let mut started = held(&a, &bundle("counter-v2").await).await;
    assert_eq!(current(&b).await, 2);
    a.child.kill().await.unwrap();
    until("the others run what they ran", async || {
        current(&b).await == 1 && current(&c).await == 1
    })
    .await;
    started.kill().await.unwrap();
}

#[tokio::test]
async fn waves_that_cannot_be_are_refused_with_the_reason() {
    let node = ["--node", "127.0.0.1:1"];
    let start = async |flags: &[&str]| {
        run(&[&["rollout", "start", "x.mfb"], &node[..], flags].concat()).await
    };
    start(&["--canary", "0"]).await.expect(2, &["--canary"]);
    start(&["--waves", "150%"]).await.expect(2, &["--waves"]);
    start(&["--gates", "error"]).await.expect(2, &["errors", "panics", "latency"]);
    start(&["--gates", "errors", "--no-gates"]).await.expect(2, &["cannot be used with"]);
}
