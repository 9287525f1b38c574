//! Process groups over several nodes, as Erlang's `pg` has them.

use std::time::Duration;

use midflight_process::{Context, GroupChange, GroupError, GroupEvent, Limits, Node, Pid};

use super::world::{QUIET, World, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

/// A process that waits for a text and ends.
fn idle(node: &Node) -> Pid {
    node.spawn("idle", |cx| async move {
        cx.expect::<String>().await;
    })
    .unwrap()
}

/// Waits until a node knows as many members.
async fn members(node: &Node, group: &str, count: usize) -> Vec<Pid> {
    until(node, || node.group_members(group).len() == count).await;
    node.group_members(group)
}

async fn change(cx: &Context) -> (GroupEvent, Vec<Pid>) {
    let change: GroupChange = cx.expect_timeout(SECOND).await.unwrap();
    (change.what, change.processes)
}

#[test]
fn members_are_known_on_every_node_and_vanish_when_they_leave_or_end() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (on_a, on_b, early) = (idle(&a), idle(&b), idle(&b));
        b.join_group("shop", on_b).unwrap();
        a.join_group("shop", on_a).unwrap();
        b.join_group("shop", on_b).unwrap();
        b.join_group("early", early).unwrap();
        assert_eq!(members(&a, "shop", 3).await, [on_a, on_b, on_b]);
        assert_eq!(members(&b, "shop", 3).await, [on_b, on_b, on_a]);
        assert_eq!(a.local_group_members("shop"), [on_a]);
        assert_eq!(a.groups(), ["early", "shop"]);

        // Whoever comes later is told all.
        let c = world.node("c").await;
        c.connect(&World::address("b")).await.unwrap();
        assert_eq!(members(&c, "shop", 2).await, [on_b, on_b], "a and c have not met");
        c.connect(&World::address("a")).await.unwrap();
        members(&c, "shop", 3).await;

        assert!(b.leave_group("shop", on_b));
        members(&c, "shop", 2).await;
        b.kill(on_b, "enough");
        assert_eq!(members(&c, "shop", 1).await, [on_a]);
        assert_eq!(members(&a, "shop", 1).await, [on_a]);
        assert!(!b.leave_group("shop", on_b));
        a.kill(on_a, "enough");
        b.kill(early, "enough");
        for node in [&a, &b, &c] {
            until(node, || node.groups().is_empty()).await;
        }
    });
}

#[test]
fn a_lost_node_takes_its_members_along_and_brings_them_back() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (on_a, on_b) = (idle(&a), idle(&b));
        a.join_group("shop", on_a).unwrap();
        b.join_group("shop", on_b).unwrap();
        members(&a, "shop", 2).await;
        a.disconnect(b.id());
        assert_eq!(members(&a, "shop", 1).await, [on_a]);
        assert_eq!(members(&b, "shop", 1).await, [on_b]);
        let late = idle(&b);
        b.join_group("shop", late).unwrap();
        b.kill(on_b, "while it is out of sight");
        members(&b, "shop", 1).await;
        a.connect(&World::address("b")).await.unwrap();
        assert_eq!(members(&a, "shop", 2).await, [on_a, late]);
        members(&b, "shop", 2).await;
        b.shutdown().await;
        assert_eq!(members(&a, "shop", 1).await, [on_a]);
    });
}

#[test]
fn a_watcher_is_told_of_every_change() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (first, second) = (idle(&b), idle(&b));
        b.join_group("shop", first).unwrap();
        members(&a, "shop", 1).await;
        a.run("watcher", move |cx| async move {
            let (monitor, members) = cx.monitor_group("shop").unwrap();
            assert_eq!(members, [first]);
            b.join_group("shop", second).unwrap();
            assert_eq!(change(&cx).await, (GroupEvent::Joined, vec![second]));
            cx.join_group("shop").unwrap();
            assert_eq!(change(&cx).await, (GroupEvent::Joined, vec![cx.me()]));
            b.join_group("another", second).unwrap();
            b.kill(first, "enough");
            assert_eq!(change(&cx).await, (GroupEvent::Left, vec![first]));
            cx.node().disconnect(b.id());
            assert_eq!(change(&cx).await, (GroupEvent::Left, vec![second]));
            assert!(cx.demonitor_group(monitor) && !cx.demonitor_group(monitor));
            assert!(cx.leave_group("shop"));
            assert_eq!(cx.expect_timeout::<GroupChange>(QUIET).await, None);
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_watcher_that_does_not_look_is_told_once_that_it_has_missed_something() {
    simulate(|world| async move {
        let limits = Limits { mailbox_messages: 4, ..Limits::default() };
        let node = world.node_with("a", limits).await;
        let member = idle(&node);
        node.run("watcher", move |cx| async move {
            let (monitor, _) = cx.monitor_group("shop").unwrap();
            for _ in 0..10 {
                cx.node().join_group("shop", member).unwrap();
            }
            for _ in 0..4 {
                assert_eq!(change(&cx).await, (GroupEvent::Joined, vec![member]));
            }
            assert_eq!(change(&cx).await, (GroupEvent::Overrun, vec![]));
            assert_eq!(cx.expect_timeout::<GroupChange>(QUIET).await, None);
            assert!(!cx.demonitor_group(monitor), "it is over");
        })
        .await
        .unwrap();
    });
}

#[test]
fn who_cannot_be_in_a_group_is_refused_with_the_reason() {
    simulate(|world| async move {
        let limits = Limits { group_members: 1, ..Limits::default() };
        let node = world.node_with("a", limits).await;
        let other = world.node("b").await;
        let (one, two, elsewhere) = (idle(&node), idle(&node), idle(&other));
        node.join_group("shop", one).unwrap();
        assert_eq!(node.join_group("shop", two), Err(GroupError::TooMany));
        assert_eq!(node.join_group("", two), Err(GroupError::BadName(0)));
        assert_eq!(node.join_group("shop", elsewhere), Err(GroupError::NoProcess(elsewhere)));
        node.kill(one, "enough");
        until(&node, || node.groups().is_empty()).await;
        assert_eq!(node.join_group("shop", one), Err(GroupError::NoProcess(one)));
        node.join_group("shop", two).unwrap();
    });
}
