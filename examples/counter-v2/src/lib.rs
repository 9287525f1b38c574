//! The counter of `counter-v1`, which has learnt to reset: one more message, one more field in its
//! state, and how the old state becomes the new one and back.

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Adds to the sum. The reply is [`Total`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Add", version = 1)]
#[expect(missing_docs, reason = "as in counter-v1")]
pub struct Add {
    pub seq: u64,
    pub amount: i64,
}

/// Asks for the sum. The reply is [`Total`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Get", version = 1)]
#[expect(missing_docs, reason = "as in counter-v1")]
pub struct Get {
    pub seq: u64,
}

/// New: puts the sum back to nothing. The reply is [`Total`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "counter.Reset", version = 1)]
pub struct Reset {
    /// Comes back in the reply.
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

/// The state as version 1 had it: only the conversions below still use it.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct CounterV1 {
    total: i64,
    handled: u64,
}

/// The state, with a field that version 1 did not have.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 2)]
pub struct Counter {
    total: i64,
    handled: u64,
    resets: u32,
}

#[behaviour(name = "counter", version = 2)]
impl Counter {
    fn init(_cx: &mut Context<Self>) -> Self {
        Counter { total: 0, handled: 0, resets: 0 }
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

    #[handle]
    fn reset(&mut self, _cx: &mut Context<Self>, msg: Reset) -> Total {
        self.total = 0;
        self.resets += 1;
        self.answer(msg.seq)
    }

    fn answer(&mut self, seq: u64) -> Total {
        self.handled += 1;
        Total { seq, total: self.total, handled: self.handled, code_version: 2 }
    }

    /// A process of version 1 goes on in this version: nobody has reset it yet.
    #[convert_from(1)]
    fn from_v1(old: CounterV1) -> Self {
        Counter { total: old.total, handled: old.handled, resets: 0 }
    }

    /// The way back, for a rollback: version 1 knows nothing of resets.
    #[convert_to(1)]
    fn to_v1(&self) -> CounterV1 {
        CounterV1 { total: self.total, handled: self.handled }
    }
}

midflight_abi::export!(Counter);
