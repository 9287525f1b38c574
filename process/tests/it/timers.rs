//! What waits for a time, and timers that processes set.

use std::time::Duration;

use midflight_process::managed::Managed;
use midflight_process::message::Message;
use midflight_process::{
    CallError, Context, Down, ExitReason, Limits, Received, ReconnectPolicy, TimerError, TimerRef,
};
use midflight_runtime::Instant;
use serde::{Deserialize, Serialize};

use super::scene::scenario;
use super::world::{SLACK, simulate, took, until};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A message that says which timer it is from.
#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "test.Expired", version = 1)]
struct Expired {
    timer: TimerRef,
}

// To the nanosecond, and after hours.
simulated! {
#[test]
fn waits_end_at_their_very_time_and_in_its_order() {
    simulate(|world| async move {
        let node = world.node("a").await;
        let all = node.run("all", |cx| async move {
            let (me, began) = (cx.me(), cx.now());
            // In an order of their own, a nanosecond apart, and some of them minutes.
            let after = |n: u64| HOUR + Duration::from_nanos(n) + HOUR * u32::try_from(n % 3).unwrap();
            for n in (0..50_u64).map(|n| n * 37 % 50) {
                let wait = move |cx: Context| async move {
                    match n % 2 {
                        0 => cx.sleep(after(n)).await,
                        _ => assert_eq!(cx.expect_timeout::<u64>(after(n)).await, None),
                    }
                    assert_eq!(cx.now().since(began), after(n));
                    cx.send(me, n).await.unwrap();
                };
                cx.spawn("waits", wait).unwrap();
            }
            let mut last = Duration::ZERO;
            for _ in 0..50 {
                let n: u64 = cx.expect().await;
                assert!(after(n) > last, "{n} came too late");
                last = after(n);
            }
        });
        all.await.unwrap();
    });
}
}

#[test]
fn a_call_ends_at_its_deadline_and_an_earlier_wait_does_not_put_it_off() {
    scenario(|cx, _| async move {
        let deaf = cx.spawn("deaf", |_| std::future::pending::<()>()).unwrap();
        let began = cx.now();
        let call = cx.call::<u64, u64>(deaf, 1, SECOND);
        let waits = async {
            for _ in 0..10 {
                cx.sleep(SECOND / 100).await;
            }
        };
        let (called, ()) = futures_util::join!(call, waits);
        assert!(matches!(called, Err(CallError::TimedOut { .. })));
        assert!(took(cx.now().since(began), SECOND));
    });
}

/// Waits for a number, which should come after so long.
async fn comes(cx: &Context, began: Instant, number: u64, after: Duration) {
    assert_eq!(cx.expect::<u64>().await, number);
    let passed = cx.now().since(began);
    assert!(took(passed, after), "{number} came after {passed:?}, not {after:?}");
}

#[test]
fn a_message_says_which_timer_it_is_from_and_any_process_may_cancel() {
    scenario(|cx, other| async move {
        let me = cx.me();
        let first = cx.start_timer(SECOND, me, |timer| Expired { timer }).unwrap();
        let second = cx.start_timer(SECOND, me, |timer| Expired { timer }).unwrap();
        assert_ne!(first, second);
        // As if it had just come when it was cancelled.
        let stale = cx.receive().on_if(move |e: &Expired| e.timer == second, |e| e.message.timer);
        assert_eq!(stale.forever().await, second);
        assert_eq!(cx.expect::<Expired>().await, Expired { timer: first });
        let third = cx.start_timer(5 * SECOND, me, |timer| Expired { timer }).unwrap();
        let cancel = move |cx: Context| async move { cx.cancel_timer(third) };
        assert_eq!(other.run("elsewhere", cancel).await.unwrap(), None, "it means nothing there");
        let left = cx.node().run("here", cancel).await.unwrap();
        assert!(left.is_some_and(|left| left <= 5 * SECOND), "{left:?}");
        assert_eq!(cx.expect_timeout::<Expired>(6 * SECOND).await, None);
    });
}

#[test]
fn a_timer_ends_with_whom_it_is_for_and_not_with_who_set_it() {
    scenario(|cx, _| async move {
        let (me, began) = (cx.me(), cx.now());
        let after = 5 * SECOND;
        let sets = move |cx: Context| async move { cx.send_after(after, me, 7_u64).unwrap() };
        let timer = cx.node().run("sets", sets).await.unwrap();
        assert!(cx.read_timer(timer).is_some_and(|left| left <= after));
        let received: Received<u64> = cx.receive_one().await;
        assert!(took(cx.now().since(began), after));
        assert_eq!((received.message, received.from), (7, None), "who set it has ended");

        let (mortal, monitor) = cx
            .spawn_monitor("mortal", |cx| async move {
                cx.expect::<()>().await;
            })
            .unwrap();
        let timers = [
            cx.send_after(MINUTE, mortal, 1_u64).unwrap(),
            cx.send_interval(MINUTE, mortal, 1_u64).unwrap(),
            cx.exit_after(MINUTE, mortal, ExitReason::Normal).unwrap(),
        ];
        assert_eq!(cx.node().process(me).unwrap().timers, 3);
        cx.send(mortal, ()).await.unwrap();
        assert_eq!(cx.expect::<Down>().await.monitor, monitor);
        assert!(timers.into_iter().all(|timer| cx.cancel_timer(timer).is_none()));
        assert_eq!(cx.node().process(me).unwrap().timers, 0);
        let late = cx.send_after(SECOND, mortal, 1_u64).unwrap();
        assert_eq!(cx.cancel_timer(late), None, "it had ended before");
        assert_eq!(cx.node().process(me).unwrap().timers, 0);
    });
}

#[test]
fn exit_signals_and_kills_come_after_a_while_wherever_the_process_is() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let began = cx.now();
            let spawn = |traps| {
                let endless = move |cx: Context| async move {
                    cx.trap_exits(traps);
                    std::future::pending::<()>().await;
                };
                node.spawn("endless", endless).unwrap()
            };
            let (mortal, tough) = (spawn(false), spawn(true));
            cx.monitor(mortal).await;
            cx.monitor(tough).await;
            let reason = ExitReason::Error("time is up".into());
            cx.exit_after(SECOND, mortal, reason.clone()).unwrap();
            cx.exit_after(SECOND, tough, reason.clone()).unwrap();
            cx.kill_after(2 * SECOND, tough, "now").unwrap();
            let spared = cx.kill_after(MINUTE, cx.me(), "not me").unwrap();
            let down: Down = cx.expect().await;
            assert_eq!((down.process, down.reason), (mortal, reason));
            let passed = cx.now().since(began);
            assert!(passed >= SECOND && passed < 2 * SECOND * SLACK, "{passed:?}");
            let down: Down = cx.expect().await;
            assert_eq!((down.process, down.reason), (tough, ExitReason::Killed("now".into())));
            assert!(cx.now().since(began) >= 2 * SECOND);
            assert!(cx.cancel_timer(spared).is_some());
            assert_eq!(cx.node().process(cx.me()).unwrap().timers, 0, "none is counted any more");
        }
    });
}

#[test]
fn timers_are_bounded_for_a_process_and_for_the_node() {
    simulate(|world| async move {
        let limits = Limits { timers_per_process: 3, timers: 5, ..Limits::default() };
        let node = world.node_with("a", limits).await;
        let all = node.run("sets", |cx| async move {
            let me = cx.me();
            let set = |cx: &Context| cx.send_after(MINUTE, me, 1_u64);
            let timers: Vec<_> = (0..3).map(|_| set(&cx).unwrap()).collect();
            assert_eq!(set(&cx), Err(TimerError::TooMany));
            assert_eq!(cx.send_interval(MINUTE, me, 1_u64), Err(TimerError::TooMany));
            let other = move |cx: Context| async move {
                let set = || cx.send_after(MINUTE, me, 1_u64);
                (0..3).map(|_| set()).collect::<Vec<_>>()
            };
            let others = cx.node().run("too", other).await.unwrap();
            assert!(others[..2].iter().all(Result::is_ok));
            assert_eq!(others[2], Err(TimerError::NodeFull));
            // Each makes room again: cancelled, expired, ended with its process.
            cx.cancel_timer(timers[0]);
            assert!(cx.reset_timer(timers[1], SECOND));
            cx.expect::<u64>().await;
            let own = [set(&cx).unwrap(), set(&cx).unwrap()];
            assert_eq!(set(&cx), Err(TimerError::NodeFull), "two of the other's are there still");
            own
        });
        let own = all.await.unwrap();
        let more = node.run("more", move |cx| async move {
            // They end after its answer.
            until(cx.node(), || own.iter().all(|timer| cx.read_timer(*timer).is_none())).await;
            (0..3).map(|_| cx.send_after(MINUTE, "nobody", 1_u64)).all(|set| set.is_ok())
        });
        assert!(more.await.unwrap());
    });
}

#[test]
fn a_timer_for_another_node_makes_the_link() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let waits = b.spawn("waits", |cx| async move {
            cx.reconnect_policy(ReconnectPolicy::Accept);
            for _ in 0..3 {
                let received = cx.receive_one::<u64>().await;
                cx.send(received.from.unwrap(), received.message).await.unwrap();
            }
        });
        let waits = waits.unwrap();
        let sets = a.run("sets", move |cx| async move {
            cx.reconnect_policy(ReconnectPolicy::Accept);
            cx.send_after(SECOND, waits, 1_u64).unwrap();
            assert_eq!(cx.expect::<u64>().await, 1);
            assert!(cx.node().disconnect(waits.node));
            cx.send_after(SECOND, waits, 2_u64).unwrap();
            assert_eq!(cx.expect::<u64>().await, 2);
            assert!(cx.node().disconnect(waits.node));
            let ticks = cx.send_interval(SECOND, waits, 3_u64).unwrap();
            assert_eq!(cx.expect::<u64>().await, 3);
            assert!(cx.cancel_timer(ticks).is_some(), "it does not know of that end");
        });
        sets.await.unwrap();
    });
}

#[test]
fn a_managed_process_sets_timers_in_its_handlers() {
    scenario(|cx, _| async move {
        let (me, began) = (cx.me(), cx.now());
        let definition = Managed::new().cast(move |_: &mut (), n: u64, server| {
            let cx = server.cx();
            cx.try_send(me, n).unwrap();
            if n == 1 {
                cx.send_after(SECOND, cx.me(), 2_u64).unwrap();
            }
        });
        let server = definition.start(cx.node(), |_| Ok(())).await.unwrap();
        cx.send(server, 1_u64).await.unwrap();
        assert_eq!(cx.expect::<u64>().await, 1);
        comes(&cx, began, 2, SECOND).await;
    });
}

// Between setting a timer and touching it again no time passes here; elsewhere a busy machine would take what the
// cases count on.
simulated! {
async fn nothing(cx: &Context, within: Duration) {
    assert_eq!(cx.expect_timeout::<u64>(within).await, None);
}

#[test]
fn a_timer_sends_at_its_time_and_is_read_reset_and_cancelled() {
    scenario(|cx, _| async move {
        let (me, began) = (cx.me(), cx.now());
        for n in [3, 1, 2, 1] {
            cx.send_after(n * SECOND, me, u64::from(n)).unwrap();
        }
        assert_eq!(cx.node().process(me).unwrap().timers, 4);
        for n in [1, 1, 2, 3] {
            comes(&cx, began, u64::from(n), n * SECOND).await;
        }
        let began = cx.now();
        let timer = cx.send_after(3 * SECOND, me, 1_u64).unwrap();
        let other = cx.send_after(2 * SECOND, me, 2_u64).unwrap();
        nothing(&cx, SECOND).await;
        assert_eq!(cx.read_timer(timer), Some(2 * SECOND));
        assert_eq!(cx.cancel_timer(other), Some(SECOND));
        assert_eq!((cx.cancel_timer(other), cx.read_timer(other)), (None, None));
        assert!(!cx.reset_timer(other, SECOND), "it is cancelled");
        assert!(cx.reset_timer(timer, 5 * SECOND));
        comes(&cx, began, 1, 6 * SECOND).await;
        assert!(
            cx.cancel_timer(timer).is_none() && !cx.reset_timer(timer, SECOND),
            "it has expired"
        );
        assert_eq!(cx.node().process(me).unwrap().timers, 0);
        nothing(&cx, MINUTE).await;
    });
}

#[test]
fn a_name_is_looked_up_when_the_timer_expires() {
    scenario(|cx, _| async move {
        let began = cx.now();
        for (seconds, n) in [(1, 1_u64), (2, 2), (4, 3)] {
            cx.send_after(seconds * SECOND, "later", n).unwrap();
        }
        // Nobody has it when the first expires.
        nothing(&cx, SECOND + SECOND / 2).await;
        cx.register("later").unwrap();
        comes(&cx, began, 2, 2 * SECOND).await;
        let me = cx.me();
        let heir = |cx: Context| async move {
            let n: u64 = cx.expect().await;
            cx.send(me, n + 10).await.unwrap();
        };
        let heir = cx.spawn("heir", heir).unwrap();
        cx.node().reregister("later", heir).unwrap();
        comes(&cx, began, 13, 4 * SECOND).await;
    });
}

#[test]
fn ticks_come_every_period_until_they_are_cancelled_or_who_set_them_ends() {
    scenario(|cx, _| async move {
        let (me, began) = (cx.me(), cx.now());
        let ticks = cx.send_interval(SECOND, me, 5_u64).unwrap();
        for n in 1..=10 {
            comes(&cx, began, 5, n * SECOND).await;
        }
        assert_eq!(cx.read_timer(ticks), Some(SECOND));
        assert_eq!(cx.node().process(me).unwrap().timers, 1);
        // The next at another time, and from then on as before.
        assert!(cx.reset_timer(ticks, 3 * SECOND));
        comes(&cx, began, 5, 13 * SECOND).await;
        comes(&cx, began, 5, 14 * SECOND).await;
        assert_eq!(cx.cancel_timer(ticks), Some(SECOND));
        nothing(&cx, MINUTE).await;

        cx.register("drum").unwrap();
        let drums = |cx: Context| async move {
            cx.send_interval(SECOND, "drum", 6_u64).unwrap();
            cx.sleep(SECOND * 5 / 2).await;
        };
        cx.spawn("drummer", drums).unwrap();
        let began = cx.now();
        comes(&cx, began, 6, SECOND).await;
        comes(&cx, began, 6, 2 * SECOND).await;
        nothing(&cx, MINUTE).await;
    });
}

#[test]
fn its_own_timers_find_room_in_a_full_mailbox_and_those_of_others_wait_for_it() {
    simulate(|world| async move {
        let limits = Limits { mailbox_messages: 2, ..Limits::default() };
        let node = world.node_with("a", limits).await;
        let full = node.run("full", |cx| async move {
            let (me, began) = (cx.me(), cx.now());
            let others = move |cx: Context| async move {
                cx.send(me, 1_u64).await.unwrap();
                cx.send(me, 2_u64).await.unwrap();
                cx.send_after(SECOND, me, 3_u64).unwrap();
                cx.send_interval(SECOND, me, 4_u64).unwrap();
                cx.sleep(3 * SECOND + SECOND / 2).await;
            };
            cx.spawn("others", others).unwrap();
            cx.send_after(SECOND, me, String::from("own")).unwrap();
            cx.expect::<String>().await;
            assert_eq!(cx.now().since(began), SECOND);
            cx.sleep(SECOND * 3 / 2).await;
            // What waited has room with the first, and from then on ticks have, too.
            let mut seen = Vec::new();
            while let Some(n) = cx.expect_timeout::<u64>(2 * SECOND).await {
                seen.push(n);
            }
            seen.sort_unstable();
            assert_eq!(seen, [1, 2, 3, 4]);
        });
        full.await.unwrap();
    });
}
}
