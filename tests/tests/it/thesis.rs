//! The thesis' own experiments, in the simulator (E01, E02, E04, E05 of the field's list).

use std::sync::Arc;
use std::time::Duration;

use midflight_process::{CallError, Context, Pid, Refusal};
use midflight_tests::steps::{run_version, stage, start, ten_pings};
use midflight_tests::world::simulate;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ping_pong_with_the_upgrade_at_every_position() {
    simulate(5, |world| async move {
        for k in 1..=10 {
            let server = world.node(&format!("node-{k}"), None).await;
            run_version(&world, &server, "ponger-v1").await;
            let ponger = start(&server, "ponger", &());
            let v2 = stage(&world, &server, "ponger-v2").await;
            let node = server.node().clone();
            let watched = server.clone();
            node.run("pinger", move |cx| async move {
                ten_pings(&cx, &server, ponger, v2, k, SECOND).await;
                assert_eq!(cx.expect_timeout::<ponger_v1::Pong>(SECOND).await, None, "an eleventh");
            })
            .await
            .unwrap();
            assert_eq!(watched.versions().get(v2).unwrap().processes(), [ponger], "same pid");
        }
    });
}

#[test]
fn the_same_bundle_again_is_no_update() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        let first = run_version(&world, &server, "ponger-v1").await;
        start(&server, "ponger", &());
        let again = run_version(&world, &server, "ponger-v1").await;
        assert_eq!(first, again);
        assert_eq!(server.versions().all().len(), 1);
    });
}

async fn add(cx: &Context, counter: Pid, seq: u64, amount: i64) -> counter_v2::Total {
    cx.call(counter, counter_v2::Add { seq, amount }, SECOND).await.unwrap()
}

#[test]
fn the_counter_keeps_its_sum_and_learns_to_reset() {
    simulate(10, |world| async move {
        let server = world.node("a", None).await;
        let other = world.node("b", Some("a")).await;
        let v1 = run_version(&world, &server, "counter-v1").await;
        let counter = start(&server, "counter", &());
        let v2 = stage(&world, &server, "counter-v2").await;
        let client = other.node().run("client", move |cx| async move {
            for n in 1..=5 {
                assert_eq!(add(&cx, counter, n, 2).await.code_version, 1);
            }
            let reset = counter_v2::Reset { seq: 6 };
            let refused = cx.call::<_, counter_v2::Total>(counter, reset, SECOND).await;
            match refused.unwrap_err() {
                CallError::Refused { refusal: Refusal::NotAccepted { type_name, .. }, .. } => {
                    assert_eq!(type_name, "counter.Reset");
                }
                other => panic!("{other}"),
            }
            server.activate(v2).await.unwrap();
            let total = add(&cx, counter, 7, 1).await;
            assert_eq!((total.total, total.handled, total.code_version), (11, 6, 2));
            let reset = counter_v2::Reset { seq: 8 };
            let total: counter_v2::Total = cx.call(counter, reset, SECOND).await.unwrap();
            assert_eq!((total.total, total.code_version), (0, 2));
            add(&cx, counter, 9, 40).await;
            // And back, with the sum.
            server.activate(v1).await.unwrap();
            let total = add(&cx, counter, 10, 2).await;
            assert_eq!((total.total, total.handled, total.code_version), (42, 9, 1));
            assert_eq!(server.node().dead_letters().len(), 1, "the refused Reset is kept");
        });
        client.await.unwrap();
    });
}

#[test]
fn two_versions_run_side_by_side() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let v1 = run_version(&world, &server, "counter-v1").await;
        let counters: Vec<_> = (0..100).map(|_| start(&server, "counter", &())).collect();
        let v2 = stage(&world, &server, "counter-v2").await;
        let (old, new) = (server.versions().get(v1).unwrap(), server.versions().get(v2).unwrap());
        let switcher = midflight_dsu::switch::Switcher::new(
            server.node().clone(),
            server.versions().clone(),
            midflight_dsu::switch::SwitchLimits::default(),
        );
        let switched = switcher.switch_all(&counters[..50], &new).await;
        assert_eq!((switched.done.len(), switched.failed.len()), (50, 0));
        assert_eq!((old.process_count(), new.process_count()), (50, 50));
        let counters = Arc::new(counters);
        let node = server.node().clone();
        node.run("client", move |cx| async move {
            for (at, counter) in counters.iter().enumerate() {
                let version = if at < 50 { 2 } else { 1 };
                assert_eq!(add(&cx, *counter, 1, 1).await.code_version, version);
            }
        })
        .await
        .unwrap();
    });
}
