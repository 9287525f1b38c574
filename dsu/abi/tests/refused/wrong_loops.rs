//! A loop owns its state and its context; a behaviour has one, or handlers; a reply is of the declared type.
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
struct Ping {}

#[derive(Serialize, Deserialize, Message)]
struct Pong {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Lender {}

#[behaviour(name = "lender", version = 1, receives(Ping))]
impl Lender {
    fn init(_cx: &mut Context<Self>) -> Self {
        Lender {}
    }

    #[run]
    async fn run(&mut self, cx: AsyncContext<Self>) {}
}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Both {}

#[behaviour(name = "both", version = 1, receives(Ping))]
impl Both {
    fn init(_cx: &mut Context<Self>) -> Self {
        Both {}
    }

    #[run]
    async fn run(self, _cx: Loop<Self>) {}

    #[handle]
    fn pong(&mut self, _cx: &mut Context<Self>, _msg: Pong) {}
}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Neither {}

#[behaviour(name = "neither", version = 1, receives(Ping))]
impl Neither {
    fn init(_cx: &mut Context<Self>) -> Self {
        Neither {}
    }
}

fn main() {}
