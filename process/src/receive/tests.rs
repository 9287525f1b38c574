//! What a receive looks at and decodes, counted (P7).

use std::cell::Cell;
use std::time::Duration;

use midflight_message::Message;
use midflight_runtime::SimRuntime;
use midflight_transport_api::Address;
use midflight_transport_inmem::Hub;
use serde::{Deserialize, Serialize};

use super::next::EXAMINED;
use crate::scheduler::function::LOCKED;
use crate::{Context, Limits, Node, Received};

thread_local! {
    static DECODED: Cell<u64> = const { Cell::new(0) };
}

/// A message that counts how often one is decoded.
#[derive(Debug, PartialEq, Message)]
#[message(name = "test.Counted", version = 1)]
struct Counted {
    n: u64,
}

impl Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.n.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.set(DECODED.get() + 1);
        Ok(Self { n: u64::deserialize(deserializer)? })
    }
}

const UNWANTED: u64 = 10_000;

/// How many entries were looked at, and messages decoded, since this was asked last.
fn counted() -> (u64, u64) {
    (EXAMINED.take(), DECODED.take())
}

/// Runs `receives` in a process that another, on this node or on another one, has sent
/// [`UNWANTED`] messages and the word that these are all.
fn with_unwanted<F: Future<Output = ()> + Send + 'static>(
    receives: impl FnOnce(Context) -> F + Copy + Send + 'static,
) {
    for remote in [false, true] {
        let sim = SimRuntime::new(u64::from(remote));
        let (hub, runtime) = (Hub::new(0), sim.handle());
        sim.run(10_000_000, async move {
            let limits = Limits {
                mailbox_messages: 100_000,
                window_messages: 100_000,
                window_bytes: 100 << 20,
                ..Limits::default()
            };
            let transport = hub.transport(runtime.clone());
            let start = |name| {
                let address = Address::new("mem", name).unwrap();
                let builder = Node::builder(name).listen(address).limits(limits.clone());
                builder.start(&transport, runtime.clone())
            };
            let (a, b) = (start("a").await.unwrap(), start("b").await.unwrap());
            b.connect(&Address::new("mem", "a").unwrap()).await.unwrap();
            let sender = if remote { b } else { a.clone() };
            let receiver = a.run("receiver", move |cx| async move {
                let me = cx.me();
                sender
                    .spawn("sender", move |cx| async move {
                        for n in 0..UNWANTED {
                            cx.send(me, Counted { n }).await.unwrap();
                        }
                        cx.send(me, ()).await.unwrap();
                    })
                    .unwrap();
                cx.expect::<()>().await;
                receives(cx).await;
            });
            receiver.await.unwrap();
        })
        .unwrap();
    }
}

#[test]
fn what_is_received_in_the_turn_it_came_with_takes_no_lock() {
    const ROUNDS: u64 = 1_000;
    let sim = SimRuntime::new(0);
    let (hub, runtime) = (Hub::new(0), sim.handle());
    sim.run(1_000_000, async move {
        let node =
            Node::builder("a").start(&hub.transport(runtime.clone()), runtime).await.unwrap();
        let echo = node.spawn("echo", async |cx: Context| {
            loop {
                let received = cx.receive_one::<u64>().await;
                cx.send(received.from.unwrap(), received.message).await.unwrap();
            }
        });
        let echo = echo.unwrap();
        let asks = node.run("asks", move |cx: Context| async move {
            for round in 0..ROUNDS {
                cx.send(echo, round).await.unwrap();
                assert_eq!(cx.expect::<u64>().await, round);
            }
        });
        LOCKED.take();
        asks.await.unwrap();
    })
    .unwrap();
    assert!(LOCKED.take() < ROUNDS / 100);
}

#[test]
fn what_was_passed_over_costs_later_receives_nothing() {
    counted();
    with_unwanted(|cx| async move {
        let first = counted();
        assert_eq!(first, (UNWANTED + 1, 0), "each once, and none decoded");
        for n in 0..1_000_u64 {
            cx.send(cx.me(), n).await.unwrap();
            assert_eq!(cx.expect::<u64>().await, n);
        }
        assert_eq!(counted(), (1_000, 0), "each receive looks at what it wants");
        for _ in 0..1_000 {
            assert_eq!(cx.expect_timeout::<String>(Duration::ZERO).await, None);
        }
        assert_eq!(counted(), (0, 0), "nothing came");
        let (first, second) = (cx.expect::<Counted>().await, cx.expect::<Counted>().await);
        assert_eq!((first.n, second.n), (0, 1));
        let (examined, decoded) = counted();
        assert_eq!(examined, 2);
        assert!(decoded <= 2, "{decoded}");
    });
}

#[test]
fn several_clauses_look_at_their_own_types_alone() {
    counted();
    with_unwanted(|cx| async move {
        counted();
        let me = cx.me();
        for n in 0..100_u64 {
            cx.send(me, n).await.unwrap();
            cx.send(me, n.to_string()).await.unwrap();
        }
        for n in 0..100_u64 {
            assert_eq!(cx.expect::<String>().await, n.to_string());
        }
        assert_eq!(counted(), (200, 0), "each of what came once");
        for n in 0..100_u64 {
            let next = cx
                .receive()
                .on(|text: Received<String>| text.message)
                .on(|number: Received<u64>| number.message.to_string());
            assert_eq!(next.forever().await, n.to_string());
        }
        assert_eq!(counted(), (100, 0));
    });
}

#[test]
fn a_predicate_is_asked_about_its_own_type_and_a_message_is_decoded_once() {
    counted();
    with_unwanted(|cx| async move {
        counted();
        let wanted = |n| move |counted: &Counted| counted.n == n;
        for n in [9_000, 500, 9_999] {
            let received = cx.receive().on_if(wanted(n), |received| received.message);
            assert_eq!(received.forever().await, Counted { n });
        }
        let (_, decoded) = counted();
        assert!(decoded <= UNWANTED, "{decoded} were decoded of {UNWANTED}");
        // Nor do predicates on another type look there.
        let none = cx.receive().on_if(|_: &u64| true, |received| received.message);
        assert_eq!(none.timeout(Duration::ZERO).await, None);
        assert_eq!(counted(), (0, 0));
        // What a predicate has refused is received as it was, in order.
        for n in (0..UNWANTED).filter(|n| ![9_000, 500, 9_999].contains(n)) {
            assert_eq!(cx.expect::<Counted>().await.n, n);
        }
        assert_eq!(counted().1, 0, "all have been decoded before");
    });
}

#[test]
fn one_receive_asks_its_predicate_once_about_each_message() {
    counted();
    with_unwanted(|cx| async move {
        let me = cx.me();
        let asked = std::sync::atomic::AtomicU64::new(0);
        let waits = cx.receive().on_if(
            |_: &Counted| {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                false
            },
            |received| received.message.n,
        );
        let waits = waits.timeout(Duration::from_secs(1));
        let poked = async {
            for n in 0..50_u64 {
                cx.send(me, n).await.unwrap();
                cx.sleep(Duration::from_millis(1)).await;
            }
        };
        futures_util::future::join(waits, poked).await;
        assert_eq!(asked.into_inner(), UNWANTED);
    });
}
