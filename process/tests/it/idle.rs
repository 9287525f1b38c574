//! Links that only gossip has used are closed when they are idle, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use midflight_process::{
    Context, Disconnected, Down, EventKinds, ExitReason, GroupChange, Happened, Limits,
    MemberEvent, Node, NodeDown, NodeEvent, Pid,
};

use crate::world::{World, run, simulate, until};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn limits(idle_timeout: Duration) -> Limits {
    Limits { idle_timeout, ..Limits::default() }
}

async fn pair(world: &World, idle_timeout: Duration) -> (Node, Node) {
    let a = world.node_with("a", limits(idle_timeout)).await;
    let b = world.node_with("b", limits(idle_timeout)).await;
    a.connect(&World::address("b")).await.unwrap();
    (a, b)
}

/// A process that answers every number with the next.
fn answers(node: &Node) -> Pid {
    let answers = |cx: Context| async move {
        loop {
            let received = cx.receive_one::<u64>().await;
            if let Some(reply_to) = received.reply_to {
                reply_to.reply(received.message + 1);
            }
        }
    };
    node.spawn("answers", answers).unwrap()
}

/// How often a node takes another for anything but alive, from now on.
fn worries(node: &Node) -> Arc<AtomicU64> {
    let worries = Arc::new(AtomicU64::new(0));
    let counted = worries.clone();
    node.spawn("watches", |cx| async move {
        let _known = cx.watch_members();
        loop {
            if !matches!(cx.expect::<MemberEvent>().await, MemberEvent::Up(_)) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
    .unwrap();
    worries
}

#[test]
fn a_link_that_only_gossip_has_used_is_closed_and_made_again_when_it_is_wanted() {
    simulate(|world| async move {
        let (a, b) = pair(&world, 300 * MILLI).await;
        let worries = [worries(&a), worries(&b)];
        let began = world.runtime.now();
        until(&a, || a.peers().is_empty() && b.peers().is_empty()).await;
        let took = world.runtime.now().since(began);
        assert!(took >= 150 * MILLI, "not before its time: {took:?}");
        world.runtime.sleep(20 * SECOND).await;
        let closed = a.metrics().links_idle;
        assert!(closed > 3, "gossip makes it, and it is closed again: {closed}");
        assert_eq!((a.metrics().links_lost, b.metrics().links_lost), (0, 0));

        // From now on it is used.
        let pid = answers(&b);
        let called = a.run("calls", move |cx| async move {
            cx.send(pid, 7_u64).await.unwrap();
            let answer = cx.call::<_, u64>(pid, 1_u64, SECOND).await.unwrap();
            assert_eq!(cx.expect_timeout::<Disconnected>(40 * SECOND).await, None);
            answer
        });
        assert_eq!(called.await, Some(2));
        assert_eq!((a.peers().len(), b.peers().len()), (1, 1), "what is used stays");
        let (made, closed) = (a.metrics().links_made, a.metrics().links_idle);
        world.runtime.sleep(40 * SECOND).await;
        assert_eq!((a.metrics().links_made, a.metrics().links_idle), (made, closed));
        assert!(worries.iter().all(|worries| worries.load(Ordering::Relaxed) == 0));
    });
}

/// Does everything once that needs a link, and is told nothing that is not so.
async fn uses(node: &Node, other: &Node) {
    let target = answers(other);
    let used = node.run("uses", move |cx| async move {
        match target.index % 3 {
            0 => cx.send(target, 1_u64).await.unwrap(),
            1 => assert_eq!(cx.call::<_, u64>(target, 1_u64, SECOND).await.unwrap(), 2),
            _ => {}
        }
        let monitor = cx.monitor(target).await;
        assert_eq!(cx.call::<_, u64>(target, 3_u64, SECOND).await.unwrap(), 4);
        cx.exit(target, ExitReason::Error("enough".into())).await;
        let down = cx.expect_timeout::<Down>(SECOND).await.unwrap();
        assert_eq!(
            down,
            Down { monitor, process: target, reason: ExitReason::Error("enough".into()) }
        );
        assert_eq!(cx.expect_timeout::<Disconnected>(Duration::ZERO).await, None);
    });
    assert!(used.await.is_some(), "something was told that is not so");
}

#[test]
fn who_begins_to_use_a_link_while_it_is_closed_loses_nothing() {
    let (closed, kept) = (AtomicU64::new(0), AtomicU64::new(0));
    let (closed, kept) = (Arc::new(closed), Arc::new(kept));
    for seed in 0..10 {
        let (closed, kept) = (closed.clone(), kept.clone());
        run(seed, move |world| {
            let (closed, kept) = (closed.clone(), kept.clone());
            async move {
                world.hub.set_delay(4 * MILLI);
                let (a, b) = pair(&world, 40 * MILLI).await;
                for round in 0..40 {
                    let chance = world.runtime.random_u64();
                    let pause = 35_000 + chance % 40_000;
                    world.runtime.sleep(Duration::from_micros(pause)).await;
                    let before = a.metrics().links_idle;
                    match (chance >> 32) % 3 {
                        0 => uses(&a, &b).await,
                        1 => uses(&b, &a).await,
                        _ => _ = futures_util::join!(uses(&a, &b), uses(&b, &a)),
                    }
                    match a.metrics().links_idle > before {
                        true => closed.fetch_add(1, Ordering::Relaxed),
                        false => kept.fetch_add(1, Ordering::Relaxed),
                    };
                    assert_eq!(a.metrics().links_lost, round, "no loss but the one below");
                    a.disconnect(b.id());
                    until(&a, || a.peers().is_empty() && b.peers().is_empty()).await;
                    a.connect(&World::address("b")).await.unwrap();
                }
            }
        });
    }
    let (closed, kept) = (closed.load(Ordering::Relaxed), kept.load(Ordering::Relaxed));
    println!("{closed} links closed while they were wanted, {kept} not");
    assert!(closed > 10 && kept > 100, "{closed} {kept}");
}

#[test]
fn one_side_that_keeps_its_links_for_longer_is_asked() {
    simulate(|world| async move {
        let a = world.node_with("a", limits(100 * MILLI)).await;
        let b = world.node_with("b", limits(100 * SECOND)).await;
        a.connect(&World::address("b")).await.unwrap();
        world.runtime.sleep(20 * SECOND).await;
        assert_eq!((a.peers().len(), a.metrics().links_made, a.metrics().links_idle), (1, 1, 0));
        uses(&a, &b).await;
    });
}

#[test]
fn who_only_dials_keeps_its_link() {
    simulate(|world| async move {
        let a = world.node_with("a", limits(100 * MILLI)).await;
        let operator = Node::builder("operator").limits(limits(100 * MILLI));
        let operator = world.start(operator).await;
        operator.connect(&World::address("a")).await.unwrap();
        world.runtime.sleep(20 * SECOND).await;
        assert_eq!((a.peers().len(), a.metrics().links_idle), (1, 0));
        uses(&a, &operator).await;
    });
}

#[test]
fn a_link_whose_node_is_watched_stays_and_its_loss_is_told() {
    simulate(|world| async move {
        let (a, b) = pair(&world, 300 * MILLI).await;
        let id = b.id();
        let watching = a.run("watcher", move |cx| async move {
            let monitor = cx.monitor_node(id).await;
            assert_eq!(cx.expect::<NodeDown>().await.monitor, monitor);
            assert_eq!(cx.expect_timeout::<NodeDown>(SECOND).await, None, "told once");
        });
        let losing = async {
            world.runtime.sleep(20 * SECOND).await;
            assert_eq!((a.peers().len(), a.metrics().links_idle), (1, 0), "it is used");
            a.disconnect(id);
        };
        let (watched, ()) = futures_util::join!(watching, losing);
        assert!(watched.is_some());
    });
}

#[test]
fn who_wants_to_know_of_links_is_told_that_idle_ones_are_closed() {
    simulate(|world| async move {
        let a = world.node_with("a", limits(300 * MILLI)).await;
        let b = world.node_with("b", limits(300 * MILLI)).await;
        let id = b.id();
        let listening = a.run("listener", move |cx| async move {
            cx.watch_events(EventKinds::LINKS);
            cx.node().connect(&World::address("b")).await.unwrap();
            for _ in 0..3 {
                let what = cx.expect::<NodeEvent>().await.what;
                assert!(matches!(what, Happened::LinkUp { node, .. } if node == id), "{what:?}");
                let what = cx.expect::<NodeEvent>().await.what;
                assert!(matches!(what, Happened::LinkDown { node, .. } if node == id), "{what:?}");
            }
        });
        assert!(listening.await.is_some());
        assert!(a.metrics().links_idle >= 3 && a.metrics().links_lost == 0);
    });
}

#[test]
fn who_watches_a_group_is_told_of_it_over_links_that_would_be_idle() {
    simulate(|world| async move {
        let (a, b) = pair(&world, 300 * MILLI).await;
        let c = world.node_with("c", limits(300 * MILLI)).await;
        let ids = [b.id(), c.id()];
        let watching = a.run("watcher", move |cx| async move {
            cx.monitor_group("shop").unwrap();
            // One link was there before, one comes later.
            cx.node().connect(&World::address("c")).await.unwrap();
            let mut nodes = Vec::new();
            for _ in ids {
                let change = cx.expect_timeout::<GroupChange>(30 * SECOND).await.unwrap();
                nodes.extend(change.processes.iter().map(|pid| pid.node));
            }
            assert_eq!(nodes, ids);
        });
        let joining = async {
            world.runtime.sleep(20 * SECOND).await;
            assert_eq!((a.peers().len(), a.metrics().links_idle), (2, 0));
            for node in [&b, &c] {
                node.join_group("shop", answers(node)).unwrap();
                world.runtime.sleep(SECOND).await;
            }
        };
        let (watched, ()) = futures_util::join!(watching, joining);
        assert!(watched.is_some());
    });
}
