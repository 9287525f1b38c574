//! What happens on a node is told to who wants to know (P11).

use futures_channel::oneshot::channel;
use midflight_process::message::Message;
use midflight_process::{Context, EventKinds, ExitReason, Happened, Limits, Node, NodeEvent, Pid};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, keep, simulate, until};

/// What a listener has been told; it is called for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "events.Told", version = 1)]
struct Told(Vec<NodeEvent>);

/// A process that keeps the events of these kinds and hands them over when it is called with any text.
async fn listener(node: &Node, kinds: EventKinds) -> Pid {
    let (tell, told) = channel();
    let listener = node.spawn("listener", move |cx| async move {
        cx.watch_events(kinds);
        tell.send(()).unwrap();
        keep(cx, Told).await;
    });
    told.await.unwrap();
    listener.unwrap()
}

/// What a listener has been told of since the last time, of others than of those that run `ask`.
async fn told(node: &Node, listener: Pid) -> Vec<Happened> {
    let asked = node.run("ask", move |cx| async move {
        let me = cx.me();
        let told: Told = cx.call(listener, String::new(), 60 * QUIET).await.unwrap();
        (me, told.0)
    });
    let (me, events) = asked.await.unwrap();
    assert!(events.iter().all(|event| event.missed == 0 && event.unix_micros > 0));
    let of_ask = |what: &Happened| match what {
        Happened::Spawned { pid, name } => *pid == me || name == "ask",
        _ => false,
    };
    events.into_iter().map(|event| event.what).filter(|what| !of_ask(what)).collect()
}

fn name() -> String {
    String::from("name")
}

#[test]
fn starts_ends_and_names_are_told_in_their_order() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let all = listener(&a, EventKinds::PROCESSES | EventKinds::NAMES).await;
        let names = listener(&a, EventKinds::NAMES).await;
        let process = a.spawn("process", |cx| async move {
            cx.expect::<u64>().await;
            ExitReason::Error("as it was told".into())
        });
        let process = process.unwrap();
        a.register("name", process).unwrap();
        assert!(a.register("name", process).is_ok(), "which is no news");
        assert!(a.unregister("name") && !a.unregister("name"));
        a.register("name", process).unwrap();
        let heir = a
            .spawn("heir", |cx| async move {
                cx.expect::<u64>().await;
            })
            .unwrap();
        a.reregister("name", heir).unwrap();
        for pid in [process, heir] {
            a.run("teller", move |cx| async move { cx.send(pid, 1_u64).await.unwrap() }).await;
            until(&a, || a.process(pid).is_none()).await;
        }
        let registered = |pid| Happened::Registered { pid, name: name() };
        let unregistered = |pid| Happened::Unregistered { pid, name: name() };
        let of_names = [
            registered(process),
            unregistered(process),
            registered(process),
            unregistered(process),
            registered(heir),
            unregistered(heir),
        ];
        assert_eq!(told(&a, names).await, of_names);
        let is_of = |pid: Pid| {
            move |what: &Happened| {
                matches!(what, Happened::Spawned { pid: of, .. } | Happened::Exited { pid: of, .. }
                    | Happened::Registered { pid: of, .. } | Happened::Unregistered { pid: of, .. }
                    if *of == pid)
            }
        };
        let events = told(&a, all).await;
        let of = |pid| events.iter().filter(|what| is_of(pid)(what)).cloned().collect::<Vec<_>>();
        let reason = ExitReason::Error("as it was told".into());
        assert_eq!(
            of(process),
            [
                Happened::Spawned { pid: process, name: "process".into() },
                registered(process),
                unregistered(process),
                registered(process),
                unregistered(process),
                Happened::Exited { pid: process, reason },
            ]
        );
        assert_eq!(
            of(heir),
            [
                Happened::Spawned { pid: heir, name: "heir".into() },
                registered(heir),
                unregistered(heir),
                Happened::Exited { pid: heir, reason: ExitReason::Normal },
            ]
        );
    });
}

#[test]
fn a_name_of_a_process_elsewhere_goes_with_it() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let names = listener(&a, EventKinds::NAMES).await;
        let far = b
            .spawn("far", |cx| async move {
                cx.expect::<u64>().await;
            })
            .unwrap();
        a.register("name", far).unwrap();
        a.run("teller", move |cx| async move { cx.send(far, 1_u64).await.unwrap() }).await;
        until(&a, || a.whereis("name").is_none()).await;
        assert_eq!(
            told(&a, names).await,
            [
                Happened::Registered { pid: far, name: name() },
                Happened::Unregistered { pid: far, name: name() },
            ]
        );
    });
}

#[test]
fn links_are_told_of_as_they_come_and_go() {
    simulate(|world| async move {
        let (a, b) = (world.node("a").await, world.node("b").await);
        let links = listener(&a, EventKinds::LINKS).await;
        a.connect(&World::address("b")).await.unwrap();
        assert_eq!(told(&a, links).await, [Happened::LinkUp { node: b.id(), name: "b".into() }]);
        b.shutdown().await;
        until(&a, || a.metrics().links_lost > 0).await;
        a.runtime().sleep(QUIET).await;
        let told = told(&a, links).await;
        let [Happened::LinkDown { node, name, reason }] = &told[..] else { panic!("{told:?}") };
        assert_eq!((*node, name.as_str()), (b.id(), "b"));
        assert!(!reason.is_empty());
    });
}

/// Starts processes that end at once.
async fn start(node: &Node, count: usize) {
    for _ in 0..count {
        node.run("short", |_| async {}).await.unwrap();
    }
}

#[test]
fn the_next_event_says_how_many_were_missed() {
    simulate(|world| async move {
        let limits = Limits { mailbox_messages: 4, ..Limits::default() };
        let a = world.node_with("a", limits).await;
        let ((listens, is_listening), (go, goes), (took, has_taken)) =
            (channel(), channel::<()>(), channel());
        let slow = a.spawn("slow", move |cx: Context| async move {
            cx.watch_events(EventKinds::PROCESSES);
            listens.send(()).unwrap();
            goes.await.unwrap();
            let mut missed = Vec::new();
            for _ in 0..4 {
                missed.push(cx.expect::<NodeEvent>().await.missed);
            }
            took.send(()).unwrap();
            while let Some(event) = cx.expect_timeout::<NodeEvent>(2 * QUIET).await {
                missed.push(event.missed);
            }
            // 20 starts and ends, of which 4 had room, and then 2 more, for the first of which there may be none yet
            // where they come from another thread.
            assert_eq!(missed[..4], [0; 4]);
            assert!(missed[4] >= 16, "{missed:?}");
            assert_eq!(missed.len() as u64 + missed.iter().sum::<u64>(), 22, "{missed:?}");
        });
        let slow = slow.unwrap();
        is_listening.await.unwrap();
        start(&a, 10).await;
        go.send(()).unwrap();
        has_taken.await.unwrap();
        start(&a, 1).await;
        until(&a, || a.process(slow).is_none()).await;
        assert_eq!(a.metrics().ended_badly, 0);
    });
}
