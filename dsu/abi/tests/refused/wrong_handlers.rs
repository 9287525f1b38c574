//! Each kind of handler has its own context, and each message one handler.
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
    async fn ping(&mut self, cx: &mut Context<Self>, msg: Ping) {}

    #[handle]
    fn pong(&mut self, cx: AsyncContext<Self>, msg: Ping) {}

    #[handle]
    fn fallible(&mut self, cx: &mut Context<Self>, msg: Ping) -> Result<Ping, String> {
        Ok(msg)
    }
}

fn main() {}
