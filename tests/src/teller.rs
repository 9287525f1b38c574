//! A behaviour that sends what it is told to, and keeps what it hears of it.

use std::time::Duration;

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// What it sends.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "teller.News", version = 1)]
pub struct News {
    /// Anything.
    pub text: String,
}

/// Send [`News`] to a process.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "teller.Tell", version = 1)]
pub struct Tell {
    /// Whom.
    pub to: Pid,
}

/// Send [`News`] to a process by a timer.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "teller.TellLater", version = 1)]
pub struct TellLater {
    /// Whom.
    pub to: Pid,
}

/// What has it heard?
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "teller.Ask", version = 1)]
pub struct Ask {}

/// All it has heard.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "teller.Heard", version = 1)]
pub struct Heard {
    /// Receiver, type and field of each message of its that was not taken.
    pub undelivered: Vec<(Pid, String, Option<String>)>,
}

/// The behaviour, with its state.
#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub struct Teller {
    undelivered: Vec<(Pid, String, Option<String>)>,
}

#[behaviour(name = "teller", version = 1, sends(News))]
impl Teller {
    fn init(_cx: &mut Context<Self>) -> Self {
        Teller { undelivered: Vec::new() }
    }

    #[handle]
    fn tell(&mut self, cx: &mut Context<Self>, msg: Tell) {
        cx.send(msg.to, &News { text: "news".into() });
    }

    #[handle]
    fn tell_later(&mut self, cx: &mut Context<Self>, msg: TellLater) {
        cx.send_after_to(Duration::from_secs(1), msg.to, &News { text: "later".into() });
    }

    #[handle]
    fn undelivered(&mut self, _cx: &mut Context<Self>, msg: Undelivered) {
        self.undelivered.push((msg.to, msg.type_name, msg.field));
    }

    #[handle]
    fn ask(&mut self, _cx: &mut Context<Self>, _msg: Ask) -> Heard {
        Heard { undelivered: self.undelivered.clone() }
    }
}
