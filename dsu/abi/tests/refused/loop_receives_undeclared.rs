//! A loop opens, answers and rests with what it has declared.
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
struct Ping {}

#[derive(Serialize, Deserialize, Message)]
struct Pong {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Player {}

#[behaviour(name = "player", version = 1, receives(Ping -> Pong))]
impl Player {
    fn init(_cx: &mut Context<Self>) -> Self {
        Player {}
    }

    #[run]
    async fn run(mut self, cx: Loop<Self>) {
        let mut counted = 1_u32;
        cx.update_point(&mut counted).await;
        let _ = cx.receive().await.open::<Pong>();
        cx.reply::<Ping>(&Ping {});
    }
}

fn main() {}
