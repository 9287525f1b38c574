//! `midflight trace`: what one process does.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::tools::{LONG, NodeProcess, end, midflight, run, runtime};

async fn control_of(node: &NodeProcess) -> String {
    let ps = run(&["ps", "--json", "--node", &node.address]).await.expect(0, &[]).json();
    let processes = ps["processes"].as_array().unwrap().clone();
    // By its registered name: while it has its turn, nobody can say what it runs.
    let named = serde_json::json!(["midflight.control"]);
    let is_control = |p: &&serde_json::Value| p["names"] == named;
    processes.iter().find(is_control).unwrap()["pid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_operator_follows_a_process() {
    let node = NodeProcess::start_with("a", &[]).await;
    let pid = control_of(&node).await;
    let at = ["--node", &node.address];
    let trace =
        [&["trace", &pid, "--follow", "--only", "receive", "--limit", "1", "--json"], &at[..]];
    let mut following = midflight(trace.concat());
    let mut following = following.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    // Asked again until it shows: nobody says when the other has begun.
    let asking = async {
        loop {
            run(&[&["status"], &at[..]].concat()).await.expect(0, &[]);
        }
    };
    let line = tokio::select! {
        line = lines.next_line() => line.unwrap().unwrap(),
        () = asking => unreachable!(),
    };
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["pid"], &event["kind"]), (&pid.as_str().into(), &"received".into()));
    let what = event["what"].as_str().unwrap();
    assert!(what.starts_with("received midflight.control."), "{what}");
    assert_eq!(event["trace"].as_str().unwrap().len(), 32);
    let ended = midflight_runtime::timeout(&*runtime(), LONG, following.wait()).await;
    assert!(ended.unwrap().unwrap().success(), "it ends after so many events");
}

#[tokio::test]
async fn events_are_in_the_log_until_it_is_switched_off() {
    let node = NodeProcess::start_with("a", &[]).await;
    let pid = control_of(&node).await;
    let at = ["--node", &node.address];
    let trace = |switch: &'static str| end(midflight([&["trace", &pid, switch], &at[..]].concat()));
    trace("on").await.expect(0, &[]);
    run(&[&["status"], &at[..]].concat()).await.expect(0, &[]);
    node.logs(&["midflight::trace", "received midflight.control.StatusRequest@1 (call)"]).await;
    trace("off").await.expect(0, &[]);
    let before = node.log().matches("StatusRequest").count();
    run(&[&["status"], &at[..]].concat()).await.expect(0, &[]);
    assert_eq!(node.log().matches("StatusRequest").count(), before);
    run(&["trace", "<1.1.1>", "--node", &node.address]).await.expect(4, &["of another node"]);
    run(&["trace", &pid, "off", "--follow"]).await.expect(2, &["--follow is for `on`"]);
}
