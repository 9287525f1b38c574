//! The failures of Cloud Haskell that make no sound, as measured there: each is loud here, and harms
//! nobody. (Its first, a message of a wrong type that waits for ever, is in `hosted` of the tests
//! across crates, for behaviours.)

use std::time::Duration;

use midflight_process::message::{Message, Schema};
use midflight_process::{Node, Pid, RefusalKind, Undelivered};
use serde::{Deserialize, Serialize};

use super::world::simulate;

const SECOND: Duration = Duration::from_secs(1);

/// Version 1.0 of a package …
mod one {
    use super::{Deserialize, Message, Serialize};

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Payment", version = 1)]
    pub(crate) struct Payment {
        pub(crate) order: u32,
        pub(crate) amount_cents: i64,
    }
}

/// … 1.1, where the type was left as it is …
mod same {
    use super::{Deserialize, Message, Serialize};

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Payment", version = 1)]
    pub(crate) struct Payment {
        pub(crate) order: u32,
        pub(crate) amount_cents: i64,
    }
}

/// … 1.2, where it has the same fields in another order …
mod turned {
    use super::{Deserialize, Message, Serialize};

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Payment", version = 1)]
    pub(crate) struct Payment {
        pub(crate) amount_cents: i64,
        pub(crate) order: u32,
    }
}

/// … and 1.3, where it has others.
mod other {
    use super::{Deserialize, Message, Schema, Serialize};

    #[derive(Debug, Serialize, Deserialize, Schema)]
    pub(crate) struct Money {
        pub(crate) units: i64,
        pub(crate) currency: String,
    }

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "shop.Payment", version = 1)]
    pub(crate) struct Payment {
        pub(crate) amount: Money,
        pub(crate) order: u32,
    }
}

/// A till of version 1.0, which answers the cents of each payment.
fn till(node: &Node) -> Pid {
    let till = node.spawn("till", |cx| async move {
        loop {
            let received = cx.receive_one::<one::Payment>().await;
            received.reply_to.unwrap().reply(received.message.amount_cents);
        }
    });
    till.unwrap()
}

/// Runs a scenario with a till on the caller's node, and with one on another.
fn with_tills<F>(scenario: impl Fn(Node, Node, Pid) -> F + Copy + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    simulate(move |world| async move {
        let (a, b) = world.pair().await;
        for there in [a.clone(), b] {
            scenario(a.clone(), there.clone(), till(&there)).await;
        }
    });
}

#[test]
fn the_same_type_of_another_package_version_matches() {
    with_tills(|a, there, till| async move {
        let asked = a.run("customer", move |cx| async move {
            let payment = same::Payment { order: 1, amount_cents: 123_456 };
            cx.call::<_, i64>(till, payment, SECOND).await.unwrap()
        });
        assert_eq!(asked.await.unwrap(), 123_456);
        assert!(there.dead_letters().is_empty());
    });
}

#[test]
fn the_same_name_with_other_fields_never_decodes_to_garbage() {
    with_tills(|a, there, till| async move {
        let asked = a.run("customer", move |cx| async move {
            // By name, whatever the order.
            let payment = turned::Payment { order: 1, amount_cents: 123_456 };
            assert_eq!(cx.call::<_, i64>(till, payment, SECOND).await.unwrap(), 123_456);
            // Not at all, and the field is named.
            let amount = other::Money { units: 123_456, currency: "EUR".into() };
            cx.send(till, other::Payment { amount, order: 1 }).await.unwrap();
            let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
            assert_eq!((notice.to, notice.kind), (till, RefusalKind::Incompatible));
            assert!(notice.field.unwrap().contains("amount"), "{}", notice.reason);
            // The till is well.
            let payment = one::Payment { order: 1, amount_cents: 1 };
            assert_eq!(cx.call::<_, i64>(till, payment, SECOND).await.unwrap(), 1);
        });
        asked.await.unwrap();
        assert_eq!(there.dead_letters().len(), 1);
    });
}

/// A payment that its writer cuts short, whatever its schema says.
#[derive(Debug, Deserialize, Message)]
#[message(name = "shop.Payment", version = 1)]
struct Payment {
    order: u32,
    #[expect(dead_code, reason = "never written")]
    amount_cents: i64,
}

impl Serialize for Payment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.order)
    }
}

#[test]
fn too_few_bytes_do_not_kill_the_receiver() {
    with_tills(|a, there, till| async move {
        let asked = a.run("customer", move |cx| async move {
            let short = Payment { order: 1, amount_cents: 123_456 };
            cx.send(till, short).await.unwrap();
            let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
            assert_eq!((notice.to, notice.kind), (till, RefusalKind::Garbled));
            let payment = one::Payment { order: 1, amount_cents: 123_456 };
            assert_eq!(cx.call::<_, i64>(till, payment, SECOND).await.unwrap(), 123_456);
        });
        asked.await.unwrap();
        let letters = there.dead_letters();
        assert_eq!(letters.len(), 1);
        let text = there.render(&letters[0]).await.unwrap();
        assert!(text.contains("order: 1") && text.contains("not as the schema says"), "{text}");
        assert_eq!(a.peers().len(), 1, "the link lives");
    });
}
