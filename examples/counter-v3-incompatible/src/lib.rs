//! A counter that must not get through: its `Add` says `amount` in words, and calls itself the same
//! message. `midflight push` refuses it, and names the field.

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Adds to the sum. The mistake: the type of `amount` changed, the version of the message did not.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Add", version = 1)]
pub struct Add {
    /// Comes back in the reply.
    pub seq: u64,
    /// How much, in decimal digits.
    pub amount: String,
}

/// Asks for the sum. The reply is [`Total`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Get", version = 1)]
#[expect(missing_docs, reason = "as in counter-v1")]
pub struct Get {
    pub seq: u64,
}

/// Puts the sum back to nothing. The reply is [`Total`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Reset", version = 1)]
#[expect(missing_docs, reason = "as in counter-v2")]
pub struct Reset {
    pub seq: u64,
}

/// Where the counter stands.
#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "counter.Total", version = 1)]
#[expect(missing_docs, reason = "as in counter-v1")]
pub struct Total {
    pub seq: u64,
    pub total: i64,
    pub handled: u64,
    pub code_version: u32,
}

/// The state, as version 2 has it: the state is not what is wrong here.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 2)]
pub struct Counter {
    total: i64,
    handled: u64,
    resets: u32,
}

#[behaviour(name = "counter", version = 3)]
impl Counter {
    fn init(_cx: &mut Context<Self>) -> Self {
        Counter { total: 0, handled: 0, resets: 0 }
    }

    #[handle]
    fn add(&mut self, _cx: &mut Context<Self>, msg: Add) -> Total {
        self.total += msg.amount.parse::<i64>().unwrap_or(0);
        self.answer(msg.seq)
    }

    #[handle]
    fn get(&mut self, _cx: &mut Context<Self>, msg: Get) -> Total {
        self.answer(msg.seq)
    }

    #[handle]
    fn reset(&mut self, _cx: &mut Context<Self>, msg: Reset) -> Total {
        self.total = 0;
        self.resets += 1;
        self.answer(msg.seq)
    }

    fn answer(&mut self, seq: u64) -> Total {
        self.handled += 1;
        Total { seq, total: self.total, handled: self.handled, code_version: 3 }
    }
}

midflight_abi::export!(Counter);
