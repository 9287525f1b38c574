//! Monitors and links, case by case: how the other ends, and where it is.

use std::time::Duration;

use futures_channel::oneshot::channel;
use midflight_process::message::Message;
use midflight_process::{Context, Down, ExitReason, Exited, Node, NodeDown, NodeId, Pid};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, run, simulate, until};

const SECOND: Duration = Duration::from_secs(1);
/// The default bound of a link (T5).
const HEARTBEAT: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.EndWith", version = 1)]
struct EndWith(Option<String>);

/// How the other ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Normally,
    Abnormally,
    CutOff,
}

/// A process that ends as it is told.
fn target(node: &Node) -> Pid {
    let target = node.spawn("target", |cx| async move {
        cx.expect::<EndWith>().await.0.map_or(ExitReason::Normal, ExitReason::Error)
    });
    target.unwrap()
}

async fn end(cx: &Context, target: Pid, how: How) {
    match how {
        How::Normally => cx.send(target, EndWith(None)).await.unwrap(),
        How::Abnormally => cx.send(target, EndWith(Some("the reason".into()))).await.unwrap(),
        How::CutOff => assert!(cx.node().disconnect(target.node)),
    }
}

fn is_reason(how: How, reason: &ExitReason) -> bool {
    match how {
        How::Normally => *reason == ExitReason::Normal,
        How::Abnormally => *reason == ExitReason::Error("the reason".into()),
        How::CutOff => matches!(reason, ExitReason::NoConnection(_)),
    }
}

/// A process of node a watches one on node b, which ends.
fn monitored(how: How, taken_back: bool) {
    simulate(move |world| async move {
        let (a, b) = world.pair().await;
        let target = target(&b);
        a.run("watcher", move |cx| async move {
            let monitor = cx.monitor(target).await;
            assert_eq!(b.process(target).unwrap().watchers, 1, "set, once this is done");
            if taken_back {
                assert!(cx.demonitor(monitor) && !cx.demonitor(monitor));
            }
            end(&cx, target, how).await;
            let down = cx.expect_timeout::<Down>(SECOND).await;
            assert_eq!(down.is_none(), taken_back);
            if let Some(down) = down {
                assert_eq!((down.monitor, down.process), (monitor, target));
                assert!(is_reason(how, &down.reason), "{how:?}: {}", down.reason);
                assert!(!cx.demonitor(monitor), "it has fired");
            }
            assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None, "told twice");
            if how == How::CutOff {
                assert_eq!(b.process(target).unwrap().watchers, 0);
            }
        })
        .await
        .unwrap();
    });
}

/// A process of node a is linked to one on node b, which ends.
fn linked(how: How, unlinked: bool) {
    simulate(move |world| async move {
        let (a, b) = world.pair().await;
        let target = target(&b);
        a.run("linked", move |cx| async move {
            cx.trap_exits(true);
            cx.link(target).await;
            if unlinked {
                cx.unlink(target);
            }
            end(&cx, target, how).await;
            let exited = cx.expect_timeout::<Exited>(SECOND).await;
            assert_eq!(exited.is_none(), unlinked);
            if let Some(Exited { from, reason }) = exited {
                assert_eq!(from, target);
                assert!(is_reason(how, &reason), "{how:?}: {reason}");
            }
            assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None, "told twice");
            assert_eq!(cx.node().process(cx.me()).unwrap().links, 0);
        })
        .await
        .unwrap();
    });
}

#[test]
fn monitor_and_normal_termination() {
    monitored(How::Normally, false);
}

#[test]
fn monitor_and_abnormal_termination() {
    monitored(How::Abnormally, false);
}

#[test]
fn monitor_and_disconnect() {
    monitored(How::CutOff, false);
}

#[test]
fn demonitor_and_normal_termination() {
    monitored(How::Normally, true);
}

#[test]
fn demonitor_and_abnormal_termination() {
    monitored(How::Abnormally, true);
}

#[test]
fn demonitor_and_disconnect() {
    monitored(How::CutOff, true);
}

#[test]
fn link_and_normal_termination() {
    linked(How::Normally, false);
}

#[test]
fn link_and_abnormal_termination() {
    linked(How::Abnormally, false);
}

#[test]
fn link_and_disconnect() {
    linked(How::CutOff, false);
}

#[test]
fn unlink_and_normal_termination() {
    linked(How::Normally, true);
}

#[test]
fn unlink_and_abnormal_termination() {
    linked(How::Abnormally, true);
}

#[test]
fn unlink_and_disconnect() {
    linked(How::CutOff, true);
}

/// Watches and links `dead`, which ended on `node` or was never reached.
async fn told_at_once(cx: &Context, dead: Pid, is_reason: impl Fn(&ExitReason) -> bool) {
    cx.trap_exits(true);
    let monitor = cx.monitor(dead).await;
    let down = cx.expect_timeout::<Down>(SECOND).await.unwrap();
    assert_eq!((down.monitor, down.process), (monitor, dead));
    assert!(is_reason(&down.reason), "{}", down.reason);
    cx.link(dead).await;
    let exited: Exited = cx.expect().await;
    assert_eq!(exited.from, dead);
    assert!(is_reason(&exited.reason), "{}", exited.reason);
    assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None, "told twice");
    assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None, "told twice");
}

#[test]
fn monitor_and_link_a_dead_process_here_and_there() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            let dead = target(&there);
            a.run("late", move |cx| async move {
                cx.monitor(dead).await;
                end(&cx, dead, How::Normally).await;
                cx.expect::<Down>().await;
                told_at_once(&cx, dead, |reason| *reason == ExitReason::NoProcess).await;
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn monitor_and_link_a_process_out_of_reach() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let target = target(&b);
        b.shutdown().await;
        a.run("late", move |cx| async move {
            for pid in [target, Pid { node: NodeId(7), ..target }] {
                told_at_once(&cx, pid, |reason| matches!(reason, ExitReason::NoConnection(_)))
                    .await;
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn monitor_a_node_that_is_closed_already() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        b.shutdown().await;
        a.run("watcher", move |cx| async move {
            for node in [b.id(), NodeId(7)] {
                let monitor = cx.monitor_node(node).await;
                let down: NodeDown = cx.expect_timeout(SECOND).await.unwrap();
                assert_eq!((down.monitor, down.node), (monitor, node));
                assert!(!cx.demonitor(monitor));
            }
            assert_eq!(cx.expect_timeout::<NodeDown>(QUIET).await, None);
        })
        .await
        .unwrap();
    });
}

#[test]
fn monitor_a_node_that_is_closed_later() {
    simulate(|world| async move {
        for cut in [false, true] {
            let names = if cut { ["c", "d"] } else { ["a", "b"] };
            let (a, b) = (world.node(names[0]).await, world.node(names[1]).await);
            a.connect(&World::address(names[1])).await.unwrap();
            a.run("watcher", move |cx| async move {
                let monitor = cx.monitor_node(b.id()).await;
                let second = cx.monitor_node(b.id()).await;
                let taken_back = cx.monitor_node(b.id()).await;
                assert!(cx.demonitor(taken_back));
                // One's own node is never told of.
                cx.monitor_node(cx.node().id()).await;
                assert_eq!(cx.expect_timeout::<NodeDown>(QUIET).await, None);
                if cut {
                    cx.node().disconnect(b.id());
                } else {
                    b.shutdown().await;
                }
                for monitor in [monitor, second] {
                    let down: NodeDown = cx.expect_timeout(SECOND).await.unwrap();
                    assert_eq!((down.monitor, down.node), (monitor, b.id()));
                }
                assert_eq!(cx.expect_timeout::<NodeDown>(QUIET).await, None, "told twice");
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn what_is_set_over_the_next_link_does_not_go_with_the_last() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        a.run("watcher", move |cx| async move {
            cx.trap_exits(true);
            let target = target(&b);
            cx.monitor(target).await;
            for _ in 0..5 {
                assert!(cx.node().disconnect(b.id()));
                cx.expect::<Down>().await;
                cx.monitor(target).await;
            }
            end(&cx, target, How::Abnormally).await;
            assert!(is_reason(How::Abnormally, &cx.expect::<Down>().await.reason));
            assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None);
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_process_that_ends_leaves_no_monitors_and_links() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            let server = target(&there);
            let here = a.clone();
            a.run("observer", move |cx| async move {
                for _ in 0..20 {
                    let client = here.spawn("client", move |cx| async move {
                        cx.monitor(server).await;
                        cx.link(server).await;
                    });
                    cx.monitor(client.unwrap()).await;
                    cx.expect::<Down>().await;
                }
                // Nobody watches it any more, and nobody is linked.
                until(&there, || {
                    let info = there.process(server).unwrap();
                    (info.watchers, info.links) == (0, 0)
                })
                .await;
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_hundred_thousand_links_and_monitors_across_two_nodes_end_with_the_link_once() {
    const WATCHERS: usize = 100;
    const EACH: usize = 1_000;
    run(1, |world| async move {
        let (a, b) = world.pair().await;
        let (mut ready, mut done) = (Vec::new(), Vec::new());
        for _ in 0..WATCHERS {
            let targets: Vec<_> = (0..EACH).map(|_| target(&b)).collect();
            let ((tell_ready, told_ready), (tell_done, told_done)) = (channel(), channel());
            ready.push(told_ready);
            done.push(told_done);
            let watcher = a.spawn("watcher", move |cx| async move {
                cx.trap_exits(true);
                for target in &targets {
                    cx.link(*target).await;
                    cx.monitor(*target).await;
                }
                tell_ready.send(()).unwrap();
                for target in &targets {
                    assert_eq!(cx.expect::<Down>().await.process, *target);
                }
                for target in &targets {
                    assert_eq!(cx.expect::<Exited>().await.from, *target);
                }
                assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None);
                assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None);
                tell_done.send(()).unwrap();
            });
            watcher.unwrap();
        }
        for told in ready {
            told.await.unwrap();
        }
        assert_eq!(b.process_count(), WATCHERS * EACH);
        assert!(a.disconnect(b.id()));
        for told in done {
            told.await.unwrap();
        }
        // They did not trap exits.
        until(&b, || b.process_count() == 0).await;
    });
}

simulated! {
    #[test]
    fn a_path_that_falls_silent_is_noticed_in_time_at_both_ends_and_ends_nothing_else() {
        simulate(|world| async move {
            let (a, b) = world.pair().await;
            let c = world.node("c").await;
            let mut targets = Vec::new();
            for node in [&a, &b] {
                c.connect(&World::address(node.name())).await.unwrap();
                targets.push(target(node));
            }
            let watch = |node: &Node, of: Pid| {
                let ((ready, is_ready), (tell, told)) = (channel(), channel());
                let watcher = node.spawn("watcher", move |cx| async move {
                    cx.monitor(of).await;
                    ready.send(()).unwrap();
                    let down = cx.expect_timeout::<Down>(2 * HEARTBEAT).await;
                    tell.send((cx.now(), down)).unwrap();
                });
                watcher.unwrap();
                (is_ready, told)
            };
            let mut watchers =
                [watch(&a, targets[1]), watch(&b, targets[0]), watch(&c, targets[0]), watch(&c, targets[1])];
            for (ready, _) in &mut watchers {
                ready.await.unwrap();
            }
            let cut = world.runtime.now();
            world.hub.cut(&World::address("a"), &World::address("b"));
            for (number, (_, told)) in watchers.into_iter().enumerate() {
                let (when, down) = told.await.unwrap();
                if number < 2 {
                    let reason = down.unwrap().reason;
                    assert!(matches!(reason, ExitReason::NoConnection(_)), "{reason}");
                    let after = when.since(cut);
                    assert!((HEARTBEAT * 4 / 5..=HEARTBEAT * 6 / 5).contains(&after), "{after:?}");
                } else {
                    assert_eq!(down, None, "its own links live");
                }
            }
        });
    }
}

#[test]
fn one_senders_trouble_ends_nobody_elses_watching() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let c = world.node("c").await;
        c.connect(&World::address("b")).await.unwrap();
        let target = target(&b);
        let watcher = |node: &Node| {
            let (tell, told) = channel();
            let watcher = node.spawn("watcher", move |cx| async move {
                cx.monitor(target).await;
                let down: Down = cx.expect().await;
                let again = cx.expect_timeout::<Down>(QUIET).await;
                tell.send((down.reason, again)).unwrap();
            });
            watcher.unwrap();
            told
        };
        let (here, there, beyond) = (watcher(&b), watcher(&a), watcher(&c));
        // One that watches as well, over the same link as another does, and sends, fails and panics.
        a.run("culprit", move |cx| async move {
            cx.monitor(target).await;
            while cx.try_send(target, vec![0_u8; 4_000]).is_ok() {}
            panic!("as told");
        })
        .await;
        until(&b, || b.process(target).is_some_and(|info| info.watchers == 3)).await;
        assert!(b.disconnect(c.id()));
        let (lost, again) = beyond.await.unwrap();
        assert!(matches!(lost, ExitReason::NoConnection(_)) && again.is_none(), "{lost}");
        until(&b, || b.process(target).is_some_and(|info| info.watchers == 2)).await;
        b.exit(target, ExitReason::Error("the reason".into()));
        for told in [here, there] {
            let (reason, again) = told.await.unwrap();
            assert!(is_reason(How::Abnormally, &reason) && again.is_none(), "{reason}");
        }
    });
}
