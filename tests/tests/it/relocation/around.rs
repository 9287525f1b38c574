//! When a node goes on which a process has lived, those before it hand on to where it is.

use midflight_process::{Down, ExitReason, RefusalKind, Undelivered};
use midflight_tests::recorder::{Ask, Note, Notes};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::{World, simulate};

use super::{MINUTE, SECOND, add, nodes};

#[test]
fn a_process_is_reached_past_a_node_that_it_has_left_and_that_is_gone() {
    simulate(20, |world| async move {
        let [home, between, last, other] = nodes(&world).await;
        run_version(&world, &home, "counter-v1").await;
        let counter = start(&home, "counter", &());
        home.relocate(counter, between.node().id()).await.unwrap();
        between.relocate(counter, last.node().id()).await.unwrap();
        let node = other.node().clone();
        let client = node.run("client", move |cx| async move {
            let monitor = cx.monitor(counter).await;
            assert_eq!(add(&cx, counter, 1).await.total, 1);
            between.node().shutdown().await;
            cx.sleep(SECOND).await;
            assert_eq!(add(&cx, counter, 2).await.total, 2);
            assert!(last.node().holds(counter));
            // Also as it goes on, and who watches it hears of its end.
            last.relocate(counter, other.node().id()).await.unwrap();
            assert_eq!(add(&cx, counter, 3).await.total, 3);
            cx.kill(counter, "enough").await;
            let down = cx.expect_timeout::<Down>(MINUTE).await.unwrap();
            assert_eq!(down.monitor, monitor);
            assert_eq!(down.reason, ExitReason::Killed("enough".into()));
        });
        client.await.unwrap();
    });
}

#[test]
fn a_process_that_has_come_home_is_reached_when_the_node_is_gone_where_it_was() {
    simulate(20, |world| async move {
        let [home, between, other] = nodes(&world).await;
        run_version(&world, &home, "counter-v1").await;
        let counter = start(&home, "counter", &());
        home.relocate(counter, between.node().id()).await.unwrap();
        between.relocate(counter, home.node().id()).await.unwrap();
        between.node().shutdown().await;
        world.runtime.sleep(SECOND).await;
        for (server, seq) in [(&home, 1), (&other, 2)] {
            let client = server.node().run("client", move |cx| async move {
                // Something that waits for nothing goes first.
                cx.send(counter, counter_v1::Add { seq, amount: 1 }).await.unwrap();
                let monitor = cx.monitor(counter).await;
                let total = add(&cx, counter, seq).await.total;
                if total == 4 {
                    cx.kill(counter, "enough").await;
                    let down = cx.expect_timeout::<Down>(MINUTE).await.unwrap();
                    assert_eq!(down.monitor, monitor);
                    assert_eq!(down.reason, ExitReason::Killed("enough".into()));
                }
                total
            });
            assert_eq!(client.await.unwrap(), i64::try_from(2 * seq).unwrap());
        }
        assert!(!home.node().holds(counter));
    });
}

#[test]
fn who_has_sent_to_a_process_behind_a_link_that_is_lost_is_told_once() {
    simulate(20, |world| async move {
        let [home, host, other] = nodes(&world).await;
        run_version(&world, &home, "recorder").await;
        let recorder = start(&home, "recorder", &());
        home.relocate(recorder, host.node().id()).await.unwrap();
        let client = other.node().run("client", move |cx| async move {
            for number in 1..=10 {
                cx.send(recorder, Note { by: 0, number }).await.unwrap();
            }
            let _: Notes = cx.call(recorder, Ask {}, MINUTE).await.unwrap();
            world.hub.cut(&World::address("n0"), &World::address("n1"));
            home.node().disconnect(host.node().id());
            let told: Undelivered = cx.expect_timeout(MINUTE).await.unwrap();
            assert_eq!((told.to, told.kind), (recorder, RefusalKind::Gone), "{}", told.reason);
            assert!(cx.expect_timeout::<Undelivered>(MINUTE).await.is_none());
            assert!(host.node().holds(recorder), "it lives on");
        });
        client.await.unwrap();
    });
}
