//! What behaviours do with other processes and with timers, before and after their code is replaced.

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_process::{Context, Pid};
use midflight_tests::errands::{Begin, Errand, News};
use midflight_tests::steps::{self, run_version, stage};
use midflight_tests::world::simulate;

use super::SECOND;

/// Starts one that tells this process of everything.
fn errands(server: &CodeServer, cx: &Context) -> Pid {
    steps::start(server, "errands", &Begin { owner: cx.me() })
}

/// What it says next, within `timeout`.
async fn news(cx: &Context, timeout: Duration) -> Option<String> {
    cx.expect_timeout::<News>(timeout).await.map(|news| news.text)
}

#[test]
fn a_behaviour_cancels_its_timers_also_in_new_code() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "errands-v1").await;
        let v2 = stage(&world, &server, "errands-v2").await;
        let node = server.node().clone();
        let client = node.run("client", move |cx| async move {
            let (node, began) = (server.node(), cx.now());
            let (kept, cancelled) = (errands(&server, &cx), errands(&server, &cx));
            for pid in [kept, cancelled] {
                cx.send(pid, Errand::Remind(3 * SECOND)).await.unwrap();
            }
            cx.sleep(SECOND).await;
            assert_eq!(node.process(cancelled).unwrap().timers, 1);
            server.activate(v2).await.unwrap();
            cx.send(cancelled, Errand::Cancel).await.unwrap();
            assert_eq!(news(&cx, 10 * SECOND).await.unwrap(), "v2: it rings");
            assert_eq!(cx.now().since(began), 3 * SECOND);
            assert_eq!(node.process(cancelled).unwrap().timers, 0);
            // Once more: it is none any more.
            cx.send(cancelled, Errand::Cancel).await.unwrap();
            assert_eq!(news(&cx, 10 * SECOND).await, None, "it was cancelled");
        });
        client.await.unwrap();
    });
}

#[test]
fn a_behaviour_sets_timers_for_others_here_and_there() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let other = world.node("b", Some("a")).await;
        run_version(&world, &server, "errands-v1").await;
        for node in [server.node().clone(), other.node().clone()] {
            let server = server.clone();
            let client = node.run("client", move |cx| async move {
                let began = cx.now();
                let pid = errands(&server, &cx);
                cx.send(pid, Errand::RemindOther(2 * SECOND, cx.me())).await.unwrap();
                assert_eq!(news(&cx, 10 * SECOND).await.unwrap(), "v1: a reminder");
                assert!(cx.now().since(began) >= 2 * SECOND);
                cx.send(pid, Errand::RemindOther(2 * SECOND, cx.me())).await.unwrap();
                cx.send(pid, Errand::Cancel).await.unwrap();
                assert_eq!(news(&cx, 10 * SECOND).await, None, "it was cancelled");
            });
            client.await.unwrap();
        }
    });
}
