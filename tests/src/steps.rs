//! Steps that scenarios have in common, in the simulator and with real bundles.

use std::time::Duration;

use futures_util::join;
use midflight_dsu::bundle::Bundle;
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{CHUNK_BYTES, CONTROL, Chunk, Deploy, Deployed, Offer, Wanted};
use midflight_process::message::{Message, encode};
use midflight_process::{Context, Pid};

use crate::compiled_format::bundle;
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);

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

/// Sends a bundle's file to a node's control process, as `midflight push` does. Answers what it says at the end.
///
/// # Panics
/// When it does not answer.
pub async fn push(cx: &Context, control: Pid, address: &str, file: &[u8]) -> Wanted {
    let size = file.len() as u64;
    let offer = Offer { address: address.to_owned(), size };
    let mut wanted: Wanted = cx.call(control, offer, MINUTE).await.expect("an answer");
    while let Wanted::From(offset) = wanted {
        let begin = usize::try_from(offset).expect("an offset");
        let end = (begin + CHUNK_BYTES).min(file.len());
        let bytes = file[begin..end].to_vec();
        let chunk = Chunk { address: address.to_owned(), offset, bytes };
        wanted = cx.call(control, chunk, MINUTE).await.expect("an answer");
    }
    wanted
}

/// Pushes compiled-in code to a node and has it deployed.
///
/// # Panics
/// When the node does not take it.
pub async fn push_and_deploy(server: &CodeServer, name: &str, world: &World) -> Deployed {
    push_and_deploy_file(server, bundle(name, &world.key)).await
}

/// The same with a bundle's file.
///
/// # Panics
/// When the node does not take it.
pub async fn push_and_deploy_file(
    server: &CodeServer,
    (bundle, file): (Bundle, Vec<u8>),
) -> Deployed {
    let address = bundle.address().to_string();
    let control = server.node().whereis(CONTROL).expect("it serves");
    let deployed = server.node().run("operator", move |cx| async move {
        assert_eq!(push(&cx, control, &address, &file).await, Wanted::No);
        let (policy, course) = (Policy::Migrate, <_>::default());
        let deploy = Deploy { address, watcher: None, policy, course };
        cx.call::<_, Deployed>(control, deploy, 10 * MINUTE).await.expect("an answer")
    });
    deployed.await.expect("it lives")
}
