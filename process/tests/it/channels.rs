//! Typed channels: their values, their order among messages (P2), their end.

use std::time::Duration;

use midflight_process::message::{Message, SchemaTree};
use midflight_process::{
    Down, ExitReason, Limits, Pid, ReceivePort, Received, RefusalKind, SendPort, TrySendError,
    Undelivered,
};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, simulate, took};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Ask", version = 1)]
struct Ask {
    n: u64,
    answer: SendPort<u64>,
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Port", version = 1)]
struct Port(SendPort<u64>);

#[test]
fn a_channel_travels_and_its_values_come_back() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for server in [a.clone(), b] {
            let server = server.spawn("server", |cx| async move {
                // A channel whose end is sent over a channel.
                let (asks, mut asked) = cx.channel::<Ask>();
                let Port(to) = cx.expect().await;
                cx.send_port(&to, u64::from(asks.number())).await.unwrap();
                loop {
                    let Ask { n, answer } = asked.receive().await;
                    cx.send_port(&answer, n + 1).await.unwrap();
                }
            });
            let server = server.unwrap();
            a.run("client", move |cx| async move {
                let (answer, mut answers) = cx.channel::<u64>();
                assert_eq!(answer.owner(), cx.me());
                cx.send(server, Port(answer)).await.unwrap();
                let number = answers.receive().await.try_into().unwrap();
                let asks = SendPort::<Ask>::new(server, number);
                for n in 0..50 {
                    cx.send_port(&asks, Ask { n, answer }).await.unwrap();
                    assert_eq!(answers.receive().await, n + 1);
                }
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_send_port_says_what_it_takes() {
    let of = |tree: SchemaTree| tree.to_string();
    let text = of(SchemaTree::of::<Port>().unwrap());
    assert!(text.contains("midflight.SendPort") && text.contains("u64"), "{text}");
    let other = of(SchemaTree::of::<SendPort<String>>().unwrap());
    assert_ne!(other, of(SchemaTree::of::<SendPort<u64>>().unwrap()));
}

#[test]
fn values_are_waited_for_and_polled() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        a.run("receiver", move |cx| async move {
            let (port, mut values) = cx.channel::<u64>();
            let before = cx.now();
            assert_eq!(values.receive_timeout(SECOND).await, None);
            assert!(took(cx.now().since(before), SECOND));
            assert_eq!(values.receive_timeout(Duration::ZERO).await, None);
            b.spawn("sender", move |cx| async move {
                cx.sleep(SECOND / 4).await;
                cx.send_port(&port, 1).await.unwrap();
                cx.send_port(&port, 2).await.unwrap();
            })
            .unwrap();
            assert_eq!(values.receive_timeout(SECOND).await, Some(1));
            cx.sleep(SECOND).await;
            assert_eq!(values.receive_timeout(Duration::ZERO).await, Some(2));
            assert_eq!(values.receive_timeout(Duration::ZERO).await, None);
            // Of no ports nothing is ever received.
            let mut none = ReceivePort::<u64>::merge_biased([]);
            assert_eq!(none.receive_timeout(SECOND).await, None);
        })
        .await
        .unwrap();
    });
}

#[test]
fn ports_are_mapped_paired_and_chosen_from() {
    simulate(|world| async move {
        let node = world.node("a").await;
        node.run("receiver", |cx| async move {
            let (numbers, received) = cx.channel::<u64>();
            let mut doubled = received.map(|n| n * 2);
            cx.send_port(&numbers, 21).await.unwrap();
            assert_eq!(doubled.receive().await, 42);
            // A pair: both are waited for.
            let (texts, mut text) = cx.channel::<String>();
            let both =
                async { futures_util::future::join(doubled.receive(), text.receive()).await };
            let send = async {
                cx.send_port(&texts, String::from("x")).await.unwrap();
                cx.sleep(SECOND).await;
                cx.send_port(&numbers, 1).await.unwrap();
            };
            let (both, ()) = futures_util::future::join(both, send).await;
            assert_eq!(both, (2, String::from("x")));
            // One of two kinds: whichever comes.
            let mut either = ReceivePort::merge_biased([doubled.map(|n| n.to_string()), text]);
            cx.send_port(&texts, String::from("y")).await.unwrap();
            assert_eq!(either.receive().await, "y");
            cx.send_port(&numbers, 5).await.unwrap();
            assert_eq!(either.receive().await, "10");
        })
        .await
        .unwrap();
    });
}

simulated! {
#[test]
fn values_messages_and_the_death_of_their_sender_come_in_one_order() {
    simulate(|world| async move {
        let limits = Limits { window_messages: 8, turn_messages: 4, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        // The lanes overtake each other.
        world.hub.set_reorder(true);
        world.hub.set_delay(Duration::from_millis(3));
        b.run("receiver", move |cx| async move {
            let (port, mut values) = cx.channel::<Numbered>();
            let (me, mut senders) = (cx.me(), std::collections::BTreeMap::new());
            for sender in 0..4 {
                let node = if sender == 0 { cx.node().clone() } else { a.clone() };
                let pid = node.spawn("sender", move |cx| async move {
                    for n in 0..60 {
                        let filling = vec![0; if n % 20 == 7 { 50_000 } else { 8 }];
                        let numbered = Numbered { from: cx.me(), n, filling };
                        if (n / 3) % 2 == 0 {
                            cx.send_port(&port, numbered).await.unwrap();
                        } else {
                            cx.send(me, numbered).await.unwrap();
                        }
                    }
                });
                senders.insert(pid.unwrap(), 0);
                cx.monitor(pid.unwrap()).await;
            }
            let mut ended = 0;
            while ended < 4 {
                let next = cx
                    .receive()
                    .port(&mut values, Ok)
                    .on(|received: Received<Numbered>| Ok(received.message))
                    .on(|down: Received<Down>| Err(down.message))
                    .oldest_first();
                match next.forever().await {
                    Ok(Numbered { from, n, .. }) => {
                        let count = senders.get_mut(&from).unwrap();
                        assert_eq!(n, *count, "out of order, lost or twice");
                        *count += 1;
                    }
                    Err(down) => {
                        assert_eq!(senders[&down.process], 60, "the death overtook something");
                        ended += 1;
                    }
                }
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_came_before_a_cut_has_no_gap_whatever_its_kind() {
    for seed in 0..20 {
        super::world::run(seed, move |world| async move {
            let (a, b) = world.pair().await;
            world.hub.set_reorder(true);
            world.hub.set_delay(Duration::from_millis(3));
            let hub = world.hub.clone();
            let counted = b.run("receiver", move |cx| async move {
                let (port, mut values) = cx.channel::<u64>();
                let me = cx.me();
                let sender = a.spawn("sender", move |cx| async move {
                    for n in 0_u64.. {
                        let sent = match n % 3 {
                            0 => cx.send(me, n).await,
                            _ => cx.send_port(&port, n).await,
                        };
                        if sent.is_err() {
                            return;
                        }
                        if n % 10 == 0 {
                            cx.sleep(Duration::from_millis(1)).await;
                        }
                    }
                });
                cx.monitor(sender.unwrap()).await;
                let mut count = 0;
                loop {
                    let next = cx
                        .receive()
                        .port(&mut values, Some)
                        .on(|received: Received<u64>| Some(received.message))
                        .on(|_: Received<Down>| None)
                        .oldest_first();
                    match next.forever().await {
                        Some(n) => assert_eq!(n, count, "a gap, a copy, or out of order"),
                        None => return count,
                    }
                    count += 1;
                    if count == 50 + 10 * seed {
                        hub.cut(&World::address("a"), &World::address("b"));
                    }
                }
            });
            assert!(counted.await.unwrap() >= 50);
        });
    }
}
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.NumberedValue", version = 1)]
struct Numbered {
    from: Pid,
    n: u64,
    filling: Vec<u8>,
}

#[test]
fn unreceived_values_fill_the_mailbox_and_received_ones_make_room() {
    simulate(|world| async move {
        let limits = Limits { mailbox_messages: 4, window_messages: 4, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        for node in [a.clone(), b] {
            let (fills, filled) = futures_channel::oneshot::channel();
            let owner = node.spawn("owner", |cx| async move {
                let (port, mut values) = cx.channel::<u64>();
                let Port(to) = cx.expect().await;
                cx.send_port(&to, u64::from(port.number())).await.unwrap();
                filled.await.unwrap();
                for n in 0..100 {
                    assert_eq!(values.receive().await, n);
                }
            });
            let owner = owner.unwrap();
            a.run("sender", move |cx| async move {
                let (number, mut told) = cx.channel::<u64>();
                cx.send(owner, Port(number)).await.unwrap();
                let port = SendPort::<u64>::new(owner, told.receive().await.try_into().unwrap());
                let mut sent = 0_u64;
                while cx.try_send_port(&port, sent).is_ok() {
                    sent += 1;
                }
                assert_eq!(sent, 4, "as many as there is room for");
                assert!(matches!(cx.try_send_port(&port, 9), Err(TrySendError::Full(9))));
                cx.monitor(owner).await;
                fills.send(()).unwrap();
                for n in sent..100 {
                    cx.send_port(&port, n).await.unwrap();
                }
                assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Normal);
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_closed_port_refuses_loudly_and_its_watchers_hear_of_it_once() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for node in [a.clone(), b] {
            let (opens, open) = futures_channel::oneshot::channel();
            let owner = node.spawn("owner", |cx| async move {
                let (port, values) = cx.channel::<u64>();
                let (_kept, _open) = cx.channel::<u64>();
                opens.send(()).unwrap();
                cx.expect::<()>().await;
                drop(values);
                cx.sleep(SECOND).await;
                assert_eq!(port.number(), 1);
                cx.expect::<()>().await;
                panic!("the end");
            });
            let owner = owner.unwrap();
            a.run("watcher", move |cx| async move {
                let (first, second) = (SendPort::new(owner, 1), SendPort::<u64>::new(owner, 2));
                open.await.unwrap();
                let closed = cx.monitor_port(&first).await;
                let taken_back = cx.monitor_port(&first).await;
                let ended = cx.monitor_port(&second).await;
                assert!(cx.demonitor(taken_back));
                cx.send_port(&first, 7_u64).await.unwrap();
                cx.send(owner, ()).await.unwrap();
                let down: Down = cx.expect().await;
                assert_eq!((down.monitor, down.reason), (closed, ExitReason::Normal));
                // What lay in it; and then it is known.
                let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
                assert_eq!((notice.to, notice.kind), (owner, RefusalKind::NoPort));
                assert!(matches!(cx.try_send_port(&first, 8), Err(TrySendError::Closed(8))));
                let late = cx.monitor_port(&first).await;
                let down: Down = cx.expect().await;
                assert_eq!((down.monitor, down.reason), (late, ExitReason::NoProcess));
                cx.send(owner, ()).await.unwrap();
                let down: Down = cx.expect().await;
                assert_eq!(
                    (down.monitor, down.reason),
                    (ended, ExitReason::Panic("the end".into()))
                );
                let dead = cx.monitor_port(&second).await;
                let down: Down = cx.expect().await;
                assert_eq!((down.monitor, down.reason), (dead, ExitReason::NoProcess));
                assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None);
            })
            .await
            .unwrap();
            assert_eq!(node.dead_letters().len(), 1);
        }
    });
}

#[test]
fn a_channel_lives_as_long_as_its_maker_wherever_it_is_read() {
    simulate(|world| async move {
        let node = world.node("a").await;
        let (give, given) = futures_channel::oneshot::channel();
        let maker = node.spawn("maker", |cx| async move {
            assert!(give.send(cx.channel::<u64>()).is_ok());
            cx.expect::<()>().await;
        });
        let maker = maker.unwrap();
        let (port, mut values) = given.await.unwrap();
        let reader = node.spawn("reader", move |cx| async move {
            let mut n = 0;
            loop {
                // More than the window, so that room must be given back while the maker idles.
                assert_eq!(values.receive().await, n);
                n += 1;
                if n == 5_000 {
                    cx.send(maker, ()).await.unwrap();
                }
            }
        });
        let reader = reader.unwrap();
        node.run("sender", move |cx| async move {
            let watched = cx.monitor(reader).await;
            for n in 0..5_000_u64 {
                cx.send_port(&port, n).await.unwrap();
            }
            let down: Down = cx.expect().await;
            assert_eq!(down.monitor, watched);
            assert!(matches!(down.reason, ExitReason::Panic(why) if why.contains("has ended")));
            cx.send_port(&port, 1).await.unwrap();
        })
        .await
        .unwrap();
    });
}
