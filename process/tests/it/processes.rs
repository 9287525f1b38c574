//! Processes on one node and two: spawn, send, receive, names, monitors.

use std::time::Duration;

use futures_util::future::{Either, select};
use midflight_process::message::Message;
use midflight_process::{Down, ExitReason, NodeId, Pid, Received};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, run, simulate, took};

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
