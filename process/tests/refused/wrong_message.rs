//! A typed handle is given something that its process does not take.

use std::time::Duration;

use midflight_process::managed::{Request, ServerRef};
use midflight_process::message::Message;
use midflight_process::{Context, ProcessRef, Protocol, Takes};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
struct Add(u64);

#[derive(Serialize, Deserialize, Message)]
struct Reset;

#[derive(Serialize, Deserialize, Message)]
struct Total;

impl Request for Total {
    type Reply = u64;
}

enum Counter {}

impl Protocol for Counter {
    const NAME: &'static str = "counter.Counter";
    const VERSION: u32 = 1;
}

impl Takes<Add> for Counter {}
impl Takes<Reset> for Counter {}

fn of_one(cx: &Context, adder: ProcessRef<Add>) {
    let _ = cx.try_send(adder, Add(1));
    let _ = cx.try_send(adder, Reset);
}

fn of_several(cx: &Context, counter: &ProcessRef<Counter>) {
    let _ = cx.try_send(counter, Reset);
    drop(cx.send(counter, Total));
    drop(cx.call::<_, u64>(counter, Total, Duration::from_secs(1)));
}

fn managed(cx: &Context, counter: ServerRef<Counter>) {
    drop(counter.cast(cx, Add(1)));
    drop(counter.call(cx, Total));
}

fn main() {}
