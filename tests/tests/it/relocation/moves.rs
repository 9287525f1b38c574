//! In the simulator: what a process has stays, and who talks to it notices nothing.

use futures_util::join;
use midflight_dsu::protocol::{CONTROL, Drain, Drained, Start, Started};
use midflight_dsu::relocation::RelocateError;
use midflight_process::{Down, ExitReason, Exited, NodeDown, NotPacked};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::simulate;
use waiter::{Asked, Begin, Nap, Question, Remind};

use super::{MINUTE, SECOND, add, nodes};

#[test]
fn a_process_keeps_its_pid_and_state_and_is_found() {
    simulate(20, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let counter = start(&a, "counter", &());
        for (server, seq) in [(&a, 1), (&b, 2), (&c, 3)] {
            let node = server.node().clone();
            let total = node.run("client", move |cx| async move { add(&cx, counter, seq).await });
            assert_eq!(total.await.unwrap().total, i64::try_from(seq).unwrap());
        }
        a.relocate(counter, b.node().id()).await.unwrap();
        assert!(!a.node().holds(counter) && b.node().holds(counter));
        assert_eq!(a.node().moved_to(counter), Some(b.node().id()));
        assert_eq!(b.node().process(counter).unwrap().pid, counter);
        for (server, seq) in [(&a, 4), (&b, 5), (&c, 6)] {
            let node = server.node().clone();
            let total = node.run("client", move |cx| async move { add(&cx, counter, seq).await });
            assert_eq!(total.await.unwrap().total, i64::try_from(seq).unwrap());
        }
        // And on, and back.
        b.relocate(counter, c.node().id()).await.unwrap();
        c.relocate(counter, a.node().id()).await.unwrap();
        let node = c.node().clone();
        let total = node.run("client", move |cx| async move { add(&cx, counter, 7).await });
        assert_eq!(total.await.unwrap().total, 7);
        assert!(a.node().holds(counter));
    });
}

#[test]
fn what_waits_for_it_goes_along_in_order() {
    simulate(30, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let counter = start(&a, "counter", &());
        let node = c.node().clone();
        let client = node.run("client", move |cx| async move {
            for seq in 1..=200 {
                let total = add(&cx, counter, seq).await;
                assert_eq!((total.seq, total.total), (seq, i64::try_from(seq).unwrap()));
            }
        });
        let (client, moved) = join!(client, a.relocate(counter, b.node().id()));
        client.unwrap();
        moved.unwrap();
        assert!(b.node().holds(counter));
    });
}

#[test]
fn timers_names_and_who_watches_it_stay_and_its_end_is_told() {
    simulate(20, |world| async move {
        let [a, b] = nodes(&world).await;
        run_version(&world, &a, "waiter-v1").await;
        let waiter = start(&a, "waiter", &Begin::default());
        let node = b.node().clone();
        let watches = node.run("watches", move |cx| async move {
            let (to, began) = (cx.me(), cx.now());
            a.node().register("waiter", waiter).unwrap();
            let monitor = cx.monitor(waiter).await;
            cx.trap_exits(true);
            cx.link(waiter).await;
            cx.send(waiter, Remind { to, millis: 2_000 }).await.unwrap();
            // It is set now.
            let _: Asked = cx.call(waiter, waiter::Flag { up: true }, MINUTE).await.unwrap();
            a.relocate(waiter, b.node().id()).await.unwrap();
            assert_eq!(a.node().whereis("waiter"), Some(waiter));
            cx.expect::<Question>().await;
            let after = cx.now().since(began);
            assert!(after >= 2 * SECOND && after < 3 * SECOND, "{after:?}");
            assert!(cx.expect_timeout::<Down>(SECOND).await.is_none());
            cx.kill(waiter, "enough").await;
            let down = cx.expect::<Down>().await;
            assert_eq!((down.monitor, down.process), (monitor, waiter));
            assert_eq!(down.reason, ExitReason::Killed("enough".into()));
            assert_eq!(cx.expect::<Exited>().await.from, waiter);
            assert!(!b.node().holds(waiter));
            assert_eq!(a.node().whereis("waiter"), None);
        });
        watches.await.unwrap();
    });
}

#[test]
fn what_cannot_move_stays_and_says_why() {
    simulate(10, |world| async move {
        let [a, b] = nodes(&world).await;
        run_version(&world, &a, "waiter-v1").await;
        let to = b.node().id();
        let function = a.node().spawn("function", |cx| async move {
            cx.expect::<u64>().await;
        });
        let refused = a.relocate(function.unwrap(), to).await.unwrap_err();
        assert!(matches!(refused, RelocateError::NoBehaviour { .. }), "{refused}");
        let waiter = start(&a, "waiter", &Begin::default());
        let node = a.node().clone();
        let napping = node.run("client", move |cx| async move {
            cx.call::<_, Asked>(waiter, Nap { millis: 20_000 }, MINUTE).await.unwrap().how
        });
        let asleep = async {
            world.runtime.sleep(SECOND).await;
            let refused = a.relocate(waiter, to).await.unwrap_err();
            assert!(matches!(refused, RelocateError::Freeze(_)), "{refused}");
            assert!(refused.to_string().contains("sleeps"), "{refused}");
            assert!(a.node().holds(waiter));
        };
        let (slept, ()) = join!(napping, asleep);
        assert_eq!(slept.unwrap(), "slept");
        let refused = a.relocate(waiter, a.node().id()).await.unwrap_err();
        assert!(matches!(refused, RelocateError::Here(_)), "{refused}");
        a.relocate(waiter, to).await.unwrap();
        let refused = a.relocate(waiter, to).await.unwrap_err();
        assert!(matches!(refused, RelocateError::Elsewhere { node, .. } if node == to));
    });
}

#[test]
fn a_target_with_another_version_converts_and_one_that_cannot_says_no_before_it_is_frozen() {
    simulate(10, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let v2 = run_version(&world, &b, "counter-v2").await;
        run_version(&world, &c, "counter-v3").await;
        let counter = start(&a, "counter", &());
        let node = a.node().clone();
        let client = node.run("client", move |cx| async move {
            for seq in 1..=5 {
                assert_eq!(add(&cx, counter, seq).await.code_version, 1);
            }
            let refused = a.relocate(counter, c.node().id()).await.unwrap_err();
            assert!(matches!(refused, RelocateError::Refused { .. }), "{refused}");
            assert!(refused.to_string().contains("does not read a state"), "{refused}");
            assert!(a.node().holds(counter) && !c.node().holds(counter));
            assert_eq!(add(&cx, counter, 6).await.total, 6, "it was not touched");
            a.relocate(counter, b.node().id()).await.unwrap();
            assert_eq!(b.versions().get(v2).unwrap().processes(), [counter]);
            let total = add(&cx, counter, 7).await;
            assert_eq!((total.total, total.handled, total.code_version), (7, 7, 2));
            // And back, in the form that the newer one brings for the older.
            b.relocate(counter, a.node().id()).await.unwrap();
            let total = add(&cx, counter, 8).await;
            assert_eq!((total.total, total.handled, total.code_version), (8, 8, 1));
        });
        client.await.unwrap();
    });
}

#[test]
fn who_it_is_stays_wherever_it_sends_from() {
    simulate(20, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "waiter-v1").await;
        let waiter = start(&a, "waiter", &Begin::default());
        for server in [&a, &b, &c] {
            let node = server.node().clone();
            let (asked, _) = (a.clone(), ());
            let (to, move_it) = (b.node().id(), asked.node().holds(waiter));
            let client = node.run("client", move |cx| async move {
                if move_it {
                    asked.relocate(waiter, to).await.unwrap();
                }
                // The news of the move has come by then.
                cx.sleep(SECOND).await;
                let tell = waiter::Tell { to: cx.me() };
                let _: Asked = cx.call(waiter, tell, MINUTE).await.unwrap();
                assert_eq!(cx.receive_one::<Question>().await.from, Some(waiter));
            });
            client.await.unwrap();
        }
    });
}

#[test]
fn the_death_of_its_home_neither_ends_it_nor_hides_it() {
    simulate(20, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let counter = start(&a, "counter", &());
        a.relocate(counter, b.node().id()).await.unwrap();
        let node = c.node().clone();
        let home = a.node().clone();
        let client = node.run("client", move |cx| async move {
            assert_eq!(add(&cx, counter, 1).await.total, 1);
            let monitor = cx.monitor(counter).await;
            cx.monitor_node(home.id()).await;
            home.shutdown().await;
            // It was watched by way of its home, which says no more about it.
            assert_eq!(cx.expect::<Down>().await.monitor, monitor);
            cx.expect::<NodeDown>().await;
            assert!(b.node().holds(counter));
            assert_eq!(add(&cx, counter, 2).await.total, 2);
            // Also as it goes on from there.
            b.relocate(counter, c.node().id()).await.unwrap();
            assert_eq!(add(&cx, counter, 3).await.total, 3);
            assert!(c.node().holds(counter) && !b.node().holds(counter));
        });
        client.await.unwrap();
    });
}

#[test]
fn a_process_moves_no_more_often_than_a_message_to_it_is_handed_on() {
    simulate(5, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let counter = start(&a, "counter", &());
        for _ in 0..8 {
            a.relocate(counter, b.node().id()).await.unwrap();
            b.relocate(counter, a.node().id()).await.unwrap();
        }
        let refused = a.relocate(counter, b.node().id()).await.unwrap_err();
        assert!(
            matches!(refused, RelocateError::Pack { source: NotPacked::Moves, .. }),
            "{refused:?}"
        );
        assert!(a.node().holds(counter));
        let client = c.node().run("client", move |cx| async move { add(&cx, counter, 1).await });
        assert_eq!(client.await.unwrap().total, 1, "by all the cells that it has lived in");
    });
}

#[test]
fn a_drained_node_takes_nothing_new() {
    simulate(10, |world| async move {
        let [a, b] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let counter = start(&a, "counter", &());
        let [at_a, at_b] = [&a, &b].map(|it| it.node().whereis(CONTROL).unwrap());
        let node = a.node().clone();
        let client = node.run("client", move |cx| async move {
            let drain = |node: &str| Drain { node: node.to_owned() };
            let drained = cx.call::<_, Drained>(at_a, drain("n0"), MINUTE).await.unwrap();
            let Drained::Done { moved, .. } = drained else { panic!("{drained:?}") };
            assert_eq!(moved, [("n1".to_owned(), 1)]);
            assert!(b.node().holds(counter));
            let request = Start { behaviour: "counter".into(), count: 1, start: Vec::new() };
            let started: Started = cx.call(at_a, request, MINUTE).await.unwrap();
            assert!(started.refused.unwrap().contains("drained"));
            let refused = b.relocate(counter, a.node().id()).await.unwrap_err();
            assert!(refused.to_string().contains("drained"), "{refused}");
            // Two that are drained send each other nothing.
            let drained = cx.call::<_, Drained>(at_b, drain("n1"), MINUTE).await.unwrap();
            let Drained::Done { moved, stay, .. } = drained else { panic!("{drained:?}") };
            assert_eq!((moved, stay), (vec![], 1));
            assert!(b.node().holds(counter));
        });
        client.await.unwrap();
    });
}
