//! Links, monitors and lost links of behaviours: they belong to the cell, whatever runs in it.

use midflight_process::{Disconnected, Down, ExitReason, Exited, Pid};
use midflight_tests::steps::{run_version, stage};
use midflight_tests::world::simulate;
use waiter::{Asked, Nap, Question, Tell};

use super::{MINUTE, SECOND, start};

fn error() -> ExitReason {
    ExitReason::Error("the reason".into())
}

#[test]
fn links_and_monitors_outlive_a_switch_and_signals_wait_for_its_end() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let other = world.node("b", Some("a")).await;
        run_version(&world, &server, "counter-v1").await;
        let v2 = stage(&world, &server, "counter-v2").await;
        for watcher in [server.node().clone(), other.node().clone()] {
            let counter = midflight_tests::steps::start(&server, "counter", &());
            let server = server.clone();
            watcher
                .run("watcher", move |cx| async move {
                    cx.trap_exits(true);
                    cx.link(counter).await;
                    let monitor = cx.monitor(counter).await;
                    server.activate(v2).await.unwrap();
                    let node = server.node();
                    let info = node.process(counter).unwrap();
                    assert_eq!((info.watchers, info.links), (1, 1));
                    // Two signals while it is frozen: one that it does not notice, one that ends it.
                    let frozen = node.freeze(counter, cx.now() + SECOND).await.unwrap();
                    cx.exit(counter, ExitReason::Normal).await;
                    cx.exit(counter, error()).await;
                    assert_eq!(cx.expect_timeout::<Down>(SECOND).await, None, "it is frozen");
                    drop(frozen);
                    let down: Down = cx.expect_timeout(SECOND).await.unwrap();
                    assert_eq!(down, Down { monitor, process: counter, reason: error() });
                    let exited: Exited = cx.expect_timeout(SECOND).await.unwrap();
                    assert_eq!(exited, Exited { from: counter, reason: error() });
                    assert_eq!(cx.expect_timeout::<Exited>(SECOND).await, None);
                })
                .await
                .unwrap();
        }
    });
}

#[test]
fn a_behaviour_ends_with_who_is_linked_to_it_also_in_the_middle_of_a_message() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let other = world.node("b", Some("a")).await;
        run_version(&world, &server, "waiter-v1").await;
        for busy in [false, true] {
            let waiter = start(&server);
            other
                .node()
                .run("watcher", move |cx| async move {
                    cx.monitor(waiter).await;
                    let linked = cx.spawn("linked", move |cx| async move {
                        cx.link(waiter).await;
                        if busy {
                            let nap = Nap { millis: 60_000 };
                            cx.call::<_, Asked>(waiter, nap, SECOND).await.unwrap_err();
                        }
                        cx.die(error()).await
                    });
                    linked.unwrap();
                    let down: Down = cx.expect_timeout(MINUTE).await.unwrap();
                    assert_eq!(down.reason, error());
                })
                .await
                .unwrap();
        }
    });
}

#[test]
fn a_behaviour_goes_on_sending_after_a_loss_which_is_counted() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let other = world.node("b", Some("a")).await;
        run_version(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        let here = other.node().clone();
        let (near, far) = (server.node().clone(), other.node().id());
        here.run("told", move |cx| async move {
            let me: Pid = cx.me();
            for round in 0..3 {
                let told = near.run("teller", move |cx| async move {
                    cx.call::<_, Asked>(waiter, Tell { to: me }, SECOND).await.unwrap();
                });
                told.await.unwrap();
                cx.expect_timeout::<Question>(SECOND).await.unwrap();
                assert_eq!(near.accepted_losses(), round);
                assert!(near.disconnect(far));
                cx.sleep(SECOND).await;
            }
            assert_eq!(near.accepted_losses(), 3);
            assert_eq!(cx.expect_timeout::<Disconnected>(SECOND).await, None, "it sent nothing");
            assert!(near.dead_letters().is_empty());
        })
        .await
        .unwrap();
    });
}

#[test]
fn who_waits_for_room_ends_when_it_is_told() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        let node = server.node().clone();
        let deaf = node.spawn("deaf", |_cx| std::future::pending::<()>()).unwrap();
        let client = node.run("client", move |cx| async move {
            while cx.try_send(deaf, Question {}).is_ok() {}
            cx.monitor(waiter).await;
            cx.send(waiter, Tell { to: deaf }).await.unwrap();
            // It waits for room, for 5 s at the most.
            cx.sleep(SECOND).await;
            let began = cx.now();
            cx.exit(waiter, ExitReason::Shutdown).await;
            assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Shutdown);
            assert!(cx.now().since(began) < SECOND);
        });
        client.await.unwrap();
    });
}
