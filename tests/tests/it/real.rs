//! The thesis' ping-pong once more, with everything real: bundles built from crates, the system's
//! loader, probes in child processes, two nodes over TCP.

use std::time::Duration;

use midflight_dsu::builder::Built;
use midflight_dsu::bundle::Bundle;
use midflight_dsu::code_server::{
    AcceptError, ActivateError, CodeServer, CodeServerConfig, Conflicts, MAPPED_MAX, StageError,
};
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::library::NativeFormat;
use midflight_dsu::signature::TrustedKeys;
use midflight_dsu::switch::SwitchLimits;
use midflight_process::{Node, Pid};
use midflight_runtime::{Handle, TokioRuntime, timeout};
use midflight_tests::real::{bundle, prober};
use midflight_tests::steps::{stage_file, start, ten_pings};
use midflight_transport_api::Address;
use midflight_transport_tcp::{TcpConfig, TcpTransport};

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn node(name: &str) -> Node {
    let runtime = TokioRuntime::current();
    let transport = TcpTransport::new(TcpConfig::default(), runtime.clone());
    let listen: Address = "tcp:127.0.0.1:0".parse().unwrap();
    let builder = Node::builder(name).listen(listen).trust_links(|_| true);
    builder.start(&transport, runtime).await.unwrap()
}

pub(super) fn code_server(node: &Node, data: &std::path::Path, trusted: &Built) -> CodeServer {
    code_server_with(node, data, trusted, SwitchLimits::default())
}

fn code_server_with(
    node: &Node,
    data: &std::path::Path,
    trusted: &Built,
    switch: SwitchLimits,
) -> CodeServer {
    let runtime: Handle = node.runtime().clone();
    let config = CodeServerConfig {
        data: data.to_owned(),
        trusted: TrustedKeys::from_iter([trusted.signed_by]),
        format: std::sync::Arc::new(NativeFormat::new(runtime, prober())),
        switch,
        mapped_max: MAPPED_MAX,
    };
    CodeServer::new(config, node.clone())
}

pub(super) async fn stage(server: &CodeServer, built: &Built) -> ContentAddress {
    let file = std::fs::read(&built.path).unwrap();
    let address = built.bundle.address();
    stage_file(server, address, &file).await;
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_pong_across_nodes_with_the_upgrade_at_every_position() {
    let (near, far) = (node("near").await, node("far").await);
    near.connect(&far.address().unwrap()).await.unwrap();
    let v1 = bundle(near.runtime(), "tests/fixtures/ponger-v1").await;
    let v2 = bundle(near.runtime(), "tests/fixtures/ponger-v2").await;
    for k in 1..=10 {
        let data = tempfile::tempdir().unwrap();
        let server = code_server(&far, data.path(), &v1);
        let first = stage(&server, &v1).await;
        server.activate(first).await.unwrap();
        let ponger = start(&server, "ponger", &());
        let second = stage(&server, &v2).await;
        let watched = server.clone();
        near.run("pinger", move |cx| async move {
            ten_pings(&cx, &server, ponger, second, k, PATIENCE).await;
        })
        .await
        .unwrap();
        assert_eq!(watched.versions().get(second).unwrap().processes(), [ponger], "same pid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_across_nodes_with_the_upgrade_at_every_position() {
    let (near, far) = (node("near").await, node("far").await);
    near.connect(&far.address().unwrap()).await.unwrap();
    let v1 = bundle(near.runtime(), "tests/fixtures/rally-v1").await;
    let v2 = bundle(near.runtime(), "tests/fixtures/rally-v2").await;
    for k in 1..=10 {
        let data = tempfile::tempdir().unwrap();
        let server = code_server(&far, data.path(), &v1);
        let first = stage(&server, &v1).await;
        server.activate(first).await.unwrap();
        let rally = start(&server, "rally", &());
        let second = stage(&server, &v2).await;
        near.run("pinger", move |cx| async move {
            ten_pings(&cx, &server, rally, second, k, PATIENCE).await;
            assert_eq!(server.versions().get(second).unwrap().processes(), [rally], "same pid");
            // And back, by what the newer one brings.
            server.activate(first).await.unwrap();
            let look = rally_v1::Look { after: 0 };
            let seen: rally_v1::Seen = cx.call(rally, look, PATIENCE).await.unwrap();
            assert_eq!(seen.pongs, 10);
        })
        .await
        .unwrap();
    }
}

/// Waits until the process sleeps in the midst of its loop.
async fn sleeps(node: &Node, pid: Pid) {
    let what = || node.process(pid)?.label?.suspended;
    let asleep = async {
        while !what().is_some_and(|what| what.contains("1 sleeps")) {
            tokio::task::yield_now().await;
        }
    };
    timeout(&**node.runtime(), PATIENCE, asleep).await.expect("it sleeps");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_of_a_bundle_is_named_where_it_comes_to_no_point_and_switched_deep_within() {
    let node = node("a").await;
    let v1 = bundle(node.runtime(), "tests/fixtures/rally-v1").await;
    let v2 = bundle(node.runtime(), "tests/fixtures/rally-v2").await;
    let data = tempfile::tempdir().unwrap();
    let limits = SwitchLimits { rest_timeout: Duration::from_secs(3), ..SwitchLimits::default() };
    let server = code_server_with(&node, data.path(), &v1, limits);
    let first = stage(&server, &v1).await;
    server.activate(first).await.unwrap();
    let rally = start(&server, "rally", &());
    let second = stage(&server, &v2).await;
    let at = node.clone();
    let client = node.run("client", move |cx| async move {
        // It is done with this call when it receives where there is no point.
        cx.call::<_, ()>(rally, rally_v1::Hang {}, PATIENCE).await.unwrap();
        let refused = server.activate(second).await.unwrap_err();
        let ActivateError::Switch { failed, not_back } = &refused else { panic!("{refused}") };
        let named = failed[0].to_string();
        assert!(named.starts_with(&format!("{rally} did not come to rest in time: its loop")));
        assert!(named.ends_with("in 0 calls and 0 sleeps and a receive"), "{named}");
        assert_eq!((failed.len(), not_back.len()), (1, 0));
        // Its old future goes on, to a point deep within.
        cx.send(rally, rally_v1::Hang {}).await.unwrap();
        cx.send(rally, rally_v1::Walk { steps: 2 }).await.unwrap();
        sleeps(&at, rally).await;
        server.stage(second).await.unwrap();
        assert_eq!(server.activate(second).await.unwrap(), 1);
        let look = rally_v1::Look { after: 0 };
        let seen: rally_v1::Seen = cx.call(rally, look, PATIENCE).await.unwrap();
        assert_eq!(seen.old_steps + seen.new_steps, 2);
        assert!(seen.old_steps >= 1, "the step it was in is the old code's: {seen:?}");
    });
    client.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_reads_what_was_written_for_the_one_before_it() {
    let (near, far) = (node("near").await, node("far").await);
    near.connect(&far.address().unwrap()).await.unwrap();
    let v1 = bundle(near.runtime(), "tests/fixtures/clerk-v1").await;
    let v2 = bundle(near.runtime(), "tests/fixtures/clerk-v2").await;
    let data = tempfile::tempdir().unwrap();
    let server = code_server(&far, data.path(), &v1);
    let first = stage(&server, &v1).await;
    server.activate(first).await.unwrap();
    let clerk = start(&server, "clerk", &());
    let client = near.run("client", move |cx| async move {
        let note = |text: &str| clerk_v1::Note { text: text.into(), weight: 7 };
        let order = clerk_v1::Order { item: "tea".into(), pence: 275 };
        cx.send(clerk, note("before")).await.unwrap();
        let look = clerk_v1::Look {};
        let before: clerk_v1::Books = cx.call(clerk, look, PATIENCE).await.unwrap();
        assert_eq!((before.by, before.notes.len()), (1, 1));
        // The state has another form in the new version, too: the probe has tried it.
        let second = stage(&server, &v2).await;
        assert_eq!(server.activate(second).await.unwrap(), 1);
        cx.send(clerk, note("after")).await.unwrap();
        let newer = clerk_v2::Note { weight: 9, about: vec!["us".into()], body: "newer".into() };
        cx.send(clerk, newer).await.unwrap();
        let receipt: clerk_v1::Receipt = cx.call(clerk, order, PATIENCE).await.unwrap();
        let look = clerk_v1::Look {};
        let after: clerk_v1::Books = cx.call(clerk, look, PATIENCE).await.unwrap();
        (receipt.number, after)
    });
    let (number, books) = client.await.unwrap();
    let note = |text: &str, weight| (String::from(text), weight);
    let notes = vec![note("before", 7), note("after to everyone", 7), note("newer to us", 9)];
    assert_eq!((number, books), (1, clerk_v1::Books { notes, orders: vec![275], by: 2 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_goes_to_v2_and_back_and_never_to_what_is_incompatible() {
    let node = node("a").await;
    let runtime = node.runtime().clone();
    let v1 = bundle(&runtime, "examples/counter-v1").await;
    let v2 = bundle(&runtime, "examples/counter-v2").await;
    let v3 = bundle(&runtime, "examples/counter-v3-incompatible").await;
    let data = tempfile::tempdir().unwrap();
    let server = code_server(&node, data.path(), &v1);
    let first = stage(&server, &v1).await;
    server.activate(first).await.unwrap();
    let counter = start(&server, "counter", &());
    let second = stage(&server, &v2).await;
    let file = std::fs::read(&v3.path).unwrap();
    server.accept(v3.bundle.address(), &file).await.unwrap();
    let client = server.clone();
    node.run("client", move |cx| async move {
        let mut total = 0;
        for (address, version) in [(first, 1), (second, 2), (first, 1), (second, 2)] {
            // What was left and runs nowhere may have been retired.
            client.stage(address).await.unwrap();
            client.activate(address).await.unwrap();
            for _ in 0..100 {
                total += 3;
                let add = counter_v1::Add { seq: 0, amount: 3 };
                let reply: counter_v1::Total = cx.call(counter, add, PATIENCE).await.unwrap();
                assert_eq!((reply.total, reply.code_version), (total, version));
            }
        }
        let refused = client.stage(v3.bundle.address()).await.unwrap_err();
        let StageError::Conflicts(Conflicts { running: 2, conflicts }) = &refused else {
            panic!("{refused}")
        };
        let (type_name, field) = conflicts[0].type_and_field().unwrap();
        assert_eq!(type_name, "counter.Add");
        assert!(field.contains("amount"), "{refused}");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_bundle_is_refused_and_what_runs_goes_on() {
    let node = node("a").await;
    let runtime = node.runtime().clone();
    let data = tempfile::tempdir().unwrap();
    let good = bundle(&runtime, "examples/counter-v1").await;
    let server = code_server(&node, data.path(), &good);
    let first = stage(&server, &good).await;
    server.activate(first).await.unwrap();
    let counter = start(&server, "counter", &());
    let file = std::fs::read(&good.path).unwrap();
    for at in (0..file.len()).step_by(file.len() / 50) {
        let mut garbled = file.clone();
        garbled[at] ^= 0xff;
        match server.accept(first, &garbled).await {
            Err(AcceptError::Bundle(_)) => {}
            // The archive's padding is the one place where a flip may change nothing.
            Ok(()) => assert_eq!(Bundle::read(&garbled).unwrap().write().unwrap(), file, "{at}"),
            Err(other) => panic!("{other}"),
        }
        let cut = server.accept(first, &file[..at]).await;
        assert!(matches!(cut, Err(AcceptError::Bundle(_))), "{cut:?}");
    }
    let total = node.run("client", move |cx| async move {
        let add = counter_v1::Add { seq: 0, amount: 3 };
        cx.call::<_, counter_v1::Total>(counter, add, PATIENCE).await.unwrap().total
    });
    assert_eq!(total.await.unwrap(), 3);
}
