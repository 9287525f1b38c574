//! A behaviour begins somewhere.
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
struct Ping {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Player {}

#[behaviour(name = "player", version = 1)]
impl Player {
    #[handle]
    fn ping(&mut self, _cx: &mut Context<Self>, _msg: Ping) {}

    #[handle]
    fn ping_again(&mut self, _cx: &mut Context<Self>, _msg: Ping) {}
}

fn main() {}
