//! At most once, and loss is told (P3).

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{
    CallError, Disconnected, Node, NodeId, Pid, ReconnectPolicy, SendError, Status, TrySendError,
    WaitKind,
};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Seen", version = 1)]
struct Seen(Vec<u64>);

/// A process that notes the numbers it gets, and tells whoever asks.
fn notes(node: &Node) -> Pid {
    let notes = node.spawn("notes", |cx| async move {
        let mut seen = Vec::new();
        loop {
            let number =
                cx.receive().on(|received: midflight_process::Received<u64>| Ok(received.message));
            let next =
                number.on(|received: midflight_process::Received<()>| Err(received.reply_to));
            match next.forever().await {
                Ok(number) => seen.push(number),
                Err(reply_to) => reply_to.unwrap().reply(Seen(seen.clone())),
            }
        }
    });
    notes.unwrap()
}

#[test]
fn after_a_break_a_sender_is_told_once_and_sends_no_more_until_it_reconnects() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (notes, other) = (notes(&b), notes(&b));
        a.run("sender", move |cx| async move {
            cx.send(notes, 1_u64).await.unwrap();
            cx.call::<_, Seen>(notes, (), SECOND).await.unwrap();
            assert!(!cx.reconnect(notes), "nothing is lost yet");
            assert!(cx.node().disconnect(b.id()));
            let told: Disconnected = cx.expect_timeout(SECOND).await.unwrap();
            assert_eq!(told.node, b.id());
            // Neither to that receiver nor to another one there, …
            for to in [notes, other] {
                let sent = cx.send(to, 2_u64).await;
                assert!(matches!(sent, Err(SendError::Disconnected(pid)) if pid == to));
                assert!(matches!(cx.try_send(to, 2_u64), Err(TrySendError::Disconnected(2))));
                let called = cx.call::<_, Seen>(to, (), SECOND).await;
                assert!(matches!(called, Err(CallError::NotSent(SendError::Disconnected(_)))));
            }
            // … also over a link that others have made.
            cx.node().connect_node(b.id()).await.unwrap();
            assert!(matches!(cx.try_send(notes, 2_u64), Err(TrySendError::Disconnected(2))));
            assert_eq!(cx.expect_timeout::<Disconnected>(QUIET).await, None, "told twice");
            // Whoever had sent nothing is not concerned.
            let fresh =
                cx.node().run("fresh", move |cx| async move { cx.send(other, 7_u64).await });
            fresh.await.unwrap().unwrap();
            assert!(cx.reconnect(notes) && !cx.reconnect(b.id()));
            cx.send(notes, 3_u64).await.unwrap();
            let Seen(seen) = cx.call(notes, (), SECOND).await.unwrap();
            assert_eq!(seen, [1, 3]);
            // And so it is told of the next loss.
            assert!(cx.node().disconnect(b.id()));
            assert!(cx.expect_timeout::<Disconnected>(SECOND).await.is_some());
        })
        .await
        .unwrap();
    });
}

#[test]
fn who_accepts_losses_is_not_told_and_goes_on() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let notes = notes(&b);
        let node = a.clone();
        a.run("sender", move |cx| async move {
            assert_eq!(cx.reconnect_policy(ReconnectPolicy::Accept), ReconnectPolicy::Ask);
            for number in 0..5_u64 {
                cx.send(notes, number).await.unwrap();
                cx.call::<_, Seen>(notes, (), SECOND).await.unwrap();
                assert!(cx.node().disconnect(b.id()));
                until(cx.node(), || cx.node().accepted_losses() == number + 1).await;
            }
            let Seen(seen) = cx.call(notes, (), SECOND).await.unwrap();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
            assert_eq!(cx.expect_timeout::<Disconnected>(QUIET).await, None);
            assert_eq!(cx.node().accepted_losses(), 5);
            // Accepting holds for a loss from before, too.
            cx.reconnect_policy(ReconnectPolicy::Ask);
            cx.send(notes, 5_u64).await.unwrap();
            assert!(cx.node().disconnect(b.id()));
            cx.expect_timeout::<Disconnected>(SECOND).await.unwrap();
            assert!(cx.send(notes, 6_u64).await.is_err());
            cx.reconnect_policy(ReconnectPolicy::Accept);
            cx.send(notes, 6_u64).await.unwrap();
        })
        .await
        .unwrap();
        assert_eq!(node.accepted_losses(), 5);
    });
}

/// Whether a process has dealt with all that has come.
fn is_done(node: &Node, pid: Pid) -> bool {
    let info = node.process(pid).unwrap();
    let receives = info.waits.iter().all(|wait| wait.kind == WaitKind::Message);
    info.mailbox == 0 && info.status == Status::Waiting && receives
}

#[test]
fn what_is_forwarded_over_breaks_arrives_in_order_with_gaps() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let notes = notes(&b);
        let clerk = a.spawn("clerk", move |cx| async move {
            cx.reconnect_policy(ReconnectPolicy::Accept);
            loop {
                let any = cx.receive().any(|any| any).forever().await;
                any.forward(&cx, notes).await.unwrap();
            }
        });
        let clerk = clerk.unwrap();
        a.run("customer", move |cx| async move {
            for number in 0..50_u64 {
                cx.node().disconnect(b.id());
                // Others may have made another link already; the clerk has lost the one that it used.
                until(cx.node(), || cx.node().accepted_losses() == number).await;
                cx.send(clerk, number).await.unwrap();
                until(cx.node(), || is_done(cx.node(), clerk)).await;
            }
            // Behind them all, and without a break: what is asked arrives last.
            let Seen(seen) = cx.call(clerk, (), SECOND).await.unwrap();
            assert!(!seen.is_empty() && seen.is_sorted(), "{seen:?}");
            assert_eq!(seen.last(), Some(&49), "nothing has broken since: {seen:?}");
        })
        .await
        .unwrap();
    });
}

#[test]
fn calls_are_told_of_their_own_end_and_signals_need_no_reconnect() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let notes = notes(&b);
        a.run("caller", move |cx| async move {
            cx.call::<_, Seen>(notes, (), SECOND).await.unwrap();
            assert!(cx.node().disconnect(b.id()));
            assert_eq!(cx.expect_timeout::<Disconnected>(QUIET).await, None, "it only called");
            cx.call::<_, Seen>(notes, (), SECOND).await.unwrap();
            cx.send(notes, 1_u64).await.unwrap();
            assert!(cx.node().disconnect(b.id()));
            cx.expect_timeout::<Disconnected>(SECOND).await.unwrap();
            // Monitors and exit signals pass, as they say themselves what becomes of them.
            cx.monitor(notes).await;
            cx.kill(notes, "enough").await;
            let down: midflight_process::Down = cx.expect_timeout(SECOND).await.unwrap();
            let killed = midflight_process::ExitReason::Killed("enough".into());
            assert_eq!(down.reason, killed);
        })
        .await
        .unwrap();
    });
}

/// Breaks at any moment: what arrives is, between two losses that the sender was told of, a part without
/// gap of what it sent, and nothing twice.
#[test]
fn what_arrives_has_gaps_only_where_a_loss_was_told() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let notes = notes(&b);
        let breaker = a.clone();
        let node = b.id();
        a.spawn("breaker", move |cx| async move {
            for _ in 0..8 {
                cx.sleep(Duration::from_micros(700)).await;
                breaker.disconnect(node);
            }
        })
        .unwrap();
        a.run("sender", move |cx| async move {
            // Numbers of one thousand are of one part: with the next loss the next begins.
            let (mut part, mut number) = (0_u64, 0_u64);
            for _ in 0..400 {
                match cx.send(notes, part * 1_000 + number).await {
                    Ok(()) => number += 1,
                    Err(SendError::Disconnected(_)) => {
                        let told = cx.expect_timeout::<Disconnected>(SECOND).await;
                        assert!(told.is_some(), "refused before it was told");
                        cx.reconnect(node);
                        (part, number) = (part + 1, 0);
                    }
                    Err(error) => panic!("{error}"),
                }
                cx.sleep(Duration::from_micros(20)).await;
            }
            cx.sleep(SECOND).await;
            cx.reconnect_policy(ReconnectPolicy::Accept);
            let Seen(seen) = cx.call(notes, (), SECOND).await.unwrap();
            assert!(part > 0, "nothing was lost");
            for pair in seen.windows(2) {
                let next = pair[0] + 1 == pair[1];
                let next_part = pair[0] / 1_000 < pair[1] / 1_000 && pair[1] % 1_000 == 0;
                assert!(next || next_part, "{pair:?}");
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_node_that_was_never_met_is_out_of_reach_and_not_lost() {
    simulate(|world| async move {
        let a = world.node("a").await;
        a.run("sender", |cx| async move {
            let nowhere = Pid { node: NodeId(9), ..cx.me() };
            let sent = cx.send(nowhere, 1_u64).await;
            assert!(matches!(sent, Err(SendError::Unreachable { .. })));
            assert!(!cx.reconnect(nowhere));
        })
        .await
        .unwrap();
    });
}
