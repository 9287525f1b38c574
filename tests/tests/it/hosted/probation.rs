//! New code that fails soon after a switch: its process is back in the old version, and nothing is lost (U6).

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::hosted::ProbationLimits;
use midflight_dsu::switch::SwitchLimits;
use midflight_process::{CallError, Context, Down, ExitReason, Pid};
use midflight_tests::world::{World, simulate};
use till::{Load, Pay, PaySlowly, Receipt, Total, UNLUCKY};

use super::{MINUTE, SECOND, run, stage};

/// A node with a till of version 1, and version 2 to be switched to.
async fn till(world: &World, time: Duration) -> (CodeServer, Pid, ContentAddress) {
    // One process and many failures: what they mean for the whole version is for `of_a_version`.
    let (failed_processes, error_percent) = (0, 101);
    let probation = ProbationLimits { time, failed_processes, error_percent, ..Default::default() };
    let switch = SwitchLimits { probation, ..SwitchLimits::default() };
    let server = world.node_with("a", None, switch).await;
    run(world, &server, "till-v1").await;
    let till = midflight_tests::steps::start(&server, "till", &());
    let v2 = stage(world, &server, "till-v2").await;
    (server, till, v2)
}

async fn pay(cx: &Context, till: Pid, amount: u64) -> Result<Total, CallError> {
    cx.call(till, Pay { amount, receipt_to: None }, MINUTE).await
}

/// Runs `client` against such a till.
fn case<F>(client: impl Fn(Context, CodeServer, Pid, ContentAddress) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    case_within(ProbationLimits::default().time, client);
}

/// The same, with so long a probation.
fn case_within<F>(
    time: Duration,
    client: impl Fn(Context, CodeServer, Pid, ContentAddress) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    simulate(10, |world| {
        let client = client.clone();
        async move {
            let (server, till, v2) = till(&world, time).await;
            let node = server.node().clone();
            node.run("client", move |cx| client(cx, server, till, v2)).await.unwrap();
        }
    });
}

fn returns(server: &CodeServer, version: ContentAddress) -> u64 {
    server.versions().get(version).unwrap().returns()
}

#[test]
fn after_a_panic_the_old_code_handles_the_message_in_the_state_before_it() {
    case(|cx, server, till, v2| async move {
        let watch = cx.monitor(till).await;
        assert_eq!(pay(&cx, till, 5).await.unwrap(), Total { total: 5, by: 1 });
        server.activate(v2).await.unwrap();
        assert_eq!(pay(&cx, till, 7).await.unwrap(), Total { total: 12, by: 2 });
        let unlucky = Pay { amount: UNLUCKY, receipt_to: Some(cx.me()) };
        let total: Total = cx.call(till, unlucky, MINUTE).await.unwrap();
        assert_eq!(
            total,
            Total { total: 25, by: 1 },
            "once, and what version 2 had added is there"
        );
        assert_eq!(cx.expect::<Receipt>().await, Receipt { by: 1 });
        let more = cx.expect_timeout::<Receipt>(SECOND).await;
        assert_eq!(more, None, "what the failed handler had sent has not left");
        assert_eq!(pay(&cx, till, 1).await.unwrap(), Total { total: 26, by: 1 });
        assert_eq!(returns(&server, v2), 1);
        assert_eq!(server.versions().get(v2).unwrap().process_count(), 0);
        assert_eq!(cx.expect_timeout::<Down>(SECOND).await, None, "nobody has ended");
        cx.demonitor(watch);
    });
}

#[test]
fn the_first_message_and_those_behind_it_are_all_handled_in_their_order() {
    case(|cx, server, till, v2| async move {
        pay(&cx, till, 100).await.unwrap();
        server.activate(v2).await.unwrap();
        let amounts = [UNLUCKY, 1, UNLUCKY, 2];
        for amount in amounts {
            cx.send(till, Pay { amount, receipt_to: Some(cx.me()) }).await.unwrap();
        }
        let total = pay(&cx, till, 0).await.unwrap();
        assert_eq!(total, Total { total: 100 + amounts.iter().sum::<u64>(), by: 1 });
        for _ in amounts {
            assert_eq!(cx.expect::<Receipt>().await, Receipt { by: 1 });
        }
        // Another try is another probation.
        server.activate(v2).await.unwrap();
        assert_eq!(pay(&cx, till, 1).await.unwrap().by, 2);
        assert_eq!(pay(&cx, till, UNLUCKY).await.unwrap().by, 1);
        assert_eq!(returns(&server, v2), 2);
    });
}

#[test]
fn a_handler_that_fails_after_it_has_waited_is_told_to_its_caller_and_not_tried_again() {
    case(|cx, server, till, v2| async move {
        pay(&cx, till, 5).await.unwrap();
        server.activate(v2).await.unwrap();
        let slowly = cx.call::<_, Total>(till, PaySlowly { amount: UNLUCKY }, MINUTE).await;
        assert!(matches!(slowly, Err(CallError::Refused { .. })), "{slowly:?}");
        assert_eq!(pay(&cx, till, 1).await.unwrap(), Total { total: 6, by: 1 }, "as before it");
        assert_eq!(returns(&server, v2), 1);
    });
}

/// Fails, and the process ends with it.
async fn is_over(cx: &Context, till: Pid) {
    cx.monitor(till).await;
    let failed = pay(cx, till, UNLUCKY).await;
    assert!(matches!(failed, Err(CallError::Refused { .. })), "{failed:?}");
    let down = cx.expect::<Down>().await;
    assert!(matches!(down.reason, ExitReason::Panic(_)), "{down:?}");
}

#[test]
fn probation_is_over_after_so_many_messages() {
    case(|cx, server, till, v2| async move {
        server.activate(v2).await.unwrap();
        for _ in 0..16 {
            pay(&cx, till, 1).await.unwrap();
        }
        is_over(&cx, till).await;
        assert_eq!(returns(&server, v2), 0);
    });
}

#[test]
fn probation_is_over_after_a_while() {
    case(|cx, server, till, v2| async move {
        server.activate(v2).await.unwrap();
        pay(&cx, till, 1).await.unwrap();
        cx.sleep(31 * SECOND).await;
        is_over(&cx, till).await;
    });
}

#[test]
fn a_handler_that_fails_when_probation_is_over_brings_nothing_back() {
    // It waits for 10 ms.
    case_within(Duration::from_millis(5), |cx, server, till, v2| async move {
        pay(&cx, till, 5).await.unwrap();
        server.activate(v2).await.unwrap();
        cx.monitor(till).await;
        let slowly = cx.call::<_, Total>(till, PaySlowly { amount: UNLUCKY }, MINUTE).await;
        assert!(matches!(slowly, Err(CallError::Refused { .. })), "{slowly:?}");
        let down = cx.expect_timeout::<Down>(SECOND).await.unwrap();
        assert!(matches!(down.reason, ExitReason::Panic(_)), "{down:?}");
        assert_eq!(returns(&server, v2), 0);
    });
}

#[test]
fn of_a_large_state_the_probation_is_one_message() {
    case(|cx, server, till, v2| async move {
        let _: Total = cx.call(till, Load { bytes: 100_000 }, MINUTE).await.unwrap();
        server.activate(v2).await.unwrap();
        // The state from before the switch is there.
        assert_eq!(pay(&cx, till, UNLUCKY).await.unwrap().by, 1);
        server.activate(v2).await.unwrap();
        assert_eq!(pay(&cx, till, 1).await.unwrap().by, 2);
        is_over(&cx, till).await;
    });
}

#[test]
fn what_is_started_in_a_version_is_not_on_probation() {
    case(|cx, server, _, v2| async move {
        server.activate(v2).await.unwrap();
        let till = midflight_tests::steps::start(&server, "till", &());
        is_over(&cx, till).await;
    });
}
