//! `midflight top` and `ps`: what a node does.

use crate::tools::{NodeProcess, run};

#[tokio::test]
async fn top_shows_rates_peers_and_mailboxes() {
    let node = NodeProcess::start_with("a", &[]).await;
    let shown = ["top", "--once", "--every", "0.1", "--node", &node.address];
    let value = run(&[&shown[..], &["--json"]].concat()).await.expect(0, &[]).json();
    assert_eq!((&value["node"], &value["processes"]), (&"a".into(), &1.into()));
    // The program that asks is a peer, and its questions are messages.
    let peer = &value["peers"][0];
    assert!(peer["received"]["messages_per_s"].as_u64().unwrap() > 0, "{value:#}");
    assert!(value["per_s"]["handled"].as_u64().unwrap() > 0, "{value:#}");
    assert_eq!(value["longest"][0]["names"], serde_json::json!(["midflight.control"]));
    let people = run(&shown).await.expect(0, &[]).stdout;
    assert!(
        people.contains("messages handled") && people.contains("midflight.control"),
        "{people}"
    );
    assert!(!people.contains('\x1b'), "no terminal, no clearing: {people}");
    run(&["top", "--every", "0"]).await.expect(2, &["0.1 to 3600"]);
}

#[tokio::test]
async fn ps_shows_links_and_what_lies() {
    let node = NodeProcess::start_with("a", &[]).await;
    let ps = ["ps", "--longest", "--node", &node.address];
    let value = run(&[&ps[..], &["--json"]].concat()).await.expect(0, &[]).json();
    let control = &value["processes"][0];
    assert_eq!((&control["links"], &control["traps_exits"]), (&0.into(), &false.into()));
    assert_eq!(control["unreceived"], serde_json::json!([]));
    let people = run(&ps).await.expect(0, &[]).stdout;
    assert!(people.starts_with("PID") && people.contains("WAITS FOR"), "{people}");
}
