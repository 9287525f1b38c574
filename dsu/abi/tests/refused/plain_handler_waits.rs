//! A plain handler neither calls nor sleeps.
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
struct Ping {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Player {}

#[behaviour(name = "player", version = 1, calls(Ping -> Ping))]
impl Player {
    fn init(_cx: &mut Context<Self>) -> Self {
        Player {}
    }

    #[handle]
    fn ping(&mut self, cx: &mut Context<Self>, msg: Ping) {
        cx.sleep(std::time::Duration::from_secs(1));
        cx.call(cx.me(), &msg, std::time::Duration::from_secs(1));
    }
}

fn main() {}
