//! How a node hosts behaviours that wait, spawn and fail: nobody is left waiting, nothing leaks.

mod calls;
mod updates;

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::ContentAddress;
use midflight_process::message::encode;
use midflight_process::{Context, Pid};
use midflight_tests::compiled_format::bundle;
use midflight_tests::world::World;
use waiter::Begin;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

async fn stage(world: &World, server: &CodeServer, name: &str) -> ContentAddress {
    let (bundle, file) = bundle(name, &world.key);
    server.accept(bundle.address(), &file).await.unwrap();
    server.stage(bundle.address()).await.unwrap();
    bundle.address()
}

async fn run(world: &World, server: &CodeServer, name: &str) -> ContentAddress {
    let address = stage(world, server, name).await;
    server.activate(address).await.unwrap();
    address
}

fn start(server: &CodeServer) -> Pid {
    let mut start = Vec::new();
    encode(&Begin::default(), &mut start).unwrap();
    server.start("waiter", &start).unwrap()
}

/// Lets the waiter call `to` and answers what came of it.
async fn ask(cx: &Context, waiter: Pid, to: Pid, millis: u64) -> String {
    cx.call::<_, waiter::Asked>(waiter, waiter::Ask { to, millis }, MINUTE).await.unwrap().how
}
