//! `midflight top` and `ps`: what a node does.

use std::sync::Arc;
use std::time::Duration;

use midflight_dsu::code_server::{CodeServer, CodeServerConfig, MAPPED_MAX};
use midflight_dsu::library::NativeFormat;
use midflight_dsu::probe::Prober;
use midflight_dsu::signature::TrustedKeys;
use midflight_dsu::switch::SwitchLimits;
use midflight_process::{Context, Limits, Node, Pid};
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tools::{LONG, NodeProcess, run, runtime, until};

/// A node of this test's own, with a control process, and where it is.
async fn own_node(name: &str, limits: Limits, data: &TempDir) -> (Node, String) {
    let transport = TcpTransport::new(TcpConfig::default(), runtime());
    let builder = Node::builder(name).listen("tcp:127.0.0.1:0".parse().unwrap());
    let node = builder.limits(limits).start(&transport, runtime()).await.unwrap();
    let format = NativeFormat::new(runtime(), Prober::new("no probe", [""; 0]));
    let config = CodeServerConfig {
        data: data.path().to_owned(),
        trusted: TrustedKeys::default(),
        format: Arc::new(format),
        switch: SwitchLimits::default(),
        mapped_max: MAPPED_MAX,
    };
    CodeServer::new(config, node.clone()).serve().unwrap();
    let address = node.address().unwrap().rest().to_owned();
    (node, address)
}

/// What `ps --json` says of the process that runs `name`.
async fn ps_of(address: &str, name: &str) -> Value {
    let value = run(&["ps", "--json", "--node", address]).await.expect(0, &[]).json();
    let processes = value["processes"].as_array().unwrap();
    processes.iter().find(|process| process["name"] == name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn top_shows_rates_peers_and_mailboxes() {
    let node = NodeProcess::start_with("a", &[]).await;
    let shown = ["top", "--once", "--every", "0.1", "--node", &node.address];
    let value = run(&[&shown[..], &["--json"]].concat()).await.expect(0, &[]).json();
    assert_eq!((&value["node"], &value["processes"]), (&"a".into(), &2.into()));
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

#[tokio::test]
async fn ps_shows_what_nobody_has_received() {
    let data = tempfile::tempdir().unwrap();
    let limits = Limits { unreceived_after: Some(Duration::ZERO), ..Limits::default() };
    let (node, address) = own_node("a", limits, &data).await;
    let picky = node.spawn("picky", |cx| async move {
        cx.expect::<bool>().await;
    });
    let picky = picky.unwrap();
    let sent = node.run("sender", move |cx| async move {
        for n in 0..3_u64 {
            cx.send(picky, n).await.unwrap();
        }
        cx.send(picky, String::from("x")).await.unwrap();
    });
    sent.await.unwrap();
    until("all lies there", async || {
        let lying = ps_of(&address, "picky").await["unreceived"].clone();
        let of = |at: usize| (&lying[at]["type"], &lying[at]["count"], &lying[at]["old"]);
        of(0) == (&json!("string"), &json!(1), &json!(1))
            && of(1) == (&json!("u64"), &json!(3), &json!(3))
    })
    .await;
    let people = run(&["ps", "--node", &address]).await.expect(0, &[]).stdout;
    let head: Vec<_> = people.lines().next().unwrap().split_whitespace().collect();
    let line = people.lines().find(|line| line.contains("picky")).unwrap();
    let row: Vec<_> = line.split_whitespace().collect();
    assert_eq!((head[5], row[5]), ("OLD", "4"), "{people}");
    assert!(line.contains("not for 3 u64"), "{people}");
    node.shutdown().await;
}

#[tokio::test]
async fn ps_shows_who_waits_for_whom_and_names_circles() {
    let data = tempfile::tempdir().unwrap();
    let (node, address) = own_node("a", Limits::default(), &data).await;
    let (tell, told) = futures_channel::oneshot::channel::<Pid>();
    let calls = |cx: Context, next: Pid| async move {
        let _: Result<u64, _> = cx.call(next, 1_u64, LONG).await;
    };
    let one = node.spawn("one", move |cx| async move { calls(cx, told.await.unwrap()).await });
    let one = one.unwrap();
    let other = node.spawn("other", move |cx| calls(cx, one)).unwrap();
    tell.send(other).unwrap();
    let cycle = json!([[one.to_string(), other.to_string()]]);
    until("they wait for each other", async || {
        let ps = run(&["ps", "--json", "--node", &address]).await.expect(0, &[]).json();
        ps["cycles"] == cycle
    })
    .await;
    let waits = ps_of(&address, "one").await["waits"].clone();
    assert_eq!((&waits[0]["kind"], &waits[0]["on"]), (&json!("reply"), &json!(other.to_string())));
    assert!(waits[0]["millis"].is_u64() && waits.as_array().unwrap().len() == 1, "{waits}");
    let control = ps_of(&address, "midflight.control").await;
    assert_eq!(control["waits"][0]["kind"], "message", "{control}");
    let people = run(&["ps", "--node", &address]).await.expect(0, &[]).stdout;
    assert!(people.contains(&format!("reply of {other} for")), "{people}");
    let circle = format!("{one} waits for {other} waits for {one}");
    assert!(people.lines().any(|line| line.ends_with(&circle)), "{people}");
    node.kill(one, "it has been seen");
    until("nobody waits in a circle", async || {
        let ps = run(&["ps", "--json", "--node", &address]).await.expect(0, &[]).json();
        ps["cycles"] == json!([])
    })
    .await;
    node.shutdown().await;
}
