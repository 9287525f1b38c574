//! How a node hosts behaviours that wait, spawn and fail: nobody is left waiting, nothing leaks.

mod calls;
mod coexist;
mod conversions;
mod errands;
mod exits;
mod forms;
mod health;
mod loops;
mod of_a_version;
mod probation;
mod refusals;
mod together;
mod turns;
mod updates;

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_process::{Context, Pid};
use midflight_tests::steps::{run_version as run, stage};
use waiter::Begin;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn start(server: &CodeServer) -> Pid {
    midflight_tests::steps::start(server, "waiter", &Begin::default())
}

/// Lets the waiter call `to` and answers what came of it.
async fn ask(cx: &Context, waiter: Pid, to: Pid, millis: u64) -> String {
    cx.call::<_, waiter::Asked>(waiter, waiter::Ask { to, millis }, MINUTE).await.unwrap().how
}
