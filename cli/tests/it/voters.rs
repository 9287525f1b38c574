//! Nodes that decide by majority, and are killed with SIGKILL in the middle of a rollout (R4).

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::tools::{NodeProcess, bundle, midflight, run, runtime, until};

const VOTERS: [&str; 2] = ["--voters", "a,b,c"];

async fn rollouts(node: &NodeProcess) -> serde_json::Value {
    run(&["rollout", "status", "--json", "--node", &node.address]).await.expect(0, &[]).json()
}

/// The version of the counter that is current on a node; none while it waits for anything.
async fn settled(node: &NodeProcess) -> Option<u64> {
    let said = rollouts(node).await;
    if ["open", "driven", "waiting"].iter().any(|list| said[*list] != serde_json::json!([])) {
        return None;
    }
    let status = node.status(&[]).await;
    let versions = status["versions"].as_array().unwrap();
    versions.iter().find(|it| it["current"] == true).and_then(|it| it["version"].as_u64())
}

#[tokio::test]
async fn the_driver_is_killed_and_the_others_end_all_new_or_all_old() {
    let mut a = NodeProcess::start("a", &VOTERS).await;
    let flags = [&VOTERS[..], &["--join", &a.address]].concat();
    let b = NodeProcess::start("b", &flags).await;
    let c = NodeProcess::start("c", &flags).await;
    let (v1, v2) = (bundle("counter-v1").await, bundle("counter-v2").await);
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(0, &[]);
    for node in [&a, &b, &c] {
        run(&["start", "counter", "--node", &node.address]).await.expect(0, &[]);
        assert_eq!(rollouts(node).await["voters"], serde_json::json!(["a", "b", "c"]));
    }
    let mut pushing = midflight(["push", "--wait", "--node", &a.address]);
    pushing.arg(&v2).stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut pushing = pushing.spawn().unwrap();
    let mut lines = BufReader::new(pushing.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("staged") {
            break;
        }
    }
    a.child.kill().await.unwrap();
    midflight_runtime::spawn(&runtime(), "the rest", async move {
        while let Ok(Some(_)) = lines.next_line().await {}
        drop(pushing);
    });
    until("b and c are of one mind, and wait for nothing", async || {
        let (on_b, on_c) = (settled(&b).await, settled(&c).await);
        on_b.is_some() && on_b == on_c
    })
    .await;
    // Two of three decide without it, and it follows when it comes back.
    let push = ["push", v2.to_str().unwrap(), "--wait", "--node", &b.address];
    run(&push).await.expect(0, &[]);
    let again = [&VOTERS[..], &["--join", &b.address]].concat();
    let a = a.again("a", &again).await;
    until("a follows", async || settled(&a).await == Some(2)).await;
}
