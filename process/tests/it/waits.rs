//! Who waits for whom is shown (P6).

use std::time::Duration;

use midflight_process::managed::Managed;
use midflight_process::message::Message;
use midflight_process::{Limits, Node, PendingReply, Pid, Status, WaitKind};
use serde::{Deserialize, Serialize};

use super::world::{World, simulate, until};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// To whom something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "waits.Next", version = 1)]
struct Next(Pid);

/// What a process waits for: the kinds, and on whom.
fn waits(node: &Node, pid: Pid) -> Vec<(WaitKind, Option<Pid>)> {
    let info = node.process(pid).unwrap();
    info.waits.iter().map(|wait| (wait.kind, wait.on)).collect()
}

/// A process that takes nothing for so long.
fn deaf(node: &Node) -> Pid {
    node.spawn("deaf", |cx| async move { cx.sleep(10 * MINUTE).await }).unwrap()
}

/// A node on which a full mailbox keeps its senders for two minutes.
async fn patient(world: &World, name: &str) -> Node {
    let limits = Limits {
        mailbox_messages: 4,
        window_messages: 4,
        send_timeout: 2 * MINUTE,
        ..Limits::default()
    };
    world.node_with(name, limits).await
}

/// A process that sends to whom it is told until there is no room.
fn filler(node: &Node) -> Pid {
    let filler = node.spawn("filler", |cx| async move {
        let Next(next) = cx.expect().await;
        while cx.send(next, 0_u64).await.is_ok() {}
    });
    filler.unwrap()
}

/// A process that calls whom it is told, and answers nobody.
fn caller(node: &Node) -> Pid {
    let caller = node.spawn("caller", |cx| async move {
        let Next(next) = cx.expect().await;
        let _: Result<u64, _> = cx.call(next, 0_u64, 2 * MINUTE).await;
    });
    caller.unwrap()
}

/// Tells each of some processes the next, and the last the first.
async fn close(node: &Node, ring: &[Pid]) {
    let ring = ring.to_vec();
    node.run("closer", move |cx| async move {
        for (at, pid) in ring.iter().enumerate() {
            cx.send(*pid, Next(ring[(at + 1) % ring.len()])).await.unwrap();
        }
        cx.sleep(SECOND).await;
    })
    .await
    .unwrap();
}

/// The same circle from its least member on.
fn least_first(ring: &[Pid]) -> Vec<Pid> {
    let mut ring = ring.to_vec();
    let least = (0..ring.len()).min_by_key(|at| ring[*at]).unwrap();
    ring.rotate_left(least);
    ring
}

simulated! {
#[test]
fn it_is_shown_what_a_process_waits_for_on_whom_and_how_long() {
    simulate(|world| async move {
        let a = patient(&world, "a").await;
        let deaf = deaf(&a);
        let (filler, caller) = (filler(&a), caller(&a));
        let receiver = a.spawn("receiver", |cx| async move {
            cx.expect::<u64>().await;
            let (_port, mut values) = cx.channel::<u64>();
            values.receive().await;
        });
        let receiver = receiver.unwrap();
        a.runtime().sleep(SECOND).await;
        for pid in [filler, caller, receiver] {
            assert_eq!(waits(&a, pid), [(WaitKind::Message, None)]);
        }
        assert_eq!(waits(&a, deaf), []);
        for pid in [filler, caller] {
            a.run("teller", move |cx| async move { cx.send(pid, Next(deaf)).await.unwrap() }).await;
        }
        a.runtime().sleep(10 * SECOND).await;
        assert_eq!(waits(&a, filler), [(WaitKind::Room, Some(deaf))]);
        assert_eq!(waits(&a, caller), [(WaitKind::Room, Some(deaf))], "of a call, too");
        let info = a.process(filler).unwrap();
        let room = info.waits[0].waited.unwrap();
        assert!((9 * SECOND..=10 * SECOND).contains(&room), "{room:?}");
        let message = a.process(receiver).unwrap().waits[0].waited.unwrap();
        assert!((10 * SECOND..=11 * SECOND).contains(&message), "{message:?}");
        // What comes begins another wait, and a value is waited for as a message is.
        a.run("teller", move |cx| async move { cx.send(receiver, 1_u64).await.unwrap() }).await;
        a.runtime().sleep(SECOND).await;
        let wait = a.process(receiver).unwrap().waits[0];
        assert_eq!((wait.kind, wait.waited <= Some(SECOND)), (WaitKind::Message, true));
    });
}

#[test]
fn an_answer_that_is_waited_for_is_seen_from_afar() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (deaf, caller) = (deaf(&b), caller(&a));
        a.run("teller", move |cx| async move { cx.send(caller, Next(deaf)).await.unwrap() }).await;
        b.runtime().sleep(10 * SECOND).await;
        let info = b.info_of(caller).await.unwrap().unwrap();
        assert_eq!((info.status, info.waits.len()), (Status::Waiting, 1));
        assert_eq!((info.waits[0].kind, info.waits[0].on), (WaitKind::Reply, Some(deaf)));
        let waited = info.waits[0].waited.unwrap();
        assert!((9 * SECOND..=11 * SECOND).contains(&waited), "{waited:?}");
    });
}

#[test]
fn what_is_not_waited_for_any_more_is_not_shown() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let deaf = deaf(&a);
        let asker = a.spawn("asker", move |cx| async move {
            let reply: PendingReply<u64> = cx.send_request(deaf, 1_u64, MINUTE).await.unwrap();
            let mut reply = reply;
            cx.sleep(10 * SECOND).await;
            assert!(reply.wait_timeout(10 * SECOND).await.is_none());
            // Woken once more by what it does not take, and by a wait that is over at once.
            assert!(cx.expect_timeout::<u64>(Duration::ZERO).await.is_none());
            cx.sleep(10 * SECOND).await;
        });
        let asker = asker.unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            a.runtime().sleep(5 * SECOND).await;
            seen.push(waits(&a, asker));
            a.runtime().sleep(5 * SECOND).await;
        }
        assert_eq!(seen, [vec![], vec![(WaitKind::Reply, Some(deaf))], vec![]]);
    });
}

#[test]
fn a_managed_process_shows_what_its_handler_waits_for() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let deaf = deaf(&a);
        let managed = Managed::new().cast_async(|(), Next(deaf), server| {
            Box::pin(async move {
                let _: Result<u64, _> = server.cx().call(deaf, 1_u64, MINUTE).await;
            })
        });
        let pid = managed.start(&a, |_| Ok(())).await.unwrap();
        a.runtime().sleep(SECOND).await;
        assert_eq!(waits(&a, pid), [(WaitKind::Message, None)]);
        a.run("teller", move |cx| async move { cx.send(pid, Next(deaf)).await.unwrap() }).await;
        a.runtime().sleep(SECOND).await;
        assert_eq!(waits(&a, pid), [(WaitKind::Reply, Some(deaf))]);
    });
}
}

#[test]
fn circles_are_named_here_and_across_nodes() {
    simulate(|world| async move {
        let (a, b) = (patient(&world, "a").await, patient(&world, "b").await);
        a.connect(&World::address("b")).await.unwrap();
        for make in [filler, caller] {
            for nodes in [[&a, &a, &a], [&a, &b, &a]] {
                let ring = nodes.map(make);
                close(&a, &ring).await;
                let cycles = a.wait_cycles().await;
                assert_eq!(cycles, [least_first(&ring)]);
                let there = b.wait_cycles().await.len();
                assert_eq!(there, usize::from(nodes[1].id() == b.id()));
                for (node, pid) in nodes.iter().zip(ring) {
                    node.kill(pid, "it has been seen");
                }
                until(&a, || nodes.iter().zip(ring).all(|(n, pid)| n.process(pid).is_none())).await;
                assert!(a.wait_cycles().await.is_empty());
            }
        }
    });
}

#[test]
fn who_waits_for_messages_of_anybody_is_in_no_circle() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let free = a.spawn("free", |cx| async move {
            let Next(next) = cx.expect().await;
            let asked: PendingReply<u64> = cx.send_request(next, 1_u64, MINUTE).await.unwrap();
            let received = cx.receive_one::<bool>();
            futures_util::future::select(asked, std::pin::pin!(received)).await;
        });
        let (free, caller) = (free.unwrap(), caller(&a));
        close(&a, &[free, caller]).await;
        assert_eq!(waits(&a, free), [(WaitKind::Message, None), (WaitKind::Reply, Some(caller))]);
        assert_eq!(waits(&a, caller), [(WaitKind::Reply, Some(free))]);
        assert!(a.wait_cycles().await.is_empty());
    });
}

#[test]
fn nodes_that_are_silent_hide_no_circle_and_cost_one_deadline_together() {
    simulate(|world| async move {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| patient(&world, name));
        let (a, b, c, d) = futures_util::join!(a, b, c, d);
        let silent = [&b, &c].map(|node| (node, deaf(node)));
        for (name, node) in [("b", &b), ("c", &c), ("d", &d)] {
            assert_eq!(a.connect(&World::address(name)).await.unwrap(), node.id());
        }
        for (_, deaf) in silent {
            let caller = caller(&a);
            a.run("teller", move |cx| async move { cx.send(caller, Next(deaf)).await }).await;
        }
        let ring = [caller(&a), caller(&d)];
        close(&a, &ring).await;
        world.hub.cut(&World::address("a"), &World::address("b"));
        world.hub.cut(&World::address("a"), &World::address("c"));
        let began = a.runtime().now();
        assert_eq!(a.wait_cycles().await, [least_first(&ring)]);
        let took = a.runtime().now().since(began);
        assert_eq!(took, Limits::default().connect_timeout);
    });
}
