//! What the bench upgrades to: the list of `record-v1` has become a map.

use std::collections::BTreeMap;

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Counts; nobody waits for it.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "bench.Bump", version = 1)]
pub struct Bump {}

/// Counts. The reply is [`Counted`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "bench.Count", version = 1)]
pub struct Count {}

/// How often the process has counted, and by which code.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "bench.Counted", version = 1)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Counted {
    pub count: u64,
    pub code_version: u32,
}

/// The state as version 1 had it.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct RecordV1 {
    count: u64,
    pairs: Vec<(u64, u64)>,
}

/// The state, in another shape.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 2)]
pub struct Record {
    count: u64,
    pairs: BTreeMap<u64, u64>,
}

#[behaviour(name = "record", version = 2)]
impl Record {
    fn init(_cx: &mut Context<Self>) -> Self {
        Record { count: 0, pairs: (1..=10).map(|number| (number, number * number)).collect() }
    }

    #[handle]
    fn bump(&mut self, _cx: &mut Context<Self>, _msg: Bump) {
        self.count += 1;
    }

    #[handle]
    fn count(&mut self, _cx: &mut Context<Self>, _msg: Count) -> Counted {
        self.count += 1;
        Counted { count: self.count, code_version: 2 }
    }

    #[convert_from(1)]
    fn from_v1(old: RecordV1) -> Self {
        Record { count: old.count, pairs: old.pairs.into_iter().collect() }
    }

    #[convert_to(1)]
    fn to_v1(&self) -> RecordV1 {
        RecordV1 { count: self.count, pairs: self.pairs.clone().into_iter().collect() }
    }
}

midflight_abi::export!(Record);
