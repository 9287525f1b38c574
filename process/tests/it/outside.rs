//! Sending and calling by code that is no process.

use std::time::Duration;

use midflight_process::{CallError, Limits, Refusal, SendError};

use crate::world::{World, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_program_sends_and_calls_here_and_there_by_pid_and_by_name() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for node in [&a, &b] {
            let sums = node.spawn("sums", |cx| async move {
                let mut sum = 0;
                loop {
                    let received = cx.receive_one::<u64>().await;
                    sum = sum * 10 + received.message;
                    if let Some(reply_to) = received.reply_to {
                        reply_to.reply(sum);
                    }
                }
            });
            let sums = sums.unwrap();
            node.register("sums", sums).unwrap();
            // One after the other, they keep their order.
            for digit in 1..=5_u64 {
                a.send(sums, digit).await.unwrap();
            }
            a.send(("sums", node.id()), 6_u64).await.unwrap();
            world.runtime.sleep(SECOND).await;
            let sum: u64 = a.call(("sums", node.id()), 7_u64, SECOND).await.unwrap();
            assert_eq!(sum, 1_234_567);

            let nobody = a.send(("nobody", node.id()), 1_u64).await.unwrap_err();
            assert!(matches!(nobody, SendError::NoName { .. }), "{nobody}");
            node.kill(sums, "enough");
            world.runtime.sleep(SECOND).await;
            let gone = a.call::<_, u64>(sums, 1_u64, SECOND).await.unwrap_err();
            assert!(matches!(gone, CallError::Refused { .. }), "{gone}");
            a.send(sums, 1_u64).await.unwrap();
        }
    });
}

#[test]
fn a_program_waits_for_room_and_for_links_and_not_for_ever() {
    simulate(|world| async move {
        let limits = Limits { mailbox_messages: 2, window_messages: 2, ..Limits::default() };
        let a = world.node_with("a", limits.clone()).await;
        let b = world.node_with("b", limits).await;
        a.connect(&World::address("b")).await.unwrap();
        for node in [&a, &b] {
            let slow = node.spawn("slow", |cx| async move {
                for number in 0..4_u64 {
                    cx.sleep(2 * SECOND).await;
                    assert_eq!(cx.expect::<u64>().await, number);
                }
                cx.sleep(100 * SECOND).await;
            });
            let slow = slow.unwrap();
            let began = world.runtime.now();
            for number in 0..4_u64 {
                a.send(slow, number).await.unwrap();
            }
            assert!(world.runtime.now().since(began) >= 2 * SECOND, "it waits for room");
            world.runtime.sleep(20 * SECOND).await;
            let mut overloaded = None;
            for number in 0..9_u64 {
                if let Err(error) = a.send(slow, number).await {
                    overloaded = Some(error);
                    break;
                }
            }
            assert!(matches!(overloaded, Some(SendError::Overloaded(_))), "{overloaded:?}");
            let late = a.call::<_, u64>(slow, 1_u64, SECOND).await.unwrap_err();
            assert!(matches!(late, CallError::TimedOut { after: SECOND, .. }), "{late}");
        }

        // The link is made when it is not there, and what cannot be reached is said.
        a.disconnect(b.id());
        until(&a, || a.peers().is_empty()).await;
        let echo = b.spawn("echo", |cx| async move {
            let received = cx.receive_one::<u64>().await;
            received.reply_to.unwrap().reply(received.message);
        });
        let echo = echo.unwrap();
        assert_eq!(a.call::<_, u64>(echo, 5_u64, SECOND).await.unwrap(), 5);
        b.shutdown().await;
        world.runtime.sleep(SECOND).await;
        let gone = a.send(echo, 1_u64).await.unwrap_err();
        assert!(matches!(gone, SendError::Unreachable { .. }), "{gone}");
        a.shutdown().await;
        let closed = a.call::<_, u64>(a_pid(&a), 1_u64, SECOND).await.unwrap_err();
        assert!(matches!(closed, CallError::NotSent(SendError::Spawn(_))), "{closed}");
    });
}

/// A pid of the node's that nobody has.
fn a_pid(node: &midflight_process::Node) -> midflight_process::Pid {
    midflight_process::Pid { node: node.id(), index: 0, generation: 0 }
}

#[test]
fn a_call_that_was_sent_and_is_ended_by_a_shutdown_is_not_called_unsent() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let deaf = b.spawn("deaf", |cx| async move { cx.sleep(100 * SECOND).await }).unwrap();
        let calling = a.call::<_, u64>(deaf, 1_u64, 60 * SECOND);
        let closing = async {
            world.runtime.sleep(SECOND).await;
            a.shutdown().await;
        };
        let (ended, ()) = futures_util::join!(calling, closing);
        let aborted = |refusal: &Refusal| matches!(refusal, Refusal::Aborted { .. });
        assert!(
            matches!(&ended, Err(CallError::Refused { refusal, .. }) if aborted(refusal)),
            "{ended:?}"
        );
        let unsent = a.call::<_, u64>(deaf, 1_u64, SECOND).await.unwrap_err();
        assert!(matches!(unsent, CallError::NotSent(SendError::Spawn(_))), "{unsent}");
    });
}
