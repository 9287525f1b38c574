//! Links between nodes: connect on demand, loss, secrets.

use std::time::Duration;

use midflight_process::{CallError, Down, ExitReason, JoinError};

use super::world::{QUIET, World, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn members_are_learnt_and_links_open_on_demand() {
    simulate(|world| async move {
        let (a, b, c) = (world.node("a").await, world.node("b").await, world.node("c").await);
        b.connect(&World::address("a")).await.unwrap();
        c.connect(&World::address("a")).await.unwrap();
        // c has never met b, but a tells it of b.
        until(&b, || b.members().len() == 3 && c.members().len() == 3).await;
        let echo = b.spawn("echo", |cx| async move {
            let received = cx.receive_one::<String>().await;
            received.reply_to.unwrap().reply(received.message);
        });
        let echo = echo.unwrap();
        let reply = c.run("caller", move |cx| async move {
            cx.call::<_, String>(echo, String::from("over the new link"), SECOND).await.unwrap()
        });
        assert_eq!(reply.await.unwrap(), "over the new link");
        assert!(c.peers().iter().any(|peer| peer.id == b.id()));
        drop(a);
    });
}

#[test]
fn a_lost_link_ends_calls_and_monitors_at_once() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let stuck = b.spawn("stuck", |cx| async move { cx.expect::<()>().await }).unwrap();
        let told = a.spawn("watcher", move |cx| async move {
            cx.monitor(stuck).await;
            let call = cx.call::<u64, u64>(stuck, 1, Duration::from_secs(3600));
            let error = call.await.unwrap_err();
            assert!(matches!(error, CallError::Refused { .. }), "{error}");
            let down: Down = cx.expect().await;
            assert!(matches!(down.reason, ExitReason::NoConnection(_)));
            assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None, "told twice");
        });
        let told = told.unwrap();
        // The call lies there, and the monitor was set before it.
        let there = b.clone();
        let watch = a.run("observer", move |cx| async move {
            cx.monitor(told).await;
            until(&there, || there.process(stuck).is_some_and(|info| info.mailbox == 1)).await;
            let cut = cx.now();
            assert!(cx.node().disconnect(stuck.node));
            let reason = cx.expect::<Down>().await.reason;
            assert!(cx.now().since(cut) < 2 * QUIET, "the caller's hour did not pass");
            reason
        });
        assert_eq!(watch.await.unwrap(), ExitReason::Normal);
        assert_eq!(b.process_count(), 1, "a cut kills nobody");
        assert!(a.connect(&World::address("b")).await.is_ok(), "and can be healed");
    });
}

#[test]
fn a_wrong_secret_is_refused_by_name_and_the_right_one_is_not() {
    simulate(|world| async move {
        let a = world.node_with_secret("a", "the secret of this cluster").await;
        let right = world.node_with_secret("right", "the secret of this cluster").await;
        let wrong = world.node_with_secret("wrong", "the secret of another one").await;
        let none = world.node("none").await;
        assert_eq!(right.connect(&World::address("a")).await.unwrap(), a.id());
        for (stranger, word) in [(wrong, "secret"), (none, "--secret-file")] {
            let refused = stranger.connect(&World::address("a")).await.unwrap_err();
            assert!(matches!(refused, JoinError::Refused { .. }), "{refused}");
            assert!(refused.to_string().contains(word), "{refused}");
            assert!(stranger.peers().is_empty());
        }
        assert_eq!(a.peers().len(), 1);
    });
}

#[test]
fn nobody_at_the_address_is_an_error_in_time() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let nobody = a.connect(&World::address("nobody")).await.unwrap_err();
        assert!(matches!(nobody, JoinError::Unreachable { .. }), "{nobody}");
    });
}
