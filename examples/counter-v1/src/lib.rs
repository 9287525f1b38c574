//! A counter: the smallest behaviour worth updating. `counter-v2` is its next version.
//!
//! `midflight build examples/counter-v1` makes a bundle of it. Nothing in here is about that: it is
//! an ordinary library.

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Adds to the sum. The reply is [`Total`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Add", version = 1)]
pub struct Add {
    /// Comes back in the reply, so that a client can tell which call it answers.
    pub seq: u64,
    /// How much.
    pub amount: i64,
}

/// Asks for the sum. The reply is [`Total`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Get", version = 1)]
pub struct Get {
    /// Comes back in the reply.
    pub seq: u64,
}

/// Where the counter stands.
#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "counter.Total", version = 1)]
pub struct Total {
    /// That of the message answered.
    pub seq: u64,
    /// The sum.
    pub total: i64,
    /// How many messages the counter has handled in its life, in whatever code.
    pub handled: u64,
    /// The version of the code that answers.
    pub code_version: u32,
}

/// The state: what stays when the code changes.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct Counter {
    total: i64,
    handled: u64,
}

#[behaviour(name = "counter", version = 1)]
impl Counter {
    fn init(_cx: &mut Context<Self>) -> Self {
        Counter { total: 0, handled: 0 }
    }

    #[handle]
    fn add(&mut self, _cx: &mut Context<Self>, msg: Add) -> Total {
        self.total += msg.amount;
        self.answer(msg.seq)
    }

    #[handle]
    fn get(&mut self, _cx: &mut Context<Self>, msg: Get) -> Total {
        self.answer(msg.seq)
    }

    fn answer(&mut self, seq: u64) -> Total {
        self.handled += 1;
        Total { seq, total: self.total, handled: self.handled, code_version: 1 }
    }
}

midflight_abi::export!(Counter);
