//! What is sent is declared.
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
struct Ping {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Player {}

#[behaviour(name = "player", version = 1)]
impl Player {
    fn init(_cx: &mut Context<Self>) -> Self {
        Player {}
    }

    #[handle]
    fn ping(&mut self, cx: &mut Context<Self>, msg: Ping) {
        cx.send(cx.me(), &msg);
    }
}

fn main() {}
