//! What a schema cannot follow.

use midflight_message::{Message, Schema};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Schema)]
struct Part {
    a: u8,
}

#[derive(Serialize, Deserialize, Message)]
struct Flat {
    #[serde(flatten)]
    part: Part,
}

#[derive(Serialize, Deserialize, Message)]
struct LeftOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
}

#[derive(Serialize, Deserialize, Message)]
#[serde(tag = "type")]
enum Tagged {
    A { b: u8 },
}

#[derive(Serialize, Deserialize, Message)]
struct Hidden {
    #[serde(with = "as_text")]
    of: Vec<u8>,
}

#[derive(Serialize, Deserialize, Message, Clone)]
#[serde(into = "u64")]
struct OneWay(u8);

impl From<OneWay> for u64 {
    fn from(of: OneWay) -> Self {
        of.0.into()
    }
}

#[derive(Serialize, Deserialize, Message)]
enum InTheMiddle {
    A,
    #[serde(skip)]
    B,
    C,
}

fn main() {}
