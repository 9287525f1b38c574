//! Processes on one node and two: spawn, send, receive, names, monitors.

use std::time::Duration;

use futures_util::future::{Either, select};
use midflight_process::message::Message;
use midflight_process::{Down, ExitReason, Limits, NodeId, Pid, Received, SendPort};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, run, simulate, took, until};

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "test.Ping", version = 1)]
pub(crate) struct Ping {
    pub(crate) n: u64,
    pub(crate) from: Pid,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "test.Pong", version = 1)]
pub(crate) struct Pong {
    pub(crate) n: u64,
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ping_pong_on_one_node_and_across_two() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for server in [a.clone(), b] {
            let ponger = server.spawn("ponger", |cx| async move {
                for _ in 0..100 {
                    let Ping { n, from } = cx.expect().await;
                    cx.send(from, Pong { n }).await.unwrap();
                }
            });
            let ponger = ponger.unwrap();
            let pinger = a.run("pinger", move |cx| async move {
                for n in 0..100 {
                    cx.send(ponger, Ping { n, from: cx.me() }).await.unwrap();
                    assert_eq!(cx.expect::<Pong>().await, Pong { n });
                }
            });
            pinger.await.unwrap();
        }
    });
}

simulated! {
#[test]
fn the_same_seed_is_the_same_run() {
    let scenario = |world: World| async move {
        let (a, b) = world.pair().await;
        let sink = b.spawn("sink", |cx| async move {
            loop {
                cx.expect::<u64>().await;
            }
        });
        let sink = sink.unwrap();
        let sent = a.run("source", move |cx| async move {
            for n in 0..500_u64 {
                cx.send(sink, n).await.unwrap();
            }
        });
        sent.await.unwrap();
    };
    let steps: Vec<u64> = (0..10).map(|seed| run(seed, scenario)).collect();
    assert_eq!(steps, (0..10).map(|seed| run(seed, scenario)).collect::<Vec<_>>());
}
}

#[test]
fn receive_is_selective_and_leaves_the_others_in_order() {
    simulate(|world| async move {
        let node = world.node("a").await;
        let seen = node.run("receiver", |cx| async move {
            let me = cx.me();
            for n in 0..3_u64 {
                cx.send(me, n).await.unwrap();
                cx.send(me, format!("text {n}")).await.unwrap();
            }
            let mut seen = vec![cx.expect::<String>().await];
            seen.push(cx.expect::<u64>().await.to_string());
            // Two clauses: the oldest message wins, not the first clause.
            for _ in 0..4 {
                let next = cx
                    .receive()
                    .on(|text: Received<String>| text.message)
                    .on(|number: Received<u64>| number.message.to_string());
                seen.push(next.forever().await);
            }
            seen
        });
        assert_eq!(seen.await.unwrap(), ["text 0", "0", "1", "text 1", "2", "text 2"]);
    });
}

#[test]
fn two_receives_at_a_time_do_not_hide_messages_from_each_other() {
    simulate(|world| async move {
        let node = world.node("a").await;
        let received = node.run("receiver", |cx| async move {
            let me = cx.me();
            cx.send(me, 1_u64).await.unwrap();
            cx.send(me, 2_u64).await.unwrap();
            let (text, number) = (std::pin::pin!(cx.expect::<String>()), cx.expect::<u64>());
            // The text is looked for among both numbers, then one of them is taken away.
            let Either::Right((1, text)) = select(text, std::pin::pin!(number)).await else {
                panic!("there is no text, and 1 is the oldest number");
            };
            cx.send(me, String::from("text")).await.unwrap();
            (text.await, cx.expect::<u64>().await)
        });
        assert_eq!(received.await.unwrap(), (String::from("text"), 2));
    });
}

#[test]
fn time_outs_wait_for_their_time_and_zero_takes_what_is_there() {
    simulate(|world| async move {
        let node = world.node("a").await;
        let waited = node.run("waiter", |cx| async move {
            let before = cx.now();
            assert_eq!(cx.expect_timeout::<u64>(SECOND).await, None);
            let waited = cx.now().since(before);
            assert_eq!(cx.expect_timeout::<u64>(Duration::ZERO).await, None);
            cx.send(cx.me(), 7_u64).await.unwrap();
            assert_eq!(cx.expect_timeout::<u64>(SECOND).await, Some(7));
            waited
        });
        assert!(took(waited.await.unwrap(), SECOND));
    });
}

#[test]
fn a_monitor_fires_once_whatever_it_is_set_on() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for server in [a.clone(), b] {
            let dying = server.spawn("dying", |cx| async move {
                let text: String = cx.expect().await;
                panic!("{text}");
            });
            let dying = dying.unwrap();
            a.run("watcher", move |cx| async move {
                let first = cx.monitor(dying).await;
                let second = cx.monitor(dying).await;
                cx.send(dying, String::from("out")).await.unwrap();
                for monitor in [first, second] {
                    let down: Down = cx.expect().await;
                    assert_eq!((down.monitor, down.process), (monitor, dying));
                    assert_eq!(down.reason, ExitReason::Panic("out".into()));
                }
                let late = cx.monitor(dying).await;
                let down: Down = cx.expect().await;
                assert_eq!((down.monitor, down.reason), (late, ExitReason::NoProcess));
                let nowhere = Pid { node: NodeId(9), ..dying };
                cx.monitor(nowhere).await;
                let down: Down = cx.expect().await;
                assert!(matches!(down.reason, ExitReason::NoConnection(_)));
                assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None);
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_process_is_ended_from_outside() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let idle = b
            .spawn("idle", |cx| async move {
                cx.expect::<String>().await;
            })
            .unwrap();
        a.run("killer", move |cx| async move {
            cx.monitor(idle).await;
            cx.kill(idle, "enough").await;
            assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Killed("enough".into()));
        })
        .await
        .unwrap();
    });
}

/// A message whose destructor panics.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Explosive", version = 1)]
struct Explosive(u64);

impl Drop for Explosive {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the destructor of {}", self.0);
    }
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Give", version = 1)]
struct Give(SendPort<Explosive>);

#[test]
fn a_destructor_that_panics_ends_nobody_else() {
    simulate(|world| async move {
        let node = world.node("a").await;
        let of_node = node.clone();
        node.run("scenario", move |cx| async move {
            // Unreceived in the mailbox, unreceived in a port, and in the hands of who is ended.
            for case in 0..3 {
                let me = cx.me();
                let target = of_node.spawn("target", move |cx| async move {
                    let (send, _receive) = cx.channel::<Explosive>();
                    let mine = (case == 2).then(|| Explosive(0));
                    cx.send(me, Give(send)).await.unwrap();
                    std::future::pending::<()>().await;
                    drop(mine);
                });
                let target = target.unwrap();
                let Give(port) = cx.expect().await;
                for n in 1..4 {
                    match case {
                        0 => cx.send(target, Explosive(n)).await.unwrap(),
                        1 => cx.send_port(&port, Explosive(n)).await.unwrap(),
                        _ => {}
                    }
                }
                cx.monitor(target).await;
                let caller = of_node.spawn("caller", move |cx| async move {
                    let refused = cx.call::<u64, u64>(target, 1, 5 * SECOND).await.unwrap_err();
                    cx.send(me, refused.to_string()).await.unwrap();
                });
                caller.unwrap();
                cx.expect_timeout::<()>(QUIET).await;
                cx.kill(target, "enough").await;
                let down = cx.expect_timeout::<Down>(SECOND).await.unwrap();
                assert_eq!(down.reason, ExitReason::Killed("enough".into()), "{case}");
                let refused = cx.expect_timeout::<String>(SECOND).await.unwrap();
                assert!(refused.contains("enough"), "{case}: {refused}");
            }
        })
        .await
        .unwrap();
        // The runners live: every process gets its turn.
        for n in 0..32 {
            assert_eq!(node.run("later", move |_| async move { n }).await, Some(n));
        }
    });
}

#[test]
fn a_function_that_panics_before_it_has_a_future_leaves_nothing() {
    simulate(|world| async move {
        let node = world.node_with("a", Limits { processes: 4, ..Limits::default() }).await;
        for _ in 0..8 {
            let spawning = std::panic::AssertUnwindSafe(|| {
                node.spawn("panics", |_| -> std::future::Ready<()> { panic!("as told") })
            });
            std::panic::catch_unwind(spawning).unwrap_err();
        }
        assert_eq!(node.process_count(), 0);
        assert_eq!(node.run("child", |_| async { 1 }).await, Some(1));
        // Of another's children, too; its own end is the panic.
        for _ in 0..8 {
            let told = node.run("parent", |cx| async move {
                cx.spawn_link("panics", |_| -> std::future::Ready<()> { panic!("as told") })
            });
            assert!(told.await.is_none());
        }
        // The last parent's cell goes after its answer.
        until(&node, || node.process_count() == 0).await;
    });
}
