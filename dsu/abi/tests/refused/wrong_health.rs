//! A health function looks at the state alone and answers with a reason.

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct Changes {}

#[behaviour(name = "changes", version = 1)]
impl Changes {
    fn init(_cx: &mut Context<Self>) -> Self {
        Changes {}
    }

    #[health]
    fn health(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize, State)]
#[state(version = 1)]
struct SaysYesOrNo {}

#[behaviour(name = "says", version = 1)]
impl SaysYesOrNo {
    fn init(_cx: &mut Context<Self>) -> Self {
        SaysYesOrNo {}
    }

    #[health]
    fn health(&self) -> bool {
        true
    }
}

fn main() {}
