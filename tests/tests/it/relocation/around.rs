//! When a node goes on which a process has lived, those before it hand on to where it is.

use midflight_process::{Down, ExitReason};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::simulate;

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
