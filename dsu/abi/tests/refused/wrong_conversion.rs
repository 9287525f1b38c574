//! A conversion is for the version that its type says.
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
struct Ping {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Player {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 7)]
struct Old {}

#[behaviour(name = "player", version = 1)]
impl Player {
    fn init(_cx: &mut Context<Self>) -> Self {
        Player {}
    }

    #[convert_from(6)]
    fn from_old(_old: Old) -> Self {
        Player {}
    }
}

fn main() {}
