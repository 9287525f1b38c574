//! Conversions that are none.

use midflight_message::Message;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
#[message(name = "r.Add", version = 1)]
struct AddV1(u8);

#[derive(Serialize, Deserialize, Message)]
#[message(name = "r.Add", version = 2, from(AddV1 = maybe))]
struct Fails(u8);

fn maybe(old: AddV1) -> Result<Fails, String> {
    Ok(Fails(old.0))
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "r.Add", version = 2, from(AddV1))]
struct NoFunction(u8);

fn main() {}
