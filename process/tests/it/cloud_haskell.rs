//! Cases of Cloud Haskell's suites that stand nowhere else; `docs/cloud-haskell.md` lists all.

use std::time::Duration;

use midflight_process::managed::{Managed, Request, ServerRef};
use midflight_process::message::{Message, SendPort};
use midflight_process::{
    CallOnError, Channel, Context, Down, ExitReason, Function, Process, ReceivePort, SpawnOnError,
    SpawnOptions,
};
use serde::{Deserialize, Serialize};

use super::world::simulate;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Introduce", version = 1)]
struct Introduce(SendPort<Double>);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Double", version = 1)]
struct Double {
    number: u64,
    answer: SendPort<u64>,
}

impl Request for Double {
    type Reply = ();
}

/// Where to tell a port that is to be made.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Introduction", version = 1)]
struct Introduction(SendPort<Introduce>);

const DOUBLER: Function<Introduction> = Function::new("test.doubler");

async fn doubler(cx: Context, Introduction(to): Introduction) {
    let (port, mut asked) = cx.channel();
    cx.send_port(&to, Introduce(port)).await.unwrap();
    loop {
        let Double { number, answer } = asked.receive().await;
        cx.send_port(&answer, number * 2).await.unwrap();
    }
}

#[test]
fn what_is_sent_to_the_dead_harms_nobody() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            let echo = there.spawn("echo", |cx| async move {
                loop {
                    let received = cx.receive_one::<u64>().await;
                    received.reply_to.unwrap().reply(received.message);
                }
            });
            let echo = echo.unwrap();
            let (dead, untouched) = (there.spawn("dead", |_| async {}), a.clone());
            let dead = dead.unwrap();
            a.run("watcher", move |cx| async move {
                cx.monitor(dead).await;
                cx.expect::<Down>().await;
            })
            .await
            .unwrap();
            // The first that this process, or any, has ever sent to it.
            a.run("sender", move |cx| async move {
                let watched = cx.monitor(echo).await;
                for n in 0..10_u64 {
                    let _ = cx.send(dead, n).await;
                    assert_eq!(cx.call::<_, u64>(echo, n, SECOND).await.unwrap(), n);
                }
                assert!(cx.demonitor(watched), "nothing has happened to the other");
            })
            .await
            .unwrap();
            assert!(untouched.process(dead).is_none());
        }
    });
}

#[test]
fn a_spawned_process_answers_by_a_port_from_its_argument() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            there.functions().register(&DOUBLER, doubler).unwrap();
            a.run("spawner", move |cx| async move {
                // Two at a time: each has its own port, and nothing is left in the mailbox.
                let mut doublers = Vec::new();
                for _ in 0..2 {
                    let (introduced, mut introductions) = cx.channel();
                    let argument = Introduction(introduced);
                    let pid = cx.spawn_on(there.id(), DOUBLER, argument).await.unwrap();
                    let Introduce(port) = introductions.receive().await;
                    assert_eq!(port.owner(), pid);
                    doublers.push(port);
                }
                let (answer, mut answers) = cx.channel();
                for (number, port) in doublers.iter().enumerate() {
                    let number = number as u64 + 20;
                    cx.send_port(port, Double { number, answer }).await.unwrap();
                    assert_eq!(answers.receive_timeout(SECOND).await, Some(number * 2));
                    cx.kill(port.owner(), "done").await;
                }
                let rest = cx.receive().any(|message| message).timeout(Duration::ZERO).await;
                assert!(rest.is_none());
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_request_carries_the_port_for_its_answers() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            let server = Managed::new().call_async(|_: &mut (), request: Double, server| {
                Box::pin(async move {
                    for times in 1..=3 {
                        let answer = request.number * times;
                        server.cx().send_port(&request.answer, answer).await.unwrap();
                    }
                })
            });
            let server: ServerRef = server.start(&there, |_| Ok(())).await.unwrap().into();
            a.run("client", move |cx| async move {
                let (answer, mut answers) = cx.channel();
                server.call(&cx, Double { number: 7, answer }).await.unwrap();
                // Values and reply are in one order: the values are there before the reply.
                for expected in [7, 14, 21] {
                    assert_eq!(answers.receive_timeout(Duration::ZERO).await, Some(expected));
                }
                assert_eq!(answers.receive_timeout(Duration::ZERO).await, None);
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn reasons_are_told_in_words() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            a.run("watcher", move |cx| async move {
                for (reason, words) in [
                    (ExitReason::Error("out of paper".into()), "error: out of paper"),
                    (ExitReason::Shutdown, "shutdown"),
                ] {
                    let idle = there.spawn("idle", |cx| async move { cx.expect::<()>().await });
                    let idle = idle.unwrap();
                    cx.monitor(idle).await;
                    cx.exit(idle, reason.clone()).await;
                    let told = cx.expect::<Down>().await.reason;
                    assert_eq!((told.to_string().as_str(), &told), (words, &reason));
                }
            })
            .await
            .unwrap();
        }
    });
}

/// Adds to each number its argument, and tells the sum to the port that came with the number.
const ADDER: Function<u64, Channel<Double>> = Function::new("test.adder");

async fn adder(cx: Context, addend: u64, mut asked: ReceivePort<Double>) {
    loop {
        let Double { number, answer } = asked.receive().await;
        cx.send_port(&answer, number + addend).await.unwrap();
    }
}

#[test]
fn a_spawned_process_has_a_channel_whose_sending_end_comes_back() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            there.functions().register_channel(&ADDER, adder).unwrap();
            a.run("spawner", move |cx| async move {
                let on = there.id();
                let (answer, mut answers) = cx.channel();
                // Two at a time: each has its own port, and nothing is left in the mailbox.
                let one = cx.spawn_channel_on(on, ADDER, 1).await.unwrap();
                let options = SpawnOptions::new().monitored().named("two");
                let (spawned, two) = cx.spawn_channel_on_with(on, ADDER, 2, options).await.unwrap();
                assert_eq!((spawned.pid, two.owner().node), (two.owner(), on));
                assert_eq!(there.whereis("two"), Some(two.owner()));
                for (port, sum) in [(one, 21), (two, 22)] {
                    cx.send_port(&port, Double { number: 20, answer }).await.unwrap();
                    assert_eq!(answers.receive_timeout(SECOND).await, Some(sum));
                }
                // The port can be watched: it ends with its process.
                let watched = cx.monitor_port(&two).await;
                cx.kill(two.owner(), "done").await;
                let mut downs =
                    [cx.expect::<Down>().await.monitor, cx.expect::<Down>().await.monitor];
                downs.sort();
                let mut monitors = [spawned.monitor.unwrap(), watched];
                monitors.sort();
                assert_eq!(downs, monitors);
                // Without asking for the channel nobody has it, and it runs all the same.
                let alone = cx.spawn_on(on, ADDER, 3).await.unwrap();
                assert!(there.process(alone).is_some());
                let rest = cx.receive().any(|message| message).timeout(Duration::ZERO).await;
                assert!(rest.is_none());
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_channel_for_something_else_is_an_error_at_the_spawner() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            const PLAIN: Function<u64, Process> = Function::new("test.plain");
            there.functions().register_channel(&ADDER, adder).unwrap();
            there.functions().register(&PLAIN, |_, _| async {}).unwrap();
            a.run("spawner", move |cx| async move {
                let on = there.id();
                let other: Function<u64, Channel<String>> = Function::new("test.adder");
                let other = cx.spawn_channel_on(on, other, 1).await.unwrap_err();
                let SpawnOnError::Channel { takes, .. } = &other else { panic!("{other}") };
                assert_eq!(takes.as_deref(), Some("test.Double"));
                let none: Function<u64, Channel<String>> = Function::new("test.plain");
                let none = cx.spawn_channel_on(on, none, 1).await.unwrap_err();
                assert!(matches!(&none, SpawnOnError::Channel { takes: None, .. }), "{none}");
                let missing: Function<u64, Channel<String>> = Function::new("test.missing");
                let missing = cx.spawn_channel_on(on, missing, 1).await.unwrap_err();
                assert!(matches!(missing, SpawnOnError::NoFunction { .. }), "{missing}");
                // What has a channel answers no calls.
                let called: Function<u64, u64> = Function::new("test.adder");
                let called = cx.call_on(on, called, 1, SECOND).await.unwrap_err();
                let CallOnError::NotSpawned(called) = called else { panic!("{called}") };
                assert!(matches!(called, SpawnOnError::NotCallable { .. }), "{called}");
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_local_process_has_a_channel_before_it_runs() {
    simulate(|world| async move {
        let node = world.node("a").await;
        node.clone()
            .run("spawner", move |cx| async move {
                let (answer, mut answers) = cx.channel();
                let adder = node.spawn_channel("adder", |cx, asked| adder(cx, 5, asked)).unwrap();
                cx.try_send_port(&adder, Double { number: 20, answer }).unwrap();
                assert_eq!(answers.receive_timeout(SECOND).await, Some(25));
            })
            .await
            .unwrap();
    });
}

/// How many are to be told of, and where.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.CountTo", version = 1)]
struct CountTo(u64, SendPort<u64>);

#[test]
fn a_request_is_answered_in_parts_and_control_goes_before_messages() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            let server = Managed::new().cast(|pace: &mut u64, CountTo(count, port), server| {
                for number in 1..=count {
                    server.cx().try_send_port(&port, number * *pace).unwrap();
                }
            });
            let (tell, told) = futures_channel::oneshot::channel();
            let server = server.start(&there, move |server| {
                let port = server.control(|pace: &mut u64, value: u64, server| {
                    assert_eq!(server.from(), None);
                    *pace = value;
                });
                let _ = tell.send(port.unwrap());
                // Both are there before anything is handled.
                server.hibernate(SECOND / 2);
                Ok(1)
            });
            let server = ServerRef::from(server.await.unwrap());
            let control = told.await.unwrap();
            a.run("client", move |cx| async move {
                let mut counts = server.call_chan(&cx, |port| CountTo(3, port)).await.unwrap();
                cx.send_port(&control, 10).await.unwrap();
                for expected in [10, 20, 30] {
                    assert_eq!(counts.receive_timeout(SECOND).await, Some(expected));
                }
                // Nothing waits: it is handled as it comes.
                cx.send_port(&control, 2).await.unwrap();
                let mut counts = server.call_chan(&cx, |port| CountTo(1, port)).await.unwrap();
                assert_eq!(counts.receive_timeout(SECOND).await, Some(2));
            })
            .await
            .unwrap();
        }
    });
}
