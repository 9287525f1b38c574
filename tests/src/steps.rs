//! Steps that scenarios have in common, in the simulator and with real bundles.

use std::time::Duration;

use futures_util::join;
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::ContentAddress;
use midflight_process::message::{Message, encode};
use midflight_process::{Context, Pid};

use crate::compiled_format::bundle;
use crate::world::World;

/// Brings a bundle's file to where it could run.
///
/// # Panics
/// When the node does not take it.
pub async fn stage_file(server: &CodeServer, address: ContentAddress, file: &[u8]) {
    server.accept(address, file).await.expect("it is accepted");
    server.stage(address).await.expect("it is staged");
}

/// Brings a bundle of compiled-in code to where it could run.
///
/// # Panics
/// When the node does not take it.
pub async fn stage(world: &World, server: &CodeServer, name: &str) -> ContentAddress {
    let (bundle, file) = bundle(name, &world.key);
    stage_file(server, bundle.address(), &file).await;
    bundle.address()
}

/// Stages a bundle of compiled-in code and switches to it.
///
/// # Panics
/// When the node does not.
pub async fn run_version(world: &World, server: &CodeServer, name: &str) -> ContentAddress {
    let address = stage(world, server, name).await;
    server.activate(address).await.expect("it is activated");
    address
}

/// Starts a process of a behaviour from `begin`.
///
/// # Panics
/// When it does not start.
pub fn start(server: &CodeServer, behaviour: &str, begin: &impl Message) -> Pid {
    let mut start = Vec::new();
    encode(begin, &mut start).expect("it encodes");
    server.start(behaviour, &start).expect("it starts")
}

/// Sends ten pings, each pong awaited for `patience`. The update is asked for before ping `k` is
/// sent, which so waits behind it.
///
/// # Panics
/// When a pong is missing, out of order or from the wrong version.
pub async fn ten_pings(
    cx: &Context,
    server: &CodeServer,
    ponger: Pid,
    v2: ContentAddress,
    k: u64,
    patience: Duration,
) {
    let ping = |n| ponger_v1::Ping { n, from: cx.me() };
    for n in 1..=10 {
        if n == k {
            let (activated, sent) = join!(server.activate(v2), cx.send(ponger, ping(n)));
            assert_eq!(activated.expect("it is activated"), 1);
            sent.expect("it is sent");
        } else {
            cx.send(ponger, ping(n)).await.expect("it is sent");
        }
        let pong: Option<ponger_v1::Pong> = cx.expect_timeout(patience).await;
        let code_version = if n < k { 1 } else { 2 };
        assert_eq!(pong, Some(ponger_v1::Pong { n, pongs: n, code_version }), "k = {k}");
    }
}
