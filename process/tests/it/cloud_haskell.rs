//! Cases of Cloud Haskell's suites that stand nowhere else; `docs/cloud-haskell.md` lists all.

use std::time::Duration;

use midflight_process::managed::{Managed, Request, ServerRef};
use midflight_process::message::{Message, SendPort};
use midflight_process::{Context, Down, ExitReason, Function};
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
