//! Requests whose replies are waited for apart, several at once, and calls of several nodes.

use std::time::Duration;

use midflight_process::managed::{Managed, Request, ServerRef, multi_call};
use midflight_process::message::Message;
use midflight_process::{
    CallError, Context, Limits, Node, NodeId, PendingReplies, PendingReply, Pid, ProcessRef,
    Protocol, Refusal, SendError, Takes,
};
use serde::{Deserialize, Serialize};

use super::scene::scenario;
use super::world::{QUIET, World, simulate, took};

const SECOND: Duration = Duration::from_secs(1);

/// Answers `n` with `n`, after `n` milliseconds and not before all with less.
fn late(node: &Node) -> Pid {
    node.spawn("late", |cx| async move {
        loop {
            let received = cx.receive_one::<u64>().await;
            cx.sleep(Duration::from_millis(received.message)).await;
            received.reply_to.unwrap().reply(received.message);
        }
    })
    .unwrap()
}

async fn ask(cx: &Context, to: Pid, after: u64, timeout: Duration) -> PendingReply<u64> {
    cx.send_request(to, after, timeout).await.unwrap()
}

#[test]
fn a_request_is_sent_before_its_reply_is_waited_for() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let (left, right) = (late(&node), late(&node));
            let before = cx.now();
            let one = ask(&cx, left, 300, SECOND).await;
            let two = ask(&cx, right, 300, SECOND).await;
            assert_eq!((one.to(), two.to()), (left, right));
            // In another order than they were sent in; both were at work meanwhile.
            assert_eq!((two.await.unwrap(), one.await.unwrap()), (300, 300));
            let passed = cx.now().since(before);
            assert!(passed < Duration::from_millis(600), "{passed:?}");
        }
    });
}

#[test]
fn a_reply_is_waited_for_in_parts_and_until_the_deadline_of_its_request() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let late = late(&node);
            let mut asked = ask(&cx, late, 300, SECOND).await;
            assert!(asked.wait_timeout(Duration::ZERO).await.is_none());
            assert!(asked.wait_timeout(Duration::from_millis(100)).await.is_none());
            assert_eq!(asked.wait_timeout(SECOND).await.unwrap().unwrap(), 300);

            // It lies there for whoever looks.
            let mut asked = ask(&cx, late, 1, SECOND).await;
            cx.sleep(QUIET / 2).await;
            assert_eq!(asked.wait_timeout(Duration::ZERO).await.unwrap().unwrap(), 1);

            // The time has run since it was sent.
            let before = cx.now();
            let asked = ask(&cx, late, 900, SECOND / 2).await;
            cx.sleep(SECOND / 4).await;
            let timed_out = asked.await.unwrap_err();
            assert!(matches!(timed_out, CallError::TimedOut { to, .. } if to == late));
            assert!(took(cx.now().since(before), SECOND / 2));
        }
    });
}

#[test]
fn the_time_of_a_call_runs_while_it_waits_for_room() {
    simulate(|world| async move {
        let limits = Limits { mailbox_messages: 1, window_messages: 1, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        for node in [a.clone(), b] {
            let (full, is_full) = futures_channel::oneshot::channel();
            let deaf = node.spawn("deaf", |cx| async move {
                is_full.await.unwrap();
                cx.sleep(SECOND / 2).await;
                cx.expect::<()>().await;
                std::future::pending::<()>().await;
            });
            let deaf = deaf.unwrap();
            a.run("asks", move |cx| async move {
                cx.try_send(deaf, ()).unwrap();
                full.send(()).unwrap();
                let before = cx.now();
                let called = cx.call::<u64, u64>(deaf, 1, SECOND).await;
                assert!(matches!(called, Err(CallError::TimedOut { .. })), "{called:?}");
                let passed = cx.now().since(before);
                assert!(took(passed, SECOND), "{passed:?}");
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_reply_that_nobody_waits_for_goes_nowhere() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let late = late(&node);
            drop(ask(&cx, late, 50, SECOND).await);
            let _ = ask(&cx, late, 50, SECOND).await.wait_timeout(Duration::ZERO).await;
            assert_eq!(ask(&cx, late, 1, SECOND).await.await.unwrap(), 1);
            assert_eq!(cx.expect_timeout::<u64>(QUIET).await, None);
        }
    });
}

#[test]
fn several_replies_are_taken_as_they_come_or_all_together() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let mut asked = PendingReplies::new();
            assert!(asked.receive().await.is_none());
            for after in [400, 200, 300, 9_000] {
                asked.add(after, ask(&cx, late(&node), after, 3 * SECOND).await);
            }
            let gone = node.spawn("gone", |_| async {}).unwrap();
            let down = cx.monitor(gone).await;
            assert_eq!(cx.expect::<midflight_process::Down>().await.monitor, down);
            asked.add(0, ask(&cx, gone, 1, SECOND).await);
            assert!(asked.receive_timeout(Duration::from_millis(100)).await.is_some_and(
                |(label, why)| {
                    let refused =
                        matches!(why, Err(CallError::Refused { refusal: Refusal::NoProcess, .. }));
                    label == 0 && refused
                }
            ));
            assert!(asked.receive_timeout(Duration::ZERO).await.is_none());
            let (first, reply) = asked.receive().await.unwrap();
            assert_eq!((first, reply.unwrap()), (200, 200));
            assert_eq!(asked.len(), 3);
            let rest = asked.all().await;
            let labels: Vec<_> = rest.iter().map(|(label, _)| *label).collect();
            assert_eq!(labels, [300, 400, 9_000]);
            assert!(rest[..2].iter().all(|(label, reply)| *reply.as_ref().unwrap() == *label));
            assert!(matches!(rest[2].1, Err(CallError::TimedOut { .. })));
        }
    });
}

#[test]
fn many_calls_are_awaited_as_futures_are() {
    scenario(|cx, other| async move {
        let mut asked = Vec::new();
        for after in 0..40 {
            asked.push(ask(&cx, late(&other), after, SECOND).await);
        }
        let replies = futures_util::future::join_all(asked).await;
        let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
        assert_eq!(replies, (0..40).collect::<Vec<u64>>());
    });
}

simulated! {
    #[test]
    fn the_loss_of_a_link_ends_what_was_asked_over_it() {
        scenario(|cx, other| async move {
            let asked = ask(&cx, late(&other), 500, SECOND).await;
            let before = cx.now();
            cx.node().disconnect(other.id());
            let lost = asked.await.unwrap_err();
            assert!(matches!(lost, CallError::Refused { .. }), "{lost}");
            assert!(cx.now().since(before) < SECOND / 4);
        });
    }
}

#[derive(Clone, Serialize, Deserialize, Message)]
#[message(name = "requests.WhoseTurn", version = 1)]
struct WhoseTurn(u64);

impl Request for WhoseTurn {
    type Reply = String;
}

/// Says what it is called, after a time.
async fn answers(node: &Node, name: &'static str, after: u64) {
    let server = Managed::new().call_deferred(move |(), _: WhoseTurn, reply, server| {
        let answer = move |(): &mut (), _: &mut _| reply.send(name.into());
        server.continue_after(Duration::from_millis(after), answer).unwrap();
    });
    server.register("turn").start(node, |_| Ok(())).await.unwrap();
}

#[test]
fn a_call_of_several_nodes_says_who_answered_and_why_the_others_did_not() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (c, d) = (world.node("c").await, world.node("d").await);
        for node in [&c, &d] {
            a.connect(&node.address().unwrap()).await.unwrap();
        }
        answers(&a, "a", 1).await;
        answers(&b, "b", 300).await;
        // Nobody has the name on `c`.
        answers(&d, "d", 9_000).await;
        let nowhere = NodeId(7);
        let nodes = [b.id(), c.id(), a.id(), d.id(), nowhere];
        a.run("asks", move |cx| async move {
            let before = cx.now();
            let all = multi_call(&cx, nodes, "turn", WhoseTurn(1), SECOND).await;
            // One deadline for all.
            assert!(cx.now().since(before) < 2 * SECOND);
            let [b, c, a, d, nowhere] = nodes;
            assert_eq!(all.replies, [(b, String::from("b")), (a, String::from("a"))]);
            let [(on_c, no_name), (on_d, timed_out), (on_nowhere, unknown)] = &all.failures[..]
            else {
                panic!("{:?}", all.failures);
            };
            assert_eq!([*on_c, *on_d, *on_nowhere], [c, d, nowhere]);
            assert!(matches!(no_name, CallError::NotSent(SendError::NoName { .. })), "{no_name}");
            assert!(matches!(timed_out, CallError::TimedOut { .. }), "{timed_out}");
            assert!(matches!(unknown, CallError::NotSent(SendError::Whereis(_))), "{unknown}");
            // Many are as good as few.
            let all = multi_call(&cx, [a; 100], "turn", WhoseTurn(1), SECOND).await;
            assert_eq!((all.replies.len(), all.failures.len()), (100, 0));
            // What `d` answers late is nobody's message.
            assert_eq!(cx.expect_timeout::<String>(QUIET).await, None);
        })
        .await
        .unwrap();
    });
}

/// What the process of a protocol of several messages takes.
enum Turns {}

impl Protocol for Turns {
    const NAME: &'static str = "requests.Turns";
    const VERSION: u32 = 1;
}

impl Takes<WhoseTurn> for Turns {}
impl Takes<u64> for Turns {}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "requests.Started", version = 1)]
struct Started {
    turns: ProcessRef<Turns>,
}

#[test]
fn typed_handles_travel_and_are_sent_to_and_called() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let parent: ProcessRef<Started> = ProcessRef::new(cx.me());
            node.spawn("turns", move |cx| async move {
                cx.send(parent, Started { turns: ProcessRef::new(cx.me()) }).await.unwrap();
                let mut turn = 0;
                loop {
                    let asked = cx
                        .receive()
                        .on(|set: midflight_process::Received<u64>| {
                            turn = set.message;
                            None
                        })
                        .on(|asked: midflight_process::Received<WhoseTurn>| asked.reply_to);
                    if let Some(caller) = asked.forever().await {
                        caller.reply(turn.to_string());
                    }
                }
            })
            .unwrap();
            let Started { turns } = cx.expect().await;
            cx.send(turns, 3_u64).await.unwrap();
            cx.try_send(turns, 4_u64).unwrap();
            let turn: String = cx.call(turns, WhoseTurn(0), SECOND).await.unwrap();
            assert_eq!(turn, "4");
            let server = ServerRef::from(turns);
            server.cast(&cx, 5_u64).await.unwrap();
            assert_eq!(server.call(&cx, WhoseTurn(0)).await.unwrap(), "5");
            let asked = server.send_request(&cx, WhoseTurn(0), SECOND).await.unwrap();
            assert_eq!(asked.await.unwrap(), "5");
        }
    });
}
