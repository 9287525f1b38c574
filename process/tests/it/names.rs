//! Names on this node and on others. Cloud Haskell's registry cases are here.

use std::time::Duration;

use midflight_process::{
    CallError, Context, Down, ExitReason, Limits, Node, NodeId, Pid, RegisterError,
    RegisterOnError, SendError, TrySendError,
};

use super::world::{QUIET, World, simulate, until};

/// A process that waits for a text and ends.
fn idle(node: &Node) -> Pid {
    node.spawn("idle", |cx| async move {
        cx.expect::<String>().await;
    })
    .unwrap()
}

async fn end(cx: &Context, process: Pid) {
    let monitor = cx.monitor(process).await;
    cx.send(process, String::from("end")).await.unwrap();
    let down: Down = cx.expect().await;
    assert_eq!((down.monitor, down.reason), (monitor, ExitReason::Normal));
}

fn taken(name: &str, owner: Pid) -> RegisterError {
    RegisterError::Taken { name: name.into(), owner }
}

#[test]
fn names_are_asked_for_here_and_from_afar_and_end_with_their_process() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (named, other) = (idle(&b), idle(&b));
        b.register("the name", named).unwrap();
        b.register("the name", named).unwrap();
        assert_eq!(b.names(), [("the name".to_owned(), named)]);
        assert_eq!(a.whereis("the name"), None);
        assert_eq!(a.whereis_on(b.id(), "the name").await.unwrap(), Some(named));
        assert_eq!(a.whereis_on(b.id(), "another").await.unwrap(), None);
        assert!(a.whereis_on(NodeId(7), "the name").await.is_err());
        assert_eq!(b.register("the name", other), Err(taken("the name", named)));
        assert_eq!(b.register("", other), Err(RegisterError::BadName(0)));

        a.run("ender", move |cx| async move { end(&cx, named).await }).await.unwrap();
        assert_eq!(b.whereis("the name"), None);
        assert_eq!(b.register("the name", named), Err(RegisterError::NoProcess(named)));
        b.register("the name", other).unwrap();
        assert!(b.unregister("the name") && !b.unregister("the name"));
        assert_eq!(b.process(other).unwrap().names, [""; 0]);
    });
}

#[test]
fn a_name_goes_to_another_only_when_it_is_taken() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (first, second, third) = (idle(&b), idle(&b), idle(&a));
        b.connect(&World::address("a")).await.unwrap();
        let untaken = RegisterError::NotTaken("the name".into());
        assert_eq!(b.reregister("the name", first), Err(untaken));
        b.register("the name", first).unwrap();
        b.reregister("the name", second).unwrap();
        assert_eq!(b.whereis("the name"), Some(second));
        assert_eq!(b.process(first).unwrap().names, [""; 0]);
        b.reregister("the name", third).unwrap();
        b.reregister("the name", third).unwrap();
        assert_eq!(b.process(second).unwrap().names, [""; 0]);
        b.run("ender", move |cx| async move {
            // Neither end takes the name from whom it was given to.
            end(&cx, first).await;
            end(&cx, second).await;
            assert_eq!(cx.node().whereis("the name"), Some(third));
            end(&cx, third).await;
        })
        .await
        .unwrap();
        assert_eq!(b.whereis("the name"), None);
    });
}

#[test]
fn a_process_of_another_node_has_a_name_until_it_ends_or_is_out_of_reach() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let ends = idle(&b);
        let lives = idle(&b);
        a.register("ends", ends).unwrap();
        a.register("lives", lives).unwrap();
        a.register("lives too", lives).unwrap();
        a.run("ender", move |cx| async move {
            cx.send(("ends", cx.me().node), String::from("end")).await.unwrap();
            until(cx.node(), || cx.node().whereis("ends").is_none()).await;
            let gone = cx.node().register("again", ends);
            // Its node says that it is gone.
            until(cx.node(), || gone.is_err() || cx.node().whereis("again").is_none()).await;
        })
        .await
        .unwrap();
        assert_eq!(a.names().len(), 2);
        a.disconnect(b.id());
        until(&a, || a.names().is_empty()).await;
        assert_eq!(a.register("lives", lives), Err(RegisterError::NotConnected(lives)));
    });
}

#[test]
fn names_are_given_and_taken_on_another_node() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (there, other, here) = (idle(&b), idle(&b), idle(&a));
        let on = b.id();
        a.register_on(on, "there", there).await.unwrap();
        a.register_on(on, "here", here).await.unwrap();
        assert_eq!((b.whereis("there"), b.whereis("here")), (Some(there), Some(here)));
        let refused = a.register_on(on, "there", other).await.unwrap_err();
        let RegisterOnError::Refused(refused) = refused else { panic!("{refused}") };
        assert_eq!(refused, taken("there", there));
        a.reregister_on(on, "there", other).await.unwrap();
        assert_eq!(b.whereis("there"), Some(other));
        assert!(a.unregister_on(on, "there").await.unwrap());
        assert!(!a.unregister_on(on, "there").await.unwrap());
        a.run("ender", move |cx| async move { end(&cx, there).await }).await.unwrap();
        let dead = a.register_on(on, "dead", there).await.unwrap_err();
        let RegisterOnError::Refused(dead) = dead else { panic!("{dead}") };
        assert_eq!(dead, RegisterError::NoProcess(there));
        a.run("ender", move |cx| async move { end(&cx, here).await }).await.unwrap();
        until(&b, || b.whereis("here").is_none()).await;
        let nowhere = a.register_on(NodeId(7), "x", other).await.unwrap_err();
        assert!(matches!(nowhere, RegisterOnError::Ask(_)), "{nowhere}");
    });
}

#[test]
fn what_is_sent_to_a_name_arrives_in_order_and_an_unknown_name_is_an_error() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for node in [a.clone(), b] {
            let counts = node.spawn("counts", |cx| async move {
                for number in 0..20_u64 {
                    assert_eq!(cx.expect::<u64>().await, number);
                }
            });
            let counts = counts.unwrap();
            node.register("counts", counts).unwrap();
            let there = node.id();
            a.run("sender", move |cx| async move {
                let monitor = cx.monitor(counts).await;
                for number in 0..20_u64 {
                    if number % 3 == 0 {
                        cx.send(("counts", there), number).await.unwrap();
                    } else {
                        cx.send(counts, number).await.unwrap();
                    }
                }
                let down: Down = cx.expect().await;
                assert_eq!((down.monitor, down.reason), (monitor, ExitReason::Normal));
                let unknown = cx.send(("counts", there), 1_u64).await.unwrap_err();
                assert!(matches!(unknown, SendError::NoName { .. }), "{unknown}");
                let nowhere = cx.send(("counts", NodeId(7)), 1_u64).await.unwrap_err();
                assert!(matches!(nowhere, SendError::Whereis(_)), "{nowhere}");
                assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None);
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn names_are_bounded() {
    simulate(|world| async move {
        let node = world.node_with("a", Limits { names: 2, ..Limits::default() }).await;
        let process = idle(&node);
        node.register("one", process).unwrap();
        node.register("two", process).unwrap();
        assert_eq!(node.register("three", process), Err(RegisterError::TooMany));
        assert!(node.unregister("one"));
        node.register("three", process).unwrap();
    });
}

#[test]
fn a_name_is_as_good_a_destination_as_a_pid() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for node in [a.clone(), b] {
            let adds = node.spawn("adds", |cx| async move {
                let mut sum = 0;
                loop {
                    let received = cx.receive_one::<u64>().await;
                    sum += received.message;
                    if let Some(caller) = received.reply_to {
                        caller.reply(sum);
                    }
                }
            });
            node.register("adds", adds.unwrap()).unwrap();
            let there = node.id();
            a.run("user", move |cx| async move {
                let (name, second) = ("adds", Duration::from_secs(1));
                cx.send((name, there), 1_u64).await.unwrap();
                let sum: u64 = cx.call((name, there), 1_u64, second).await.unwrap();
                assert_eq!(sum, 2);
                if there == cx.me().node {
                    cx.send(name, 1_u64).await.unwrap();
                    cx.try_send(name, 1_u64).unwrap();
                    cx.try_send((name, there), 1_u64).unwrap();
                    assert_eq!(cx.call::<u64, u64>(String::from(name), 1, second).await.unwrap(), 6);
                } else {
                    // What is known here only by asking there cannot be sent to at once.
                    let elsewhere = cx.try_send((name, there), 7_u64);
                    assert!(matches!(elsewhere, Err(TrySendError::Elsewhere(7))));
                }
                let nobody = cx.try_send("nobody", 7_u64);
                assert!(matches!(nobody, Err(TrySendError::NoName(7))));
                let nobody = cx.send("nobody", 7_u64).await.unwrap_err();
                let here = cx.me().node;
                assert!(
                    matches!(&nobody, SendError::NoName { name, node } if name == "nobody" && *node == here),
                    "{nobody}"
                );
                let nobody = cx.call::<u64, u64>(("nobody", there), 7, second).await;
                assert!(matches!(nobody, Err(CallError::NotSent(SendError::NoName { .. }))));
            })
            .await
            .unwrap();
        }
    });
}
