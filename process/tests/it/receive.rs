//! Selective receive: clauses, predicates, messages of any type, time-outs. The cases are those of
//! Cloud Haskell's own suite where there is one.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{AnyMessage, CallError, Context, Pid, ReadError, Received, Refusal};
use serde::{Deserialize, Serialize};

use super::processes::{Ping, Pong};
use super::world::{QUIET, run, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "math.Add", version = 1)]
struct Add(Pid, u64, u64);

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "math.Divide", version = 1)]
struct Divide(Pid, u64, u64);

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "math.DivByZero", version = 1)]
struct DivByZero;

/// Adds, and divides where it can: the second clause takes what the first does not want.
async fn math(cx: Context) {
    enum Answer {
        Number(Pid, u64),
        ByZero(Pid),
    }
    loop {
        let request = cx
            .receive()
            .on(|add: Received<Add>| Answer::Number(add.message.0, add.message.1 + add.message.2))
            .on_if(
                |divide: &Divide| divide.2 != 0,
                |Received { message: Divide(from, a, b), .. }| Answer::Number(from, a / b),
            )
            .on(|divide: Received<Divide>| Answer::ByZero(divide.message.0));
        match request.forever().await {
            Answer::Number(from, number) => cx.send(from, number).await.unwrap(),
            Answer::ByZero(from) => cx.send(from, DivByZero).await.unwrap(),
        }
    }
}

#[test]
fn ping_ten_thousand_times() {
    for seed in 0..2 {
        run(seed, |world| async move {
            let (a, b) = world.pair().await;
            let ponger = b.spawn("ponger", |cx| async move {
                loop {
                    let Ping { n, from } = cx.expect().await;
                    cx.send(from, Pong { n }).await.unwrap();
                }
            });
            let ponger = ponger.unwrap();
            let pinger = a.run("pinger", move |cx| async move {
                for n in 0..10_000 {
                    cx.send(ponger, Ping { n, from: cx.me() }).await.unwrap();
                    assert_eq!(cx.expect_timeout::<Pong>(3 * SECOND).await, Some(Pong { n }));
                }
            });
            pinger.await.unwrap();
        });
    }
}

#[test]
fn predicates_choose_between_clauses_in_their_order() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for server in [a.clone(), b] {
            let math = server.spawn("math", math).unwrap();
            a.run("client", move |cx| async move {
                cx.send(math, Add(cx.me(), 1, 2)).await.unwrap();
                assert_eq!(cx.expect::<u64>().await, 3);
                cx.send(math, Divide(cx.me(), 8, 2)).await.unwrap();
                assert_eq!(cx.expect::<u64>().await, 4);
                cx.send(math, Divide(cx.me(), 8, 0)).await.unwrap();
                cx.expect::<DivByZero>().await;
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn zero_finds_the_one_wanted_behind_ten_thousand() {
    for seed in 0..2 {
        run(seed, |world| async move {
            let limits = midflight_process::Limits {
                mailbox_messages: 20_000,
                ..midflight_process::Limits::default()
            };
            let node = world.node_with("a", limits).await;
            node.run("receiver", |cx| async move {
                assert_eq!(cx.expect_timeout::<Add>(QUIET).await, None);
                let me = cx.me();
                for n in 0..10_000_u64 {
                    cx.send(me, n).await.unwrap();
                }
                cx.send(me, Add(me, 1, 2)).await.unwrap();
                // What the process sends itself arrives with its next turn.
                cx.sleep(Duration::from_millis(1)).await;
                assert_eq!(cx.expect_timeout(Duration::ZERO).await, Some(Add(me, 1, 2)));
                assert_eq!(cx.expect_timeout::<Add>(Duration::ZERO).await, None);
                for n in 0..10_000_u64 {
                    assert_eq!(cx.expect::<u64>().await, n);
                }
            })
            .await
            .unwrap();
        });
    }
}

#[test]
fn a_message_is_handled_only_as_its_own_type_and_if_wanted() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let handler = a.spawn("handler", |cx| async move {
            let mut message = cx.receive().any(|message| message).forever().await;
            assert!(message.peek::<String>().is_none(), "another type");
            assert_eq!((&*message.type_name(), message.version()), ("math.Add", 1));
            let Err(ReadError::AnotherType(mut message)) = message.read::<String>(&cx).await else {
                panic!("it was read as a string");
            };
            assert!(message.peek::<Add>().is_some_and(|add| add.1 == 1));
            let add = message.read::<Add>(&cx).await.unwrap();
            cx.send(add.message.0, add.message.1 + add.message.2).await.unwrap();
        });
        let handler = handler.unwrap();
        b.run("client", move |cx| async move {
            cx.send(handler, Add(cx.me(), 1, 2)).await.unwrap();
            assert_eq!(cx.expect::<u64>().await, 3);
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_is_passed_on_arrives_as_it_was_and_its_reply_too() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let server = b.spawn("server", |cx| async move {
            loop {
                let received = cx.receive_one::<String>().await;
                let text = received.message + "!";
                match received.reply_to {
                    Some(caller) => caller.reply(text),
                    None => cx.send(received.from.unwrap(), text).await.unwrap(),
                }
            }
        });
        let math = b.spawn("math", math).unwrap();
        let server = server.unwrap();
        // In front of both, on either node.
        for front in [a.clone(), b.clone()] {
            let relay = front.spawn("relay", move |cx| async move {
                cx.relay(math).await;
            });
            let calls = front.spawn("calls", move |cx| async move {
                cx.relay(server).await;
            });
            let (relay, calls) = (relay.unwrap(), calls.unwrap());
            a.run("client", move |cx| async move {
                cx.send(relay, Add(cx.me(), 1, 2)).await.unwrap();
                assert_eq!(cx.expect::<u64>().await, 3);
                cx.send(relay, Divide(cx.me(), 9, 3)).await.unwrap();
                assert_eq!(cx.expect::<u64>().await, 3);
                let reply = cx.call::<_, String>(calls, String::from("hello"), SECOND).await;
                assert_eq!(reply.unwrap(), "hello!");
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn the_caller_of_a_call_that_goes_nowhere_is_told() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let deaf = b
            .spawn("deaf", |cx| async move {
                cx.expect::<u64>().await;
            })
            .unwrap();
        let relay = a
            .spawn("relay", move |cx| async move {
                cx.relay(deaf).await;
            })
            .unwrap();
        let drops = a.spawn("drops", move |cx| async move {
            drop(cx.receive().any(|message| message).forever().await);
        });
        let drops = drops.unwrap();
        b.run("client", move |cx| async move {
            let dropped = cx.call::<_, ()>(drops, String::from("x"), SECOND).await.unwrap_err();
            assert!(matches!(dropped, CallError::Refused { to, .. } if to == drops), "{dropped}");
            // The one it was passed on to ends.
            let call = cx.call::<_, ()>(relay, String::from("x"), SECOND);
            let end = async {
                until(cx.node(), || cx.node().process(deaf).is_some_and(|info| info.mailbox == 1))
                    .await;
                cx.send(deaf, 1_u64).await.unwrap();
            };
            let (call, ()) = futures_util::future::join(call, end).await;
            let refusal = Refusal::Aborted { reason: "the process ended: normal".into() };
            assert!(matches!(call, Err(CallError::Refused { refusal: why, .. }) if why == refusal));
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_filter_passes_on_what_it_wants_and_nothing_else() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let math = b.spawn("math", math).unwrap();
        let adds = a.spawn("adds", move |cx| async move {
            cx.proxy::<Add>(math, |add| add.1 < 10).await;
        });
        let small = a.spawn("small", move |cx| async move {
            let wanted =
                |message: &mut AnyMessage| message.peek().is_some_and(|d: &Divide| d.2 < 5);
            cx.delegate(math, wanted).await;
        });
        let (adds, small) = (adds.unwrap(), small.unwrap());
        b.run("client", move |cx| async move {
            let me = cx.me();
            for ours in [Add(me, 1, 1), Add(me, 10, 1), Add(me, 2, 1)] {
                cx.send(adds, Divide(me, 1, 1)).await.unwrap();
                cx.send(adds, ours).await.unwrap();
            }
            for divisor in [2, 7, 3] {
                cx.send(small, Divide(me, 600, divisor)).await.unwrap();
            }
            let mut numbers = Vec::new();
            while let Some(number) = cx.expect_timeout::<u64>(SECOND).await {
                numbers.push(number);
            }
            numbers.sort_unstable();
            assert_eq!(numbers, [2, 3, 200, 300]);
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_refused_message_of_any_type_stays_in_its_place() {
    simulate(|world| async move {
        let node = world.node("a").await;
        node.run("receiver", |cx| async move {
            let me = cx.me();
            let text = |message: AnyMessage| message;
            cx.send(me, String::from("foo")).await.unwrap();
            cx.send(me, String::from("bar")).await.unwrap();
            cx.send(me, String::from("baz")).await.unwrap();
            cx.sleep(Duration::from_millis(1)).await;
            let is = |wanted: &'static str| {
                move |message: &mut AnyMessage| {
                    message.peek::<String>().is_some_and(|t| t == wanted)
                }
            };
            let foo = cx.receive().any_if(is("foo"), text).timeout(Duration::ZERO).await;
            assert_eq!(foo.unwrap().read::<String>(&cx).await.unwrap().message, "foo");
            let none = cx.receive().any_if(is("nothing"), text).timeout(Duration::ZERO).await;
            assert!(none.is_none());
            let baz = cx.receive().any_if(is("baz"), text).timeout(Duration::ZERO).await;
            assert_eq!(baz.unwrap().read::<String>(&cx).await.unwrap().message, "baz");
            // Taken out by its clause, it is gone, whatever becomes of it then.
            let bar = cx.receive().any(|mut m| m.peek::<u64>().is_some()).forever().await;
            assert!(!bar);
            assert!(cx.receive().any(text).timeout(Duration::ZERO).await.is_none());
        })
        .await
        .unwrap();
    });
}

#[test]
fn messages_of_all_types_come_in_their_order() {
    simulate(|world| async move {
        let node = world.node("a").await;
        node.run("receiver", |cx| async move {
            let me = cx.me();
            for n in 0..20_u64 {
                match n % 3 {
                    0 => cx.send(me, n).await.unwrap(),
                    1 => cx.send(me, n.to_string()).await.unwrap(),
                    _ => cx.send(me, Pong { n }).await.unwrap(),
                }
            }
            // Everything is passed over once, by type.
            cx.sleep(Duration::from_millis(1)).await;
            assert_eq!(cx.expect_timeout::<bool>(Duration::ZERO).await, None);
            for n in 0..20_u64 {
                let message = cx.receive().any(|message| message).forever().await;
                let number = match &*message.type_name() {
                    "u64" => message.read::<u64>(&cx).await.unwrap().message,
                    "string" => message.read::<String>(&cx).await.unwrap().message.parse().unwrap(),
                    _ => message.read::<Pong>(&cx).await.unwrap().message.n,
                };
                assert_eq!(number, n);
            }
        })
        .await
        .unwrap();
    });
}

simulated! {
#[test]
fn what_lies_unreceived_shows_by_type_and_age() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let picky = a
            .spawn("picky", |cx| async move {
                cx.expect::<bool>().await;
            })
            .unwrap();
        b.run("client", move |cx| async move {
            for n in 0..3_u64 {
                cx.send(picky, n).await.unwrap();
                cx.sleep(SECOND).await;
            }
            cx.send(picky, String::from("x")).await.unwrap();
            cx.sleep(SECOND).await;
        })
        .await
        .unwrap();
        let info = a.process(picky).unwrap();
        let lying: Vec<_> = info
            .unreceived
            .iter()
            .map(|lying| (&*lying.type_name, lying.count, a.runtime().now().since(lying.since)))
            .collect();
        assert_eq!(lying.len(), 2);
        assert_eq!((lying[0].0, lying[0].1), ("string", 1));
        assert_eq!((lying[1].0, lying[1].1), ("u64", 3));
        assert!(lying[0].2 <= SECOND && lying[1].2 > 3 * SECOND, "{lying:?}");
    });
}
}

#[test]
fn what_is_awaited_by_a_waker_of_its_own_is_woken_too() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let server = b.spawn("server", |cx| async move {
            loop {
                let received = cx.receive_one::<u64>().await;
                received.reply_to.unwrap().reply(received.message);
            }
        });
        let server = server.unwrap();
        a.run("client", move |cx| async move {
            let began = cx.now();
            let calls = (0..100_u64).map(|n| cx.call::<_, u64>(server, n, 60 * SECOND));
            let replies = futures_util::future::join_all(calls).await;
            let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
            assert_eq!(replies, (0..100).collect::<Vec<_>>());
            assert!(cx.now().since(began) < SECOND, "they waited for their deadlines");
        })
        .await
        .unwrap();
    });
}
