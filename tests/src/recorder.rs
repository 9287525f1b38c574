//! A behaviour that keeps what it is told, in the order in which it has come.

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// Keep this.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "recorder.Note", version = 1)]
pub struct Note {
    /// Whose.
    pub by: u32,
    /// Which of theirs.
    pub number: u64,
}

/// What has come?
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "recorder.Ask", version = 1)]
pub struct Ask {}

/// All that has come.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "recorder.Notes", version = 1)]
pub struct Notes {
    /// Whose, and which of theirs, in order.
    pub all: Vec<(u32, u64)>,
}

/// The behaviour, with its state.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct Recorder {
    all: Vec<(u32, u64)>,
}

#[behaviour(name = "recorder", version = 1)]
impl Recorder {
    fn init(_cx: &mut Context<Self>) -> Self {
        Recorder { all: Vec::new() }
    }

    #[handle]
    fn note(&mut self, _cx: &mut Context<Self>, msg: Note) {
        self.all.push((msg.by, msg.number));
    }

    #[handle]
    fn ask(&mut self, _cx: &mut Context<Self>, _msg: Ask) -> Notes {
        Notes { all: self.all.clone() }
    }
}
