//! A node that is asked to stop drains first: real processes, real signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use counter_v2::{Add, Total};
use midflight_dsu::protocol::{CONTROL, Start, Started};
use midflight_process::{Context, Down, ExitReason, Node, Pid, Received};
use midflight_runtime::timeout;
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use rustix::process::Signal;

use crate::tools::{LONG, NodeProcess, bundle, run, runtime, until};

const CALLERS: u32 = 8;

/// Calls a counter until it ends. All that was acknowledged is in the last total, and the end comes
/// after all replies: where it is told as what it is, none of them was lost.
async fn load(cx: Context, counter: Pid, acknowledged: Arc<AtomicU32>) -> (u64, Total, Down) {
    cx.monitor(counter).await;
    let (mut seq, mut last) = (0, None);
    loop {
        seq += 1;
        match cx.call::<_, Total>(counter, Add { seq, amount: 7 }, LONG).await {
            Ok(total) => last = Some(total),
            Err(_the_end) => break,
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    let down = cx.receive().on(|down: Received<Down>| down.message).timeout(LONG).await;
    (seq - 1, last.expect("some were acknowledged"), down.expect("the end is told"))
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_under_load() {
    let mut node = NodeProcess::start("a", &[]).await;
    let v2 = bundle("counter-v2").await;
    run(&["push", v2.to_str().unwrap(), "--wait", "--node", &node.address]).await.expect(0, &[]);
    let transport = TcpTransport::new(TcpConfig::default(), runtime());
    let operator = Node::builder("test").start(&transport, runtime()).await.unwrap();
    let there = operator.connect(&format!("tcp:{}", node.address).parse().unwrap()).await.unwrap();
    let control = operator.whereis_on(there, CONTROL).await.unwrap().unwrap();
    let start = Start { behaviour: "counter".into(), count: CALLERS, start: Vec::new() };
    let started = operator.run("start", move |cx| async move {
        cx.call::<_, Started>(control, start, LONG).await.unwrap()
    });
    let counters = started.await.unwrap().pids;
    let acknowledged = Arc::new(AtomicU32::new(0));
    let loads = counters.into_iter().map(|counter| {
        let acknowledged = acknowledged.clone();
        operator.run("load", move |cx| load(cx, counter, acknowledged))
    });
    let loads = futures_util::future::join_all(loads);
    let stops = async {
        until("the load is on", async || acknowledged.load(Ordering::Relaxed) > 500).await;
        node.signal(Signal::TERM);
        timeout(&*runtime(), LONG, node.child.wait()).await.unwrap().unwrap()
    };
    let (loads, status) = futures_util::future::join(loads, stops).await;
    assert!(status.success(), "{status}: {}", node.log());
    assert!(node.log().contains("has ended"), "{}", node.log());
    assert_eq!(loads.len(), CALLERS as usize);
    for load in loads {
        let (acknowledged, total, down) = load.unwrap();
        assert_eq!(i64::try_from(acknowledged).unwrap() * 7, total.total);
        assert_eq!(down.reason, ExitReason::Shutdown);
    }
}

/// A peer that stands still keeps a node from saying goodbye; a second signal does not wait for it.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut a = NodeProcess::start("a", &[]).await;
    let b = NodeProcess::start("b", &["--join", &a.address]).await;
    let linked = async || a.status(&[]).await["peers"].as_array().unwrap().contains(&"b".into());
    until("b is linked", linked).await;
    b.signal(Signal::STOP);
    a.signal(Signal::TERM);
    a.logs(&["stops: SIGTERM"]).await;
    a.signal(Signal::INT);
    let ended = timeout(&*runtime(), LONG, a.child.wait()).await.unwrap().unwrap();
    assert!(ended.success());
    let log = a.log();
    assert!(log.contains("SIGINT came once more") && !log.contains("has ended"), "{log}");
    b.signal(Signal::CONT);
}
