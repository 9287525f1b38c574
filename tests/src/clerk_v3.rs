//! The third version of the clerk of `tests/fixtures/clerk-v1` and `-v2`: what it reads of the others, and they of
//! it, is partly nothing.

use std::time::Duration;

use clerk_v2::{Books, Look, Relay, Relayed};
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Note this. Heavy notes do not fit.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "clerk.Note", version = 1)]
pub struct Note {
    /// What.
    #[serde(alias = "body")]
    pub text: String,
    /// How much it matters.
    pub weight: u8,
}

/// Orders something. The reply is [`Receipt`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "clerk.Order", version = 3, try_from(clerk_v2::Order = Order::from_v2))]
pub struct Order {
    /// What.
    pub item: String,
    /// For how much.
    pub pence: u64,
}

impl Order {
    fn from_v2(clerk_v2::Order { item, price }: clerk_v2::Order) -> Result<Self, String> {
        let (pounds, pence) = price;
        match item.as_str() {
            "horror" => panic!("the horror"),
            "nothing" => Err("nothing is ordered".to_owned()),
            _ => Ok(Self { item, pence: pounds * 100 + pence }),
        }
    }
}

/// An order was taken, in words.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "clerk.Receipt", version = 2)]
pub struct Receipt {
    /// Counts the orders.
    pub number: String,
}

/// The state.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 2)]
pub struct Clerk {
    notes: Vec<(String, u64)>,
    orders: Vec<u64>,
}

#[behaviour(name = "clerk", version = 3, sends(Note), calls(Order -> Receipt))]
impl Clerk {
    fn init(_cx: &mut Context<Self>) -> Self {
        Clerk { notes: Vec::new(), orders: Vec::new() }
    }

    #[handle]
    fn note(&mut self, _cx: &mut Context<Self>, Note { text, weight }: Note) {
        self.notes.push((text, u64::from(weight)));
    }

    #[handle]
    fn order(&mut self, _cx: &mut Context<Self>, msg: Order) -> Receipt {
        self.orders.push(msg.pence);
        Receipt { number: self.orders.len().to_string() }
    }

    #[handle]
    fn look(&mut self, _cx: &mut Context<Self>, _msg: Look) -> Books {
        Books { notes: self.notes.clone(), orders: self.orders.clone(), by: 3 }
    }

    #[handle]
    async fn relay(&mut self, cx: AsyncContext<Self>, Relay { to, item }: Relay) -> Relayed {
        cx.send(to, &Note { text: item.clone(), weight: 1 });
        let order = Order { item, pence: 150 };
        let receipt = cx.call(to, &order, Duration::from_secs(5)).await;
        let number = receipt.map_err(|error| error.to_string());
        Relayed { receipt: number.and_then(|it| it.number.parse().map_err(|_none| it.number)) }
    }

    /// The state of the first version, in whatever form.
    #[convert_from(1)]
    fn from_v1(old: ClerkV1) -> Self {
        let notes = old.notes.into_iter().map(|it| (it.text, it.weight)).collect();
        Clerk { notes, orders: old.orders }
    }
}

/// The state as it was.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct ClerkV1 {
    notes: Vec<EntryV1>,
    orders: Vec<u64>,
}

/// A note in it.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub struct EntryV1 {
    text: String,
    weight: u64,
}
