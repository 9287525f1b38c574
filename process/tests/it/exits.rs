//! Exit signals and links between processes.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Context, Down, ExitReason, Exited, Node, NodeId, Pid, Received};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, simulate};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "test.End", version = 1)]
enum End {
    Normally,
    WithError,
    Panicking,
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Child", version = 1)]
struct Child(Pid);

fn error() -> ExitReason {
    ExitReason::Error("the reason".into())
}

/// A process that ends as it is told.
fn obedient(node: &Node) -> Pid {
    let obedient = node.spawn("obedient", |cx| async move {
        match cx.expect::<End>().await {
            End::Normally => ExitReason::Normal,
            End::WithError => error(),
            End::Panicking => panic!("as told"),
        }
    });
    obedient.unwrap()
}

/// A process that links itself to `to`, says so, and waits for ever.
fn linked_to(node: &Node, to: Pid, tell: Pid, traps: bool) -> Pid {
    let linked = node.spawn("linked", move |cx| async move {
        cx.trap_exits(traps);
        cx.link(to).await;
        cx.send(tell, String::from("linked")).await.unwrap();
        cx.expect::<()>().await;
    });
    linked.unwrap()
}

async fn next_reason(cx: &Context) -> Option<ExitReason> {
    Some(cx.expect_timeout::<Down>(SECOND).await?.reason)
}

#[test]
fn a_link_carries_every_reason_but_normal_both_ways() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for (there, here) in [(a.clone(), a.clone()), (a.clone(), b.clone()), (b, a)] {
            here.clone()
                .run("observer", move |cx| async move {
                    for (end, reason) in [
                        (End::WithError, error()),
                        (End::Panicking, ExitReason::Panic("as told".into())),
                    ] {
                        // The one that was linked to ends …
                        let target = obedient(&there);
                        let linked = linked_to(&here, target, cx.me(), false);
                        cx.expect::<String>().await;
                        cx.monitor(linked).await;
                        cx.send(target, end).await.unwrap();
                        assert_eq!(next_reason(&cx).await, Some(reason.clone()));
                        // … or the one that linked itself.
                        let target = obedient(&there);
                        let linked = linked_to(&here, target, cx.me(), false);
                        cx.expect::<String>().await;
                        cx.monitor(target).await;
                        cx.exit(linked, reason.clone()).await;
                        assert_eq!(next_reason(&cx).await, Some(reason));
                    }
                    let target = obedient(&there);
                    let linked = linked_to(&here, target, cx.me(), false);
                    cx.expect::<String>().await;
                    cx.monitor(linked).await;
                    cx.send(target, End::Normally).await.unwrap();
                    assert_eq!(next_reason(&cx).await, None, "a normal end harms nobody");
                    cx.kill(linked, "tidy").await;
                })
                .await
                .unwrap();
        }
    });
}

#[test]
fn who_traps_exits_gets_them_as_messages() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            a.run("trapper", move |cx| async move {
                assert!(!cx.trap_exits(true), "not before");
                assert!(cx.trap_exits(true));
                for (end, reason) in
                    [(End::Normally, ExitReason::Normal), (End::WithError, error())]
                {
                    let target = obedient(&there);
                    cx.link(target).await;
                    cx.link(target).await;
                    cx.send(target, end).await.unwrap();
                    let exited: Exited = cx.expect().await;
                    assert_eq!(exited, Exited { from: target, reason });
                    assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None, "told twice");
                }
                // By `exit`, from another and from itself, the normal reason too.
                let me = cx.me();
                for reason in [ExitReason::Normal, error(), ExitReason::Killed("not".into())] {
                    cx.exit(me, reason.clone()).await;
                    assert_eq!(
                        cx.expect::<Exited>().await,
                        Exited { from: me, reason: reason.clone() }
                    );
                    let sent = reason.clone();
                    let sender =
                        there.spawn("sender", move |cx| async move { cx.exit(me, sent).await });
                    let from = sender.unwrap();
                    assert_eq!(cx.expect::<Exited>().await, Exited { from, reason });
                }
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn exit_ends_who_does_not_trap_unless_it_is_normal() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            a.run("ender", move |cx| async move {
                let target = obedient(&there);
                cx.monitor(target).await;
                cx.exit(target, ExitReason::Normal).await;
                assert_eq!(next_reason(&cx).await, None);
                cx.exit(target, error()).await;
                assert_eq!(next_reason(&cx).await, Some(error()));
                // Normal ends who says it to itself.
                let itself = there.spawn("itself", |cx| async move {
                    cx.expect::<()>().await;
                    cx.exit(cx.me(), ExitReason::Normal).await;
                    cx.expect::<()>().await;
                });
                let itself = itself.unwrap();
                cx.monitor(itself).await;
                cx.send(itself, ()).await.unwrap();
                assert_eq!(next_reason(&cx).await, Some(ExitReason::Normal));
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn kill_cannot_be_trapped_and_shows_as_killed() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            a.run("killer", move |cx| async move {
                let me = cx.me();
                let stubborn = there.spawn("stubborn", move |cx| async move {
                    cx.trap_exits(true);
                    cx.send(me, String::from("ready")).await.unwrap();
                    loop {
                        cx.expect::<Exited>().await;
                    }
                });
                let stubborn = stubborn.unwrap();
                cx.expect::<String>().await;
                cx.trap_exits(true);
                cx.link(stubborn).await;
                cx.monitor(stubborn).await;
                cx.exit(stubborn, error()).await;
                cx.kill(stubborn, "enough").await;
                let killed = ExitReason::Killed("enough".into());
                assert_eq!(next_reason(&cx).await, Some(killed.clone()));
                // Of those that are linked to it, who traps is told, …
                assert_eq!(cx.expect::<Exited>().await, Exited { from: stubborn, reason: killed });
                // … and the node's owner can kill, too.
                let target = obedient(&there);
                cx.monitor(target).await;
                assert!(cx.node().kill(target, "by hand"));
                let by_hand = ExitReason::Killed("by hand".into());
                assert_eq!(next_reason(&cx).await, Some(by_hand));
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_link_to_who_is_dead_or_out_of_reach_ends_at_once() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            let here = a.clone();
            a.run("linker", move |cx| async move {
                let dead = obedient(&there);
                cx.monitor(dead).await;
                cx.send(dead, End::Normally).await.unwrap();
                cx.expect::<Down>().await;
                let nowhere = Pid { node: NodeId(9), ..dead };
                // Those who do not trap end, …
                for target in [dead, nowhere] {
                    let me = cx.me();
                    let linked = linked_to(&here, target, me, false);
                    cx.monitor(linked).await;
                    let reason = next_reason(&cx).await.unwrap();
                    match target == dead {
                        true => assert_eq!(reason, ExitReason::NoProcess),
                        false => assert!(matches!(reason, ExitReason::NoConnection(_))),
                    }
                }
                // … those who do are told.
                cx.trap_exits(true);
                cx.link(dead).await;
                let exited: Exited = cx.expect().await;
                assert_eq!(exited, Exited { from: dead, reason: ExitReason::NoProcess });
                cx.link(nowhere).await;
                let exited: Exited = cx.expect().await;
                assert_eq!(exited.from, nowhere);
                assert!(matches!(exited.reason, ExitReason::NoConnection(_)));
                assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None);
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_lost_link_between_nodes_is_an_exit_signal_on_both_sides() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let target = obedient(&b);
        a.run("observer", move |cx| async move {
            cx.trap_exits(true);
            cx.link(target).await;
            cx.monitor(target).await;
            let (there, me) = (cx.node().clone(), cx.me());
            let far = b.spawn("far", move |cx| async move {
                cx.trap_exits(true);
                cx.link(me).await;
                cx.send(me, String::from("linked")).await.unwrap();
                let exited: Exited = cx.expect().await;
                assert_eq!(exited.from, me);
                assert!(matches!(exited.reason, ExitReason::NoConnection(_)));
                assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None);
                cx.expect::<String>().await;
            });
            let far = far.unwrap();
            cx.expect::<String>().await;
            // What is under way when a link is cut is lost, the link to the target with it.
            assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None);
            assert!(there.disconnect(target.node));
            let mut from = Vec::new();
            for _ in 0..2 {
                let exited: Exited = cx.expect().await;
                assert!(matches!(exited.reason, ExitReason::NoConnection(_)));
                from.push(exited.from);
            }
            assert_eq!(from.len(), 2);
            assert!(from.contains(&far) && from.contains(&target));
            assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None, "told twice");
            // The target did not trap.
            assert!(b.process(target).is_none());
            assert!(b.process(far).is_some());
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_was_unlinked_has_no_effect() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            a.run("unlinker", move |cx| async move {
                // This process does not trap: it would end.
                for _ in 0..20 {
                    let target = obedient(&there);
                    cx.link(target).await;
                    cx.send(target, End::WithError).await.unwrap();
                    cx.unlink(target);
                }
                // The signal of one that is dead already comes in this very turn, before the unlink.
                let dead = Pid { generation: u32::MAX, ..obedient(&there) };
                cx.link(dead).await;
                cx.unlink(dead);
                // So does that of one whose node nobody can reach.
                let nowhere = Pid { node: NodeId(7), index: 1, generation: 1 };
                cx.link(nowhere).await;
                cx.unlink(nowhere);
                for again in [false, true] {
                    let target = obedient(&there);
                    cx.trap_exits(false);
                    cx.link(target).await;
                    cx.unlink(target);
                    cx.unlink(target);
                    if again {
                        cx.trap_exits(true);
                        cx.link(target).await;
                    }
                    cx.send(target, End::WithError).await.unwrap();
                    let exited = cx.expect_timeout::<Exited>(SECOND).await;
                    assert_eq!(exited.is_some(), again);
                }
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn an_exit_signal_keeps_its_place_among_the_pairs_messages() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            a.run("trapper", move |cx| async move {
                cx.trap_exits(true);
                let me = cx.me();
                let sender = there.spawn("sender", move |cx| async move {
                    cx.expect::<()>().await;
                    for n in 0..40_u64 {
                        match n % 4 {
                            3 => cx.exit(me, ExitReason::Error(n.to_string())).await,
                            _ => cx.send(me, n).await.unwrap(),
                        }
                    }
                    cx.die(ExitReason::Error(40.to_string())).await
                });
                let sender = sender.unwrap();
                cx.link(sender).await;
                cx.send(sender, ()).await.unwrap();
                for n in 0..=40_u64 {
                    let next = cx.receive().on(|received: Received<u64>| received.message).on(
                        |received: Received<Exited>| {
                            let Exited { from, reason } = received.message;
                            assert_eq!(from, sender);
                            let ExitReason::Error(n) = reason else { panic!("{reason}") };
                            n.parse().unwrap()
                        },
                    );
                    assert_eq!(next.forever().await, n);
                }
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn children_are_linked_and_watched_from_their_first_moment() {
    simulate(|world| async move {
        let a = world.node("a").await;
        a.run("parent", |cx| async move {
            cx.trap_exits(true);
            for _ in 0..50 {
                let child = cx.spawn_link("child", |_| async { error() }).unwrap();
                assert_eq!(cx.expect::<Exited>().await, Exited { from: child, reason: error() });
                let (process, monitor) = cx.spawn_monitor("child", |_| async { error() }).unwrap();
                let down: Down = cx.expect().await;
                assert_eq!(down, Down { monitor, process, reason: error() });
            }
            let free = cx.spawn("free", |cx| async move { cx.die(ExitReason::Shutdown).await });
            cx.monitor(free.unwrap()).await;
            assert!(matches!(
                next_reason(&cx).await,
                Some(ExitReason::Shutdown | ExitReason::NoProcess)
            ));
            assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None);
            // A child dies with its parent.
            let me = cx.me();
            let parent = cx.spawn("parent", move |cx| async move {
                let child = cx.spawn_link("child", |cx| async move { cx.expect::<()>().await });
                cx.send(me, Child(child.unwrap())).await.unwrap();
                cx.die(error()).await
            });
            parent.unwrap();
            let Child(child) = cx.expect().await;
            cx.monitor(child).await;
            let reason = next_reason(&cx).await.unwrap();
            assert!(reason == error() || reason == ExitReason::NoProcess, "{reason}");
        })
        .await
        .unwrap();
    });
}

simulated! {
#[test]
fn a_reason_longer_than_a_message_may_be_comes_shortened() {
    simulate(|world| async move {
        let limits = midflight_transport_api::Limits { max_message: 128 << 10, ..Default::default() };
        let transport = world.hub.transport(world.runtime.clone()).limits(limits);
        let start = |name: &str| {
            let builder = Node::builder(name).listen(World::address(name));
            builder.start(&transport, world.runtime.clone())
        };
        let (a, b) = (start("a").await.unwrap(), start("b").await.unwrap());
        a.connect(&World::address("b")).await.unwrap();
        let there = b.clone();
        a.run("watcher", move |cx| async move {
            cx.trap_exits(true);
            let len = 256 << 10;
            let text = move || "x".repeat(len);
            let is_shortened = |reason: &ExitReason| {
                let (ExitReason::Error(text) | ExitReason::Panic(text) | ExitReason::Killed(text)) =
                    reason else { return false };
                text.len() <= 4 << 10 && text.ends_with(&format!("… ({len} bytes in all)"))
            };
            // By itself, by an exit signal, by a kill: whoever watches or is linked hears of it.
            for how in 0..3 {
                let target = there.spawn("target", move |cx| async move {
                    cx.expect::<()>().await;
                    panic!("{}", text());
                });
                let target = target.unwrap();
                cx.monitor(target).await;
                cx.link(target).await;
                match how {
                    0 => cx.send(target, ()).await.unwrap(),
                    1 => cx.exit(target, ExitReason::Error(text())).await,
                    _ => cx.kill(target, text()).await,
                }
                let Some(reason) = next_reason(&cx).await else { panic!("{how}: not told") };
                assert!(is_shortened(&reason), "{how}");
                let exited = cx.expect_timeout::<Exited>(SECOND).await;
                assert!(exited.is_some_and(|exited| is_shortened(&exited.reason)), "{how}");
            }
            // A call that waits is told as well.
            let callee = there.spawn("callee", move |cx| async move {
                cx.sleep(SECOND / 2).await;
                panic!("{}", text());
            });
            let failed = cx.call::<u64, u64>(callee.unwrap(), 1, SECOND).await.unwrap_err();
            assert!(failed.to_string().contains("bytes in all"), "{failed}");
            // Names that none can have are not asked for.
            let node = there.id();
            assert_eq!(cx.node().whereis_on(node, &text()).await.unwrap(), None);
            assert!(!cx.node().unregister_on(node, &text()).await.unwrap());
            cx.node().register_on(node, &text(), cx.me()).await.unwrap_err();
        })
        .await
        .unwrap();
        assert_eq!(a.peers().len(), 1, "the link lives");
    });
}
}
