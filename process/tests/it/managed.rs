//! Managed processes: calls, casts and everything else, priorities, filters, ends.

use std::time::Duration;

use midflight_process::managed::{
    Managed, Reply, Request, ServerRef, TooManyTimers, Unhandled, Verdict,
};
use midflight_process::message::Message;
use midflight_process::supervisor::{Child, NoStart, Strategy, Supervisor};
use midflight_process::{
    CallError, Context, Down, ExitReason, Exited, Node, Pid, Refusal, SendError, Undelivered,
};
use serde::{Deserialize, Serialize};

use super::scene::scenario;
use super::world::{took, until};

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(100);

macro_rules! messages {
    ($($name:literal: $message:item)*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
        #[message(name = $name, version = 1)]
        $message
    )*};
}

messages! {
    "test.Add": struct Add(u64);
    "test.Total": struct Total;
    "test.Reset": struct Reset;
    "test.Divide": struct Divide(i64, i64);
    "test.Quotient": struct Quotient(Result<i64, String>);
    "test.Later": struct Later(String);
    "test.Flush": struct Flush;
    "test.Crash": struct Crash;
    "test.Slow": struct Slow;
    "test.Stop": struct Stop;
    "test.Log": struct Log;
    "test.Lines": struct Lines(Vec<String>);
    "test.Unknown": struct Unknown;
}

macro_rules! requests {
    ($($request:ty => $reply:ty),* $(,)?) => {$(
        impl Request for $request {
            type Reply = $reply;
        }
    )*};
}

requests! {
    Add => u64, Total => u64, Divide => Quotient, Later => String, Slow => u64, Log => Lines,
    Unknown => u64, Crash => u64,
}

#[derive(Default)]
struct Counter {
    total: u64,
    waiting: Vec<(String, Reply<String>)>,
    lines: Vec<String>,
}

/// Answers in every way there is.
fn counter() -> Managed<Counter> {
    Managed::new()
        .call(|counter: &mut Counter, Add(n), server| {
            counter.total += n;
            if counter.total > 100 {
                server.stop(ExitReason::Error("the limit".into()));
            }
            counter.total
        })
        .call(|counter, _: Total, _| counter.total)
        .call(|_, Divide(a, b), _| Quotient(a.checked_div(b).ok_or_else(|| "by zero".to_owned())))
        .call_deferred(|counter, Later(text), reply, _| match text.as_str() {
            "never" => reply.reject("not that"),
            "dropped" => drop(reply),
            _ => counter.waiting.push((text, reply)),
        })
        .call(|_, _: Crash, _| panic!("as told"))
        .call_async(|counter, _: Slow, server| {
            Box::pin(async move {
                counter.total += 1;
                server.cx().sleep(SECOND).await;
                counter.total += 1;
                counter.total
            })
        })
        .call(|counter, _: Log, _| Lines(counter.lines.clone()))
        .cast(|counter, _: Reset, _| counter.total = 0)
        .cast(|counter, _: Flush, _| {
            for (text, reply) in counter.waiting.drain(..) {
                reply.send(format!("late {text}"));
            }
        })
        .cast(|_, _: Stop, server| server.stop(ExitReason::Normal))
        .cast(|counter, text: String, _| counter.lines.push(text))
}

async fn start(definition: Managed<Counter>, node: &Node) -> (ServerRef, Pid) {
    let pid = definition.start(node, |_| Ok(Counter::default())).await.unwrap();
    (pid.into(), pid)
}

/// Why there was no answer.
fn refusal<T: std::fmt::Debug>(result: Result<T, CallError>) -> Refusal {
    match result.unwrap_err() {
        CallError::Refused { refusal, .. } => refusal,
        other => panic!("{other:?}"),
    }
}

fn aborted<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    match refusal(result) {
        Refusal::Aborted { reason } => reason,
        other => panic!("{other:?}"),
    }
}

async fn reason(cx: &Context, of: Pid) -> ExitReason {
    let monitor = cx.monitor(of).await;
    loop {
        let down: Down = cx.expect().await;
        if down.monitor == monitor {
            return down.reason;
        }
    }
}

#[test]
fn calls_and_casts_by_pid_and_by_name_here_and_afar() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let (by_pid, pid) = start(counter().register("counter"), &node).await;
            let by_name = if node.id() == cx.node().id() {
                ServerRef::from("counter")
            } else {
                ServerRef::from(("counter", node.id()))
            };
            assert_eq!(by_name.resolve(&cx).await.unwrap(), pid);
            for server in [by_pid, by_name.clone()] {
                server.cast(&cx, Reset).await.unwrap();
                assert_eq!(server.call(&cx, Add(2)).await.unwrap(), 2);
                assert_eq!(server.call_timeout(&cx, Add(3), SECOND).await.unwrap(), 5);
                assert_eq!(server.try_call(&cx, Total).await, Some(5));
                let ten = server.call(&cx, Divide(100, 10)).await.unwrap();
                assert_eq!(ten, Quotient(Ok(10)));
                let none = server.call(&cx, Divide(1, 0)).await.unwrap();
                assert_eq!(none, Quotient(Err("by zero".into())));
            }
            // Whoever asks for another type of answer is told, and nobody comes to harm.
            let wrong = cx.call::<Total, String>(pid, Total, SECOND).await.unwrap_err();
            assert!(matches!(wrong, CallError::Unreadable { .. }), "{wrong}");

            by_name.cast(&cx, Stop).await.unwrap();
            reason(&cx, pid).await;
            let gone = by_name.call(&cx, Total).await.unwrap_err();
            assert!(matches!(gone, CallError::NotSent(SendError::NoName { .. })), "{gone}");
            assert_eq!(ServerRef::from(pid).try_call(&cx, Total).await, None);
        }
    });
}

#[test]
fn replies_come_later_or_never() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let (server, pid) = start(counter(), &node).await;
            let (asking, me) = (server.clone(), cx.me());
            cx.spawn("caller", move |cx| async move {
                let answer = asking.call(&cx, Later("text".into())).await.unwrap();
                cx.send(me, answer).await.unwrap();
            })
            .unwrap();
            // It is not held up by a call that is not answered yet.
            assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 1);
            assert_eq!(cx.expect_timeout::<String>(SECOND).await, None);
            server.cast(&cx, Flush).await.unwrap();
            assert_eq!(cx.expect::<String>().await, "late text");

            let why = aborted(server.call(&cx, Later("never".into())).await);
            assert_eq!(why, "rejected: not that");
            let why = aborted(server.call(&cx, Later("dropped".into())).await);
            assert!(why.contains("without a reply"), "{why}");

            // A caller that has waited long enough goes on; the answer is dropped.
            let late = server.call_timeout(&cx, Later("too late".into()), SECOND).await;
            assert!(matches!(late, Err(CallError::TimedOut { .. })));
            server.cast(&cx, Flush).await.unwrap();
            assert_eq!(server.call(&cx, Total).await.unwrap(), 1);

            // A server that ends, ends the calls that it keeps.
            let asking = server.clone();
            let caller = cx.spawn("caller", move |cx| async move {
                let why = aborted(asking.call(&cx, Later("x".into())).await);
                cx.send(me, why).await.unwrap();
            });
            caller.unwrap();
            cx.sleep(SECOND).await;
            cx.kill(pid, "a test").await;
            cx.expect::<String>().await;
        }
    });
}

#[test]
fn a_handler_that_waits_is_not_interrupted() {
    scenario(|cx, _| async move {
        let definition = counter().terminate(|counter, _, server| {
            let to = server.from();
            assert_eq!(to, None);
            assert!(counter.total % 2 == 0, "the state is whole");
        });
        let (server, pid) = start(definition, cx.node()).await;
        let (asking, me, began) = (server.clone(), cx.me(), cx.now());
        cx.spawn("caller", move |cx| async move {
            let answer = asking.call(&cx, Slow).await.unwrap();
            cx.send(me, answer).await.unwrap();
        })
        .unwrap();
        cx.sleep(SOON).await;
        cx.send(pid, String::from("after")).await.unwrap();
        cx.exit(pid, ExitReason::Error("now".into())).await;
        assert_eq!(reason(&cx, pid).await, ExitReason::Error("now".into()));
        assert!(took(cx.now().since(began), SECOND));
        assert_eq!(cx.expect::<u64>().await, 2, "the call was answered first");

        // A kill does not wait, and its caller is told.
        let (server, pid) = start(counter(), cx.node()).await;
        cx.spawn("caller", move |cx| async move {
            let why = aborted(server.call(&cx, Slow).await);
            cx.send(me, why).await.unwrap();
        })
        .unwrap();
        cx.sleep(SOON).await;
        cx.kill(pid, "a test").await;
        assert!(matches!(reason(&cx, pid).await, ExitReason::Killed(_)));
        cx.expect::<String>().await;
    });
}

#[test]
fn messages_without_a_handler() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other.clone()] {
            // Refused: both are told.
            let (server, pid) = start(counter(), &node).await;
            let why = refusal(server.call(&cx, Unknown).await);
            let Refusal::NotAccepted { type_name, accepts, .. } = why else { panic!("{why:?}") };
            assert_eq!(type_name, "test.Unknown");
            assert!(accepts.contains(&String::from("test.Add")));
            server.cast(&cx, Unknown).await.unwrap();
            assert_eq!(cx.expect::<Undelivered>().await.to, pid);
            assert_eq!(node.dead_letters().len(), 2);
            // A call where a cast is expected is none, and the other way round.
            let call = cx.call::<Reset, ()>(pid, Reset, SECOND).await;
            assert!(matches!(call, Err(CallError::Refused { .. })));
            cx.send(pid, Total).await.unwrap();
            cx.expect::<Undelivered>().await;
            assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 1, "and it goes on");

            let (server, pid) = start(counter().unhandled(Unhandled::Terminate), &node).await;
            let called = server.call(&cx, Unknown).await;
            assert!(matches!(refusal(called), Refusal::Aborted { .. }));
            let end = reason(&cx, pid).await;
            assert!(matches!(end, ExitReason::NoProcess | ExitReason::Error(_)), "{end}");

            let (server, _) = start(counter().unhandled(Unhandled::Drop), &node).await;
            server.cast(&cx, Unknown).await.unwrap();
            assert!(aborted(server.call(&cx, Unknown).await).contains("without a reply"));
            assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 1);

            let definition = counter().unhandled(Unhandled::DeadLetter(cx.me()));
            let (server, _) = start(definition, &node).await;
            server.cast(&cx, Unknown).await.unwrap();
            assert_eq!(cx.expect_timeout(SECOND).await, Some(Unknown));
        }
    });
}

#[test]
fn a_hibernating_process_handles_nothing_and_loses_nothing() {
    scenario(|cx, _| async move {
        let definition = counter().cast(|_, _: Unknown, server| server.hibernate(3 * SECOND));
        let (server, pid) = start(definition, cx.node()).await;
        let before = cx.now();
        server.cast(&cx, Unknown).await.unwrap();
        let late = server.call_timeout(&cx, Add(1), SECOND).await;
        assert!(matches!(late, Err(CallError::TimedOut { .. })));
        assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 2);
        assert!(took(cx.now().since(before), 3 * SECOND));

        // A signal that changes nothing does not wake it for good.
        let before = cx.now();
        server.cast(&cx, Unknown).await.unwrap();
        cx.sleep(SOON).await;
        cx.exit(pid, ExitReason::Normal).await;
        assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 3);
        assert!(took(cx.now().since(before), 3 * SECOND));

        // Exit signals are not slept through.
        server.cast(&cx, Unknown).await.unwrap();
        cx.sleep(SOON).await;
        let before = cx.now();
        cx.exit(pid, ExitReason::Normal).await;
        cx.exit(pid, ExitReason::Shutdown).await;
        assert_eq!(reason(&cx, pid).await, ExitReason::Shutdown);
        assert!(cx.now().since(before) < 2 * SECOND);
    });
}

#[test]
fn exit_signals_are_handled_by_their_reason() {
    scenario(|cx, _| async move {
        let error = |text: &str| ExitReason::Error(text.into());
        // Without a handler: as any process, but that it sees its end.
        let me = cx.me();
        let definition = counter().terminate(move |_, why, server| {
            server.cx().try_send(me, format!("{why}")).unwrap();
        });
        let (server, pid) = start(definition, cx.node()).await;
        cx.exit(pid, ExitReason::Normal).await;
        assert_eq!(server.call(&cx, Total).await.unwrap(), 0);
        cx.exit(pid, error("x")).await;
        assert_eq!(cx.expect::<String>().await, "error: x");

        let definition = counter().on_exit(|counter, exited, server| match exited.reason {
            ExitReason::Error(text) if text == "fatal" => {
                server.stop(ExitReason::Error("it was fatal".into()));
            }
            reason => counter.lines.push(reason.to_string()),
        });
        let (server, pid) = start(definition, cx.node()).await;
        cx.exit(pid, error("harmless")).await;
        cx.exit(pid, ExitReason::Shutdown).await;
        let lines = server.call(&cx, Log).await.unwrap().0;
        assert_eq!(lines, ["error: harmless", "shutdown"]);
        cx.exit(pid, error("fatal")).await;
        let end = reason(&cx, pid).await;
        assert!(end == error("it was fatal") || end == ExitReason::NoProcess, "{end}");

        // The parent's signals end it, whatever its handler thinks.
        let parent = cx.spawn("parent", move |cx| async move {
            let child = counter().on_exit(|_, _, _| {});
            let child = child.start_link(&cx, |_| Ok(Counter::default())).await.unwrap();
            cx.send(me, child.to_string()).await.unwrap();
            cx.expect::<()>().await;
        });
        let child: Pid = cx.expect::<String>().await.parse().unwrap();
        cx.monitor(child).await;
        cx.exit(parent.unwrap(), error("parent")).await;
        assert_eq!(cx.expect::<Down>().await.reason, error("parent"));
    });
}

/// Ending others is what a signal does, and takes a role of its own; a message that looks like one is a
/// message.
#[test]
fn a_message_that_says_exited_ends_nobody() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let counter = || counter().cast(|_, _: Unknown, server| server.hibernate(SECOND));
            let handles = counter()
                .on_exit(|counter, exited, _| counter.lines.push(exited.reason.to_string()));
            for definition in [counter(), handles] {
                let (server, pid) = start(definition, &node).await;
                let exited = || Exited { from: cx.me(), reason: ExitReason::Error("said".into()) };
                cx.send(pid, exited()).await.unwrap();
                assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 1);
                server.cast(&cx, Unknown).await.unwrap();
                cx.send(pid, exited()).await.unwrap();
                assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 2);
                assert!(server.call(&cx, Log).await.unwrap().0.is_empty(), "no signal was handled");
                cx.exit(pid, ExitReason::Shutdown).await;
            }
            assert_eq!(
                node.dead_letters().len(),
                4,
                "refused and kept; only notices are not told of"
            );
            // Who wants such messages takes them as it takes others.
            let definition = counter().info(|counter: &mut Counter, exited: Exited, _| {
                counter.lines.push(exited.reason.to_string());
            });
            let (server, pid) = start(definition, &node).await;
            cx.send(pid, Exited { from: pid, reason: ExitReason::Normal }).await.unwrap();
            assert_eq!(server.call(&cx, Log).await.unwrap().0, ["normal"]);
        }
    });
}

#[test]
fn the_idle_time_out_and_other_timers() {
    scenario(|cx, _| async move {
        let definition =
            || counter().cast(|_, _: Unknown, server| server.idle_timeout(Some(SECOND)));
        let (server, pid) = start(definition(), cx.node()).await;
        cx.monitor(pid).await;
        server.cast(&cx, Unknown).await.unwrap();
        let mut before = cx.now();
        for _ in 0..5 {
            cx.sleep(SECOND / 4).await;
            before = cx.now();
            server.call(&cx, Total).await.unwrap();
        }
        let down: Down = cx.expect().await;
        assert!(matches!(down.reason, ExitReason::Error(_)));
        assert!(took(cx.now().since(before), SECOND));

        let handled = definition().on_timeout(|counter, server| {
            counter.total += 1;
            if counter.total == 3 {
                server.stop(ExitReason::Normal);
            }
        });
        let (server, pid) = start(handled, cx.node()).await;
        let before = cx.now();
        server.cast(&cx, Unknown).await.unwrap();
        cx.sleep(SOON).await;
        assert_eq!(reason(&cx, pid).await, ExitReason::Normal);
        assert!(took(cx.now().since(before), 3 * SECOND));

        // Timers go off between messages, in order of time, however busy it is.
        let timed = counter().cast(|_, _: Unknown, server| {
            for (seconds, text) in [(3, "third"), (1, "first"), (2, "second")] {
                let line = move |counter: &mut Counter, _: &mut _| counter.lines.push(text.into());
                server.continue_after(seconds * SECOND, line).unwrap();
            }
            let now = |counter: &mut Counter, _: &mut _| counter.lines.push("at once".into());
            server.continue_with(now).unwrap();
        });
        let (server, _) = start(timed, cx.node()).await;
        server.cast(&cx, Unknown).await.unwrap();
        for _ in 0..40 {
            server.cast(&cx, String::from(".")).await.unwrap();
            cx.sleep(SOON).await;
        }
        let mut lines = server.call(&cx, Log).await.unwrap().0;
        assert_eq!(lines[0], "at once");
        lines.retain(|line| line != ".");
        assert_eq!(lines, ["at once", "first", "second", "third"]);

        let greedy = counter().call(|_, _: Unknown, server| {
            let set = (0..10_000).take_while(|_| server.continue_after(SECOND, |_, _| {}).is_ok());
            let count = set.count() as u64;
            assert_eq!(server.continue_after(SECOND, |_, _| {}), Err(TooManyTimers));
            count
        });
        let (server, _) = start(greedy, cx.node()).await;
        assert_eq!(server.call(&cx, Unknown).await.unwrap(), 4_096);
    });
}

#[test]
fn what_is_urgent_comes_first() {
    scenario(|cx, _| async move {
        // While it sleeps, everything comes; then the longest text, and a call before all.
        let definition = Managed::new()
            .cast(|_: &mut Counter, _: Unknown, server| server.hibernate(3 * SECOND))
            .cast(|counter, text: String, _| counter.lines.push(text))
            .info(|counter, n: u64, _| counter.lines.push(n.to_string()))
            .call(|counter, _: Log, _| Lines(counter.lines.clone()))
            .prioritise(|text: &String| i32::try_from(text.len()).unwrap())
            .prioritise(|_: &u64| 2)
            .prioritise_calls(-1);
        let (server, _) = start(definition, cx.node()).await;
        server.cast(&cx, Unknown).await.unwrap();
        cx.sleep(SOON).await;
        let me = cx.me();
        let asking = server.clone();
        cx.spawn("caller", move |cx| async move {
            let lines = asking.call(&cx, Log).await.unwrap();
            cx.send(me, lines).await.unwrap();
        })
        .unwrap();
        cx.sleep(SOON).await;
        for text in ["a", "bb", "a2", "ccc", "b"] {
            server.cast(&cx, String::from(text)).await.unwrap();
        }
        cx.send(server.resolve(&cx).await.unwrap(), 7_u64).await.unwrap();
        let Lines(lines) = cx.expect().await;
        assert_eq!(lines, ["ccc", "bb", "a2", "7", "a", "b"]);
    });
}

#[test]
fn a_flood_does_not_drown_a_call() {
    scenario(|cx, other| async move {
        let slow = |counter: &mut Counter, _: String, _: &mut _| counter.total += 1;
        let definition = |backlog| {
            Managed::new()
                .cast(slow)
                .cast_async(|_, _: Unknown, server| Box::pin(server.cx().sleep(3 * SECOND)))
                .call(|counter: &mut Counter, _: Total, _| counter.total)
                .prioritise_calls(10)
                .backlog(backlog)
        };
        let flood = |server: ServerRef| {
            move |cx: Context| async move {
                server.cast(&cx, Unknown).await.unwrap();
                for _ in 0..900 {
                    server.cast(&cx, String::from("drop")).await.unwrap();
                }
                cx.sleep(SOON).await;
                server.call(&cx, Total).await.unwrap()
            }
        };
        for node in [cx.node().clone(), other] {
            // All of it is taken in before the first is handled: the call comes first.
            let (server, _) = start(definition(1_000), &node).await;
            let handled = cx.node().run("flood", flood(server)).await.unwrap();
            assert_eq!(handled, 0);
            // With a bound, it waits for what is before it in the mailbox, and not for more.
            let (server, _) = start(definition(100), &node).await;
            let handled = cx.node().run("flood", flood(server.clone())).await.unwrap();
            assert!((700..900).contains(&handled), "{handled}");
            assert_eq!(server.call(&cx, Total).await.unwrap(), 900);
        }
    });
}

#[test]
fn filters_look_first() {
    scenario(|cx, _| async move {
        let definition = counter()
            .filter(|counter, text: &String| {
                counter.total += 1;
                if text.is_empty() { Verdict::Reject("empty".into()) } else { Verdict::Pass }
            })
            .filter(|_, Later(text): &Later| match text.as_str() {
                "" => Verdict::Reject("empty".into()),
                "stop" => Verdict::Stop(ExitReason::Error("a filter".into())),
                _ => Verdict::Pass,
            })
            .filter_all(|counter, is_call| {
                if is_call && counter.total > 2 {
                    return Verdict::Reject("enough".into());
                }
                Verdict::Pass
            });
        let (server, pid) = start(definition, cx.node()).await;
        for text in ["", "one"] {
            server.cast(&cx, String::from(text)).await.unwrap();
        }
        assert_eq!(server.call(&cx, Log).await.unwrap().0, ["one"]);
        assert_eq!(server.call(&cx, Total).await.unwrap(), 2, "a filter keeps what it likes");
        assert_eq!(aborted(server.call(&cx, Later(String::new())).await), "rejected: empty");
        server.cast(&cx, String::from("three")).await.unwrap();
        assert_eq!(aborted(server.call(&cx, Total).await), "rejected: enough");
        cx.monitor(pid).await;
        server.call(&cx, Later("stop".into())).await.unwrap_err();
        assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Error("a filter".into()));
    });
}

#[test]
fn a_definition_is_exchanged_and_the_rest_stays() {
    scenario(|cx, _| async move {
        let other = || {
            Managed::new()
                .call(|counter: &mut Counter, _: Later, _| format!("it was {}", counter.total))
                .cast(|_, _: Unknown, server| server.become_defined_by(counter()))
        };
        let first = counter().cast(move |_, _: Unknown, server| server.become_defined_by(other()));
        let (server, pid) = start(first.register("the name"), cx.node()).await;
        assert_eq!(server.call(&cx, Add(7)).await.unwrap(), 7);
        server.cast(&cx, Unknown).await.unwrap();
        assert!(matches!(refusal(server.call(&cx, Add(7)).await), Refusal::NotAccepted { .. }));
        assert_eq!(server.call(&cx, Later(String::new())).await.unwrap(), "it was 7");
        server.cast(&cx, Unknown).await.unwrap();
        assert_eq!(server.call(&cx, Add(1)).await.unwrap(), 8);
        assert_eq!(ServerRef::from("the name").resolve(&cx).await.unwrap(), pid);
    });
}

#[test]
fn the_end_is_seen_whatever_it_is() {
    scenario(|cx, _| async move {
        let me = cx.me();
        let definition = || {
            counter().terminate_async(move |counter, why, server| {
                Box::pin(async move {
                    server.cx().sleep(SECOND).await;
                    let last = format!("{} {why}", counter.total);
                    server.cx().send(me, last).await.unwrap();
                })
            })
        };
        let (server, pid) = start(definition(), cx.node()).await;
        server.call(&cx, Add(3)).await.unwrap();
        server.cast(&cx, Stop).await.unwrap();
        assert_eq!(cx.expect::<String>().await, "3 normal");
        assert!(matches!(reason(&cx, pid).await, ExitReason::Normal | ExitReason::NoProcess));

        let (server, pid) = start(definition(), cx.node()).await;
        cx.monitor(pid).await;
        assert_eq!(server.call(&cx, Add(101)).await.unwrap(), 101, "the last answer is given");
        assert_eq!(cx.expect::<String>().await, "101 error: the limit");
        assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Error("the limit".into()));

        let (server, pid) = start(definition(), cx.node()).await;
        cx.monitor(pid).await;
        assert!(matches!(refusal(server.call(&cx, Crash).await), Refusal::Aborted { .. }));
        assert_eq!(cx.expect::<String>().await, "0 panic: as told");
        assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Panic("as told".into()));

        let (_, pid) = start(definition(), cx.node()).await;
        cx.kill(pid, "a test").await;
        assert_eq!(cx.expect_timeout::<String>(2 * SECOND).await, None);

        let panics = counter().terminate(|_, _, _| panic!("in the end"));
        let (server, pid) = start(panics, cx.node()).await;
        cx.monitor(pid).await;
        server.cast(&cx, Stop).await.unwrap();
        assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Normal);
    });
}

#[test]
fn a_start_waits_for_the_state() {
    scenario(|cx, _| async move {
        let node = cx.node().clone();
        let started = counter().start(&node, |server| {
            server
                .continue_with_async(|counter, server| {
                    Box::pin(async move {
                        server.cx().sleep(SECOND).await;
                        counter.total = 40;
                    })
                })
                .unwrap();
            Ok(Counter { total: 1, ..Counter::default() })
        });
        let server = ServerRef::from(started.await.unwrap());
        assert_eq!(server.call(&cx, Add(2)).await.unwrap(), 42, "before any message");

        let ignored = counter().start(&node, |_| Err(NoStart::Ignore)).await;
        assert_eq!(ignored, Err(NoStart::Ignore));
        let failed = counter().start(&node, |_| Err(NoStart::failed("no"))).await;
        assert_eq!(failed, Err(NoStart::Failed("no".into())));
        let panicked = counter().start(&node, |_| panic!("at once")).await;
        assert!(matches!(panicked, Err(NoStart::Failed(why)) if why.contains("at once")));
        let taken = || counter().register("x").start(&node, |_| Ok(Counter::default()));
        taken().await.unwrap();
        assert!(matches!(taken().await, Err(NoStart::Failed(why)) if why.contains("taken")));
    });
}

#[test]
fn a_supervised_one_comes_back_with_its_first_state() {
    scenario(|cx, _| async move {
        let child = |id: &'static str| {
            let define = move || counter().register(id);
            Child::managed(id, define, |_| Ok(Counter { total: 5, ..Counter::default() }))
        };
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(child("left"))
            .child(child("right"))
            .start(cx.node())
            .await
            .unwrap();
        let (left, right) = (ServerRef::from("left"), ServerRef::from("right"));
        assert_eq!(left.call(&cx, Add(1)).await.unwrap(), 6);
        assert_eq!(right.call(&cx, Add(1)).await.unwrap(), 6);
        let first = cx.node().whereis("left");
        left.call(&cx, Crash).await.unwrap_err();
        until(cx.node(), || cx.node().whereis("left").is_some_and(|pid| Some(pid) != first)).await;
        assert_eq!(left.call(&cx, Total).await.unwrap(), 5);
        assert_eq!(right.call(&cx, Total).await.unwrap(), 6);
        let failing = Child::managed("bad", counter, |_| Err(NoStart::failed("no")));
        assert!(supervisor.start_child(&cx, failing).await.is_err());
        assert_eq!(supervisor.shut_down(&cx).await.unwrap(), ExitReason::Shutdown);
        assert_eq!(cx.node().whereis("right"), None);
    });
}
