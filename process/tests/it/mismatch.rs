//! A message that cannot be read is told to its sender and kept, never silent (V1).

use std::time::Duration;

use midflight_process::message::{Message, Schema};
use midflight_process::{
    CallError, Node, Received, RefusalKind, SendError, TrySendError, Undelivered,
};
use serde::{Deserialize, Serialize};

use super::world::simulate;

const SECOND: Duration = Duration::from_secs(1);

/// One program's idea of an order …
mod theirs {
    use super::{Deserialize, Message, Schema, Serialize};

    #[derive(Debug, Serialize, Deserialize, Schema)]
    pub(crate) struct Item {
        pub(crate) cents: String,
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Order", version = 1)]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) item: Item,
    }
}

/// … and another's.
mod ours {
    use super::{Deserialize, Message, Schema, Serialize};

    #[derive(Debug, Serialize, Deserialize, Schema)]
    pub(crate) struct Item {
        pub(crate) cents: u64,
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Order", version = 1)]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) item: Item,
    }

    /// Still the same as far as serde can see.
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Cancel", version = 1)]
    pub(crate) struct Cancel {
        #[serde(default)]
        pub(crate) reason: String,
        pub(crate) id: u64,
    }
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "shop.Cancel", version = 1)]
struct OldCancel {
    id: u64,
}

/// A third program's idea of it.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "shop.Order", version = 1)]
struct ThirdOrder {
    id: String,
}

fn order() -> theirs::Order {
    theirs::Order { id: 1, item: theirs::Item { cents: "12".into() } }
}

#[test]
fn a_mismatch_reaches_the_sender_with_the_field_and_is_kept() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for server in [a.clone(), b] {
            let shop = server.spawn("shop", |cx| async move {
                loop {
                    let received = cx.receive_one::<ours::Order>().await;
                    received.reply_to.unwrap().reply(received.message.item.cents);
                }
            });
            let shop = shop.unwrap();
            a.run("customer", move |cx| async move {
                // A cast: the notice comes in the message's place.
                cx.send(shop, order()).await.unwrap();
                let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
                assert_eq!((notice.to, notice.kind), (shop, RefusalKind::Incompatible));
                assert_eq!(notice.type_name, "shop.Order");
                assert!(notice.field.unwrap().contains("cents"), "{}", notice.reason);
                // Now it is known where it is sent.
                let SendError::Incompatible { to, mismatch } =
                    cx.send(shop, order()).await.unwrap_err()
                else {
                    panic!("it is known")
                };
                assert_eq!((to, &*mismatch.type_name), (shop, "shop.Order"));
                assert!(mismatch.field_path.contains("item.cents"), "{mismatch}");
                assert_eq!((&*mismatch.theirs, &*mismatch.ours), ("string", "u64"));
                let known = cx.try_send(shop, order());
                assert!(matches!(known, Err(TrySendError::Incompatible(_))), "{known:?}");
                // A call: the same error, whether it was known or not.
                let error = cx.call::<_, u64>(shop, order(), SECOND).await.unwrap_err();
                assert!(matches!(error, CallError::Refused { .. }), "{error}");
                assert_eq!(error.mismatch(), Some(&*mismatch));
                // The receiver is well.
                let good = ours::Order { id: 2, item: ours::Item { cents: 5 } };
                assert_eq!(cx.call::<_, u64>(shop, good, SECOND).await.unwrap(), 5);
            })
            .await
            .unwrap();
            let letters = server.dead_letters();
            assert_eq!(letters.len(), 1, "what was not sent is not kept");
            assert_eq!(letters[0].to, shop);
            assert!(!letters[0].bytes.is_empty() && !letters[0].call);
            assert_eq!(counted(&server, false), 1);
            assert_eq!(counted(&a, true), 3 * (1 + u64::from(server.id() != a.id())));
        }
    });
}

/// How many orders of version 1 were not taken as version 1, or with `at_send` not sent.
fn counted(node: &Node, at_send: bool) -> u64 {
    let orders = node.refused().into_iter().filter(|count| {
        assert_eq!((count.from_version, count.to_version), (1, Some(1)));
        assert_eq!((&*count.type_name, count.kind), ("shop.Order", RefusalKind::Incompatible));
        count.at_send == at_send
    });
    orders.map(|count| count.times).sum()
}

#[test]
fn a_refused_call_is_told_its_mismatch_and_so_are_all_who_send_after_it() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let shop = b.spawn("shop", |cx| async move {
            cx.expect::<ours::Order>().await;
        });
        let shop = shop.unwrap();
        let first = a.run("first", move |cx| async move {
            let error = cx.call::<_, u64>(shop, order(), SECOND).await.unwrap_err();
            assert!(error.mismatch().is_some(), "{error}");
        });
        first.await.unwrap();
        let second = a.run("second", move |cx| async move {
            let error = cx.send(shop, order()).await.unwrap_err();
            assert!(matches!(error, SendError::Incompatible { .. }), "{error}");
        });
        second.await.unwrap();
        // Code is switched there: then it may be otherwise, and is tried again.
        b.code_switched([1; 32], Vec::new());
        // Its answer comes behind the news of the switch.
        assert_eq!(a.whereis_on(b.id(), "nobody").await.unwrap(), None);
        let third = a.run("third", move |cx| async move {
            cx.send(shop, order()).await.unwrap();
            let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
            assert_eq!(notice.kind, RefusalKind::Incompatible);
        });
        third.await.unwrap();
    });
}

#[test]
fn what_serde_bridges_is_read_across_nodes() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let shop = b.spawn("shop", |cx| async move {
            let received = cx.receive_one::<ours::Cancel>().await;
            received.reply_to.unwrap().reply(received.message.id);
        });
        let shop = shop.unwrap();
        let id = a.run("customer", move |cx| async move {
            cx.call::<_, u64>(shop, OldCancel { id: 7 }, SECOND).await.unwrap()
        });
        assert_eq!(id.await.unwrap(), 7);
    });
}

/// The order's first version, as an older node sends it,
mod first {
    use super::{Deserialize, Message, Schema, Serialize};

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Parcel", version = 1)]
    pub(crate) struct Parcel {
        pub(crate) grams: i64,
        pub(crate) label: Label,
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Label", version = 1)]
    pub(crate) struct Label {
        pub(crate) text: String,
    }

    /// … in which a label may lie, without having changed itself.
    #[derive(Debug, Serialize, Deserialize, Schema)]
    pub(crate) struct Page {
        pub(crate) label: Label,
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Pages", version = 1)]
    pub(crate) struct Pages(pub(crate) Vec<Page>);
}

/// and its third, as a newer one reads it.
mod third {
    use super::{Deserialize, Message, Schema, Serialize, first};

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Parcel", version = 2, try_from(first::Parcel = Second::check))]
    pub(crate) struct Second {
        kilograms: u64,
        label: first::Label,
    }

    impl Second {
        fn check(old: first::Parcel) -> Result<Self, String> {
            let grams =
                u64::try_from(old.grams).map_err(|error| format!("a negative weight: {error}"))?;
            Ok(Self { kilograms: grams / 1000, label: old.label })
        }
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Parcel", version = 3, from(Second))]
    pub(crate) struct Parcel {
        pub(crate) kilograms: u64,
        pub(crate) label: Label,
    }

    impl From<Second> for Parcel {
        fn from(old: Second) -> Self {
            Self { kilograms: old.kilograms, label: old.label.into() }
        }
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Label", version = 2, from(first::Label))]
    pub(crate) struct Label {
        pub(crate) lines: Vec<String>,
    }

    impl From<first::Label> for Label {
        fn from(old: first::Label) -> Self {
            Self { lines: old.text.lines().map(str::to_owned).collect() }
        }
    }

    #[derive(Debug, Serialize, Deserialize, Schema)]
    pub(crate) struct Page {
        pub(crate) label: Label,
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Pages", version = 1)]
    pub(crate) struct Pages(pub(crate) Vec<Page>);
}

#[test]
fn an_older_version_is_received_as_the_newer_here_and_across_nodes() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for server in [a.clone(), b] {
            let shop = server.spawn("shop", |cx| async move {
                loop {
                    let received = cx.receive_one::<third::Parcel>().await;
                    let third::Parcel { kilograms, label } = received.message;
                    received.reply_to.unwrap().reply(format!("{kilograms} {:?}", label.lines));
                    let pages = cx.expect::<third::Pages>().await;
                    assert_eq!(pages.0[0].label.lines, ["x", "y"]);
                }
            });
            let shop = shop.unwrap();
            a.run("customer", move |cx| async move {
                let label = || first::Label { text: "x\ny".into() };
                // Version by version, twice: the second time the way is known.
                for _ in 0..2 {
                    let parcel = first::Parcel { grams: 7500, label: label() };
                    let told: String = cx.call(shop, parcel, SECOND).await.unwrap();
                    assert_eq!(told, r#"7 ["x", "y"]"#);
                    // A part of another version, in a message that has kept its own.
                    let pages = first::Pages(vec![first::Page { label: label() }]);
                    cx.send(shop, pages).await.unwrap();
                }
                // What a step refuses is told as anything else that cannot be read.
                let parcel = first::Parcel { grams: -1, label: label() };
                let error = cx.call::<_, String>(shop, parcel, SECOND).await.unwrap_err();
                assert!(error.to_string().contains("a negative weight"), "{error}");
            })
            .await
            .unwrap();
            assert_eq!(server.dead_letters().len(), 1);
        }
    });
}

#[test]
fn a_newer_version_without_a_way_back_is_told_to_its_sender() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let shop = b.spawn("shop", |cx| async move {
            cx.expect::<first::Label>().await;
        });
        let shop = shop.unwrap();
        a.run("customer", move |cx| async move {
            cx.send(shop, third::Label { lines: Vec::new() }).await.unwrap();
            let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
            assert_eq!(notice.kind, RefusalKind::Incompatible);
            assert!(notice.reason.contains("theirs is version 2, ours is version 1"), "{notice:?}");
        })
        .await
        .unwrap();
    });
}

simulated! {
    /// A process's messages keep their order though one waits for a schema; those of others pass.
    #[test]
    fn what_waits_for_a_schema_holds_up_its_sender_alone() {
        simulate(|world| async move {
            let (a, b) = world.pair().await;
            world.hub.set_delay(Duration::from_millis(50));
            let shop = b.spawn("shop", |cx| async move {
                let caller = cx.receive_one::<()>().await.reply_to.unwrap();
                let mut came = Vec::new();
                while came.len() < 3 {
                    let next = cx
                        .receive()
                        .on(|received: Received<u64>| received.message)
                        .on(|received: Received<ours::Cancel>| received.message.id);
                    came.push(next.forever().await);
                }
                caller.reply(format!("{came:?}"));
            });
            let shop = shop.unwrap();
            let asked = a.spawn("first", move |cx| async move {
                cx.send(shop, OldCancel { id: 1 }).await.unwrap();
                cx.send(shop, 2_u64).await.unwrap();
            });
            asked.unwrap();
            let came = b.run("second", move |cx| async move {
                // The message has come, and its schema has not.
                cx.sleep(Duration::from_millis(75)).await;
                cx.send(shop, 3_u64).await.unwrap();
                cx.call::<_, String>(shop, (), SECOND).await.unwrap()
            });
            assert_eq!(came.await.unwrap(), "[3, 1, 2]");
        });
    }
}

#[test]
fn a_second_unknown_schema_is_fetched_too() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let shop = b.spawn("shop", |cx| async move {
            cx.expect::<ours::Order>().await;
        });
        let shop = shop.unwrap();
        a.run("customer", move |cx| async move {
            cx.send(shop, order()).await.unwrap();
            cx.send(shop, ThirdOrder { id: "1".into() }).await.unwrap();
            for field in ["cents", "id"] {
                let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
                assert!(notice.field.unwrap().contains(field), "{}", notice.reason);
            }
        })
        .await
        .unwrap();
    });
}

/// A message whose author's code panics while it is encoded.
#[derive(Debug, Message)]
#[message(name = "shop.Trap", version = 1)]
struct Trap {
    armed: bool,
}

impl Serialize for Trap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!self.armed, "the author's mistake");
        serializer.serialize_bool(self.armed)
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { armed: bool::deserialize(deserializer)? })
    }
}

#[test]
fn a_message_that_panics_while_it_is_encoded_harms_only_its_sender() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let sink = b.spawn("sink", |cx| async move {
            while let Some(n) = cx.expect_timeout::<u64>(SECOND).await {
                assert_eq!(n, 7);
            }
        });
        let sink = sink.unwrap();
        let fallen = a.run("fallen", move |cx| async move {
            cx.send(sink, 7_u64).await.unwrap();
            cx.send(sink, Trap { armed: true }).await.unwrap();
        });
        assert!(fallen.await.is_none());
        a.run("next", move |cx| async move {
            cx.monitor(sink).await;
            cx.send(sink, 7_u64).await.unwrap();
            let down: midflight_process::Down = cx.expect().await;
            assert_eq!(down.reason, midflight_process::ExitReason::Normal);
        })
        .await
        .unwrap();
        assert_eq!(a.peers().len(), 1, "the link lives");
    });
}
