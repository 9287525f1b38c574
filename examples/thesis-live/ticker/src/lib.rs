//! What `thesis-live` prints. Change the words in `line` and save, while it runs: the next line has
//! the new words, and the count goes on.

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Asks for the next line. The reply is [`Line`].
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "ticker.Tick", version = 1)]
pub struct Tick {}

/// A line to print.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "ticker.Line", version = 1)]
pub struct Line {
    /// The line.
    pub text: String,
}

/// The state: what stays when the code changes.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct Ticker {
    ticks: u64,
}

#[behaviour(name = "ticker", version = 1)]
impl Ticker {
    fn init(_cx: &mut Context<Self>) -> Self {
        Ticker { ticks: 0 }
    }

    #[handle]
    fn tick(&mut self, _cx: &mut Context<Self>, _msg: Tick) -> Line {
        self.ticks += 1;
        Line { text: self.line() }
    }

    fn line(&self) -> String {
        format!("tick {}", self.ticks)
    }
}

midflight_abi::export!(Ticker);
