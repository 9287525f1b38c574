//! Processes written as loops: their code is replaced at the points they name, and nowhere else.

use std::time::Duration;

use midflight_dsu::code_server::{ActivateError, CodeServer};
use midflight_dsu::compiled::compiled;
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::switch::{SwitchError, SwitchLimits, Switcher};
use midflight_dsu::versions::Version;
use midflight_process::{CallError, Context, FreezeError, Pid, Refusal};
use midflight_tests::steps::ten_pings;
use midflight_tests::world::{World, simulate};
use rally_v1::{Hang, Look, Ping, Pong, Seen, Walk};

use super::{MINUTE, SECOND, run, stage};

fn rally(server: &CodeServer) -> Pid {
    midflight_tests::steps::start(server, "rally", &())
}

/// A node that runs version 1, and a process of it.
async fn started(world: &World, name: &str) -> (CodeServer, ContentAddress, Pid) {
    let server = world.node(name, None).await;
    let v1 = run(world, &server, "rally-v1").await;
    let rally = rally(&server);
    (server, v1, rally)
}

async fn look(cx: &Context, rally: Pid) -> Seen {
    cx.call(rally, Look { after: 0 }, MINUTE).await.unwrap()
}

async fn ping(cx: &Context, rally: Pid, n: u64) -> Option<Pong> {
    cx.send(rally, Ping { n, from: cx.me() }).await.unwrap();
    cx.expect_timeout(MINUTE).await
}

const fn pong(n: u64, pongs: u64, code_version: u32) -> Pong {
    Pong { n, pongs, code_version }
}

#[test]
fn the_thesis_loop_is_replaced_at_every_position_and_back() {
    simulate(5, |world| async move {
        for k in 1..=10 {
            let (server, v1, rally) = started(&world, &format!("node-{k}")).await;
            let v2 = stage(&world, &server, "rally-v2").await;
            let (node, watched) = (server.node().clone(), server.clone());
            node.register("rally", rally).unwrap();
            let pinger = node.run("pinger", move |cx| async move {
                ten_pings(&cx, &server, rally, v2, k, SECOND).await;
                assert_eq!(cx.expect_timeout::<ponger_v1::Pong>(SECOND).await, None, "an eleventh");
                assert_eq!(server.versions().get(v2).unwrap().processes(), [rally], "same pid");
                // The newer code has brought the way back.
                server.activate(v1).await.unwrap();
                assert_eq!(ping(&cx, rally, 11).await, Some(pong(11, 11, 1)));
            });
            pinger.await.unwrap();
            assert_eq!(watched.versions().get(v1).unwrap().processes(), [rally]);
            assert_eq!(node.whereis("rally"), Some(rally));
        }
    });
}

#[test]
fn a_point_deep_in_the_loop_is_one_and_the_new_loop_starts_from_its_top() {
    simulate(5, |world| async move {
        let (server, v1, rally) = started(&world, "a").await;
        let v2 = stage(&world, &server, "rally-v2").await;
        let node = server.node().clone();
        let walk = node.run("client", move |cx| async move {
            cx.send(rally, Walk { steps: 9 }).await.unwrap();
            // Between two steps of a second: at the next point it goes on, and the three that have come wait.
            cx.sleep(Duration::from_millis(3_500)).await;
            for n in 1..=3 {
                cx.send(rally, Ping { n, from: cx.me() }).await.unwrap();
            }
            let began = cx.now();
            assert_eq!(server.activate(v2).await.unwrap(), 1);
            assert!(cx.now().since(began) <= Duration::from_millis(600));
            for n in 1..=3 {
                assert_eq!(cx.expect_timeout::<Pong>(MINUTE).await, Some(pong(n, n, 2)));
            }
            assert_eq!(look(&cx, rally).await, Seen { pongs: 3, old_steps: 4, new_steps: 5 });
            // And back, in the midst of a walk; nothing comes that would begin the loop.
            cx.send(rally, Walk { steps: 5 }).await.unwrap();
            cx.sleep(Duration::from_millis(500)).await;
            server.activate(v1).await.unwrap();
            cx.sleep(5 * SECOND).await;
            let asked = cx.now();
            assert_eq!(look(&cx, rally).await, Seen { pongs: 3, old_steps: 14, new_steps: 0 });
            assert_eq!(cx.now(), asked, "it has walked already");
        });
        walk.await.unwrap();
    });
}

/// What kept the only process of an activation from coming to rest.
fn blocker(activated: Result<usize, ActivateError>) -> (Pid, String) {
    let Err(ActivateError::Switch { mut failed, not_back }) = activated else {
        panic!("{activated:?}")
    };
    assert_eq!((failed.len(), not_back.len()), (1, 0));
    match failed.remove(0) {
        SwitchError::Freeze(FreezeError::Overrun { pid, what }) => (pid, what),
        other => panic!("{other}"),
    }
}

#[test]
fn a_loop_that_comes_to_no_point_is_named_and_goes_on_in_its_old_code() {
    simulate(5, |world| async move {
        let (server, v1, rally) = started(&world, "a").await;
        let v2 = stage(&world, &server, "rally-v2").await;
        let node = server.node().clone();
        let client = node.run("client", move |cx| async move {
            assert_eq!(ping(&cx, rally, 1).await, Some(pong(1, 1, 1)));
            cx.send(rally, Hang {}).await.unwrap();
            cx.sleep(10 * SECOND).await;
            let rest = SwitchLimits::default().rest_timeout;
            let began = cx.now();
            let (pid, what) = blocker(server.activate(v2).await);
            assert_eq!((pid, cx.now().since(began)), (rally, rest));
            let what_then = "its loop has been at no update point for 15s: \
                             it is in 0 calls and 0 sleeps and a receive";
            assert_eq!(what, what_then);
            assert_eq!(server.versions().get(v1).unwrap().processes(), [rally]);
            // The message it waits for; then the old future goes on where it was.
            cx.send(rally, Hang {}).await.unwrap();
            assert_eq!(ping(&cx, rally, 2).await, Some(pong(2, 2, 1)));
            // It is at a point again.
            server.activate(v2).await.unwrap();
            assert_eq!(ping(&cx, rally, 3).await, Some(pong(3, 3, 2)));
        });
        client.await.unwrap();
    });
}

#[test]
fn a_loop_that_owes_a_reply_is_waited_for() {
    simulate(5, |world| async move {
        let (server, _v1, rally) = started(&world, "a").await;
        let v2 = stage(&world, &server, "rally-v2").await;
        let node = server.node().clone();
        let asking = node.run("asks", move |cx| async move {
            let seen: Seen = cx.call(rally, Look { after: 3 }, MINUTE).await.unwrap();
            assert_eq!(seen, Seen { pongs: 0, old_steps: 0, new_steps: 0 });
            assert_eq!(ping(&cx, rally, 1).await, Some(pong(1, 1, 2)));
        });
        let began = world.runtime.now();
        let switched = async {
            world.runtime.sleep(SECOND).await;
            server.activate(v2).await.unwrap();
            assert_eq!(world.runtime.now().since(began), 3 * SECOND);
        };
        let (asked, ()) = futures_util::join!(asking, switched);
        asked.unwrap();
        assert_eq!(server.node().dead_letters().len(), 0);
    });
}

#[test]
fn who_calls_and_is_not_answered_learns_it_when_the_loop_receives_again() {
    simulate(5, |world| async move {
        let (server, _v1, rally) = started(&world, "a").await;
        let node = server.node().clone();
        let client = node.run("client", move |cx| async move {
            let never = cx.call::<_, Seen>(rally, Look { after: 3_601 }, 100 * MINUTE).await;
            let Err(CallError::Refused { refusal: Refusal::Aborted { reason }, .. }) = never else {
                panic!("{never:?}")
            };
            assert_eq!(reason, "its receiver went on without a reply");
            // One without a reply is done when the loop receives again.
            cx.call::<_, ()>(rally, Walk { steps: 1 }, MINUTE).await.unwrap();
            assert_eq!(look(&cx, rally).await.old_steps, 1);
        });
        client.await.unwrap();
    });
}

#[test]
fn on_probation_a_loop_that_fails_is_back_at_the_top_of_its_old_one_with_the_message() {
    simulate(5, |world| async move {
        let (server, v1, rally) = started(&world, "a").await;
        let v2 = stage(&world, &server, "rally-v2").await;
        let node = server.node().clone();
        let client = node.run("client", move |cx| async move {
            for n in 1..=10 {
                assert_eq!(ping(&cx, rally, n).await, Some(pong(n, n, 1)));
            }
            server.activate(v2).await.unwrap();
            for n in 11..=12 {
                assert_eq!(ping(&cx, rally, n).await, Some(pong(n, n, 2)));
            }
            // The new code panics at it; the old one has it, and what comes behind it.
            cx.send(rally, Ping { n: 13, from: cx.me() }).await.unwrap();
            assert_eq!(ping(&cx, rally, 14).await, Some(pong(13, 13, 1)));
            assert_eq!(cx.expect_timeout(MINUTE).await, Some(pong(14, 14, 1)));
            assert_eq!(server.versions().get(v1).unwrap().processes(), [rally]);
        });
        client.await.unwrap();
    });
}

#[test]
fn a_thousand_loops_are_switched_while_they_are_pinged_and_walk() {
    simulate(2, |world: World| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "rally-v1").await;
        let rallies: Vec<_> = (0..1_000).map(|_| rally(&server)).collect();
        let v2 = stage(&world, &server, "rally-v2").await;
        let new = server.versions().get(v2).unwrap();
        let limits = SwitchLimits::default();
        let switcher = Switcher::new(server.node().clone(), server.versions().clone(), limits);
        let (pids, node) = (rallies.clone(), server.node().clone());
        let pinger = node.run("pinger", move |cx| async move {
            for n in 1..=10 {
                for (at, rally) in pids.iter().enumerate() {
                    if at % 10 == 0 {
                        cx.send(*rally, Walk { steps: 1 }).await.unwrap();
                    }
                    cx.send(*rally, Ping { n, from: cx.me() }).await.unwrap();
                }
                for _ in &pids {
                    let Pong { n: of, pongs, .. } = cx.expect_timeout(MINUTE).await.unwrap();
                    assert_eq!((of, pongs), (n, n));
                }
            }
        });
        let switched = async {
            world.runtime.sleep(4 * SECOND).await;
            switcher.switch_all(&rallies, &new).await
        };
        let (pinged, switched) = futures_util::join!(pinger, switched);
        pinged.unwrap();
        assert_eq!((switched.done.len(), switched.failed.len()), (1_000, 0));
        assert_eq!(new.process_count(), 1_000);
    });
}

/// The same state with handlers around it.
mod plain {
    use midflight_abi::prelude::*;
    use rally_v1::{Ping, Pong};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize, State)]
    #[state(version = 1)]
    pub(super) struct Rally {
        pongs: u64,
        steps_left: u32,
        walked: u32,
    }

    #[behaviour(name = "rally", version = 3, sends(Pong))]
    impl Rally {
        fn init(_cx: &mut Context<Self>) -> Self {
            Rally { pongs: 0, steps_left: 0, walked: 0 }
        }

        #[handle]
        fn ping(&mut self, cx: &mut Context<Self>, msg: Ping) {
            self.pongs += 1;
            cx.send(msg.from, &Pong { n: msg.n, pongs: self.pongs, code_version: 3 });
        }
    }
}

#[test]
fn a_loop_becomes_a_behaviour_with_handlers_and_a_loop_again() {
    simulate(3, |world| async move {
        let (server, v1, rally) = started(&world, "a").await;
        let (node, versions) = (server.node().clone(), server.versions().clone());
        let code = compiled::<(plain::Rally,)>().unwrap();
        let address = ContentAddress::from([3; 32]);
        let v3 = versions.add(Version::new(&node, "rally", 3, address, code));
        let v1 = versions.get(v1).unwrap();
        let switcher = Switcher::new(node.clone(), versions, SwitchLimits::default());
        let client = node.run("client", move |cx| async move {
            for n in 1..=6 {
                let (to, version) = if n % 2 == 0 { (&v3, 3) } else { (&v1, 1) };
                switcher.switch(rally, to).await.unwrap();
                assert_eq!(ping(&cx, rally, n).await, Some(pong(n, n, version)));
            }
        });
        client.await.unwrap();
    });
}

#[test]
fn a_loop_that_nothing_comes_to_begins_all_the_same() {
    simulate(3, |world| async move {
        let (server, v1, rally) = started(&world, "a").await;
        let v2 = stage(&world, &server, "rally-v2").await;
        for to in [v2, v1, v2] {
            world.runtime.sleep(SECOND).await;
            assert_eq!(server.activate(to).await.unwrap(), 1);
        }
        world.runtime.sleep(SECOND).await;
        let label = server.node().process(rally).unwrap().label.unwrap();
        assert_eq!((label.version, label.suspended), (2, None), "it is at a point");
    });
}
