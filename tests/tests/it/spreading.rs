//! How a bundle's bytes come to many nodes: once to each, from whoever has them (E45).

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::protocol::{CHUNK_BYTES, CONTROL, Deployed, Fetch, Part, Stage, Vote};
use midflight_process::{Context, Pid, Received};
use midflight_tests::compiled_format::bundle_of_size;
use midflight_tests::steps::push_and_deploy_file;
use midflight_tests::world::{World, simulate};

const MINUTE: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// So many nodes, `n0` the first of them, that know each other.
async fn cluster(world: &World, size: usize) -> Vec<CodeServer> {
    let mut servers = vec![world.node("n0", None).await];
    for number in 1..size {
        servers.push(world.node(&format!("n{number}"), Some("n0")).await);
    }
    world.have_met(&servers).await;
    servers
}

/// What a node has got from the others.
fn received(server: &CodeServer) -> u64 {
    server.node().metrics().peers.iter().map(|peer| peer.received.bytes).sum()
}

#[test]
fn five_megabytes_go_once_to_each_of_sixteen_nodes_and_not_again() {
    simulate(1, |world| async move {
        let servers = cluster(&world, 16).await;
        let all = || servers.iter().map(received).sum::<u64>();
        let pushed = bundle_of_size("counter-v1", 5 * MIB, &*world.runtime, &world.key);
        let size = pushed.1.len() as u64;
        let before = all();
        let deployed = push_and_deploy_file(&servers[0], pushed.clone()).await;
        assert!(matches!(&deployed, Deployed::Everywhere { nodes, .. } if nodes.len() == 16));
        let cold = all() - before;
        // The first node has it from the operator, who is on that node here.
        assert!((15 * size..15 * size * 21 / 20).contains(&cold), "{cold} of {size} each");

        let before = all();
        let deployed = push_and_deploy_file(&servers[5], pushed).await;
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
        let again = all() - before;
        assert!(again < size / 10, "{again} bytes for what is there");
    });
}

/// Asks a node to stage a bundle that `from` is said to have.
async fn stage(cx: &Context, on: &CodeServer, address: String, from: Pid) -> Vote {
    let control = cx.node().whereis_on(on.node().id(), CONTROL).await.unwrap().unwrap();
    cx.call(control, Stage { address, from, goes_back: false }, 2 * MINUTE).await.unwrap()
}

#[test]
fn a_node_that_is_lost_in_the_middle_is_replaced_by_another_that_has_it() {
    simulate(3, |world| async move {
        let servers = cluster(&world, 3).await;
        let [a, b, c] = &servers[..] else { unreachable!("three nodes") };
        world.hub.set_delay(Duration::from_millis(5));
        let (bundle, file) = bundle_of_size("counter-v1", 2 * MIB, &*world.runtime, &world.key);
        let (address, size) = (bundle.address(), file.len() as u64);
        for server in [a, b] {
            server.accept(address, &file).await.unwrap();
        }
        let from = a.node().whereis(CONTROL).unwrap();
        let (on, staging) = (c.clone(), address.to_string());
        let staged = b.node().run("operator", async move |cx| stage(&cx, &on, staging, from).await);
        let cut = async {
            world.until(MINUTE, "half of it is there", || received(c) >= MIB as u64).await;
            world.hub.cut(&World::address("n0"), &World::address("n2"));
        };
        let (vote, ()) = futures_util::join!(staged, cut);
        let vote = vote.unwrap();
        assert!(matches!(vote, Vote::Yes { .. }), "{vote:?}");
        let again = received(c);
        assert!(again < size + MIB as u64 / 2, "{again} bytes of {size} came: some came twice");
    });
}

/// How a node answers that says it has a bundle.
#[derive(Debug, Clone, Copy)]
enum Lie {
    /// With as many bytes as there are, and others.
    OtherBytes,
    /// With nothing after the first part.
    Nothing,
    /// With a byte at a time, each just in time.
    Slowly,
}

/// A node that is no code server, and answers as one.
async fn liar(world: &World, lie: Lie, file: Vec<u8>) -> Pid {
    let transport = world.hub.transport(world.runtime.clone());
    let builder = midflight_process::Node::builder("liar").listen(World::address("liar"));
    let node = builder.start(&transport, world.runtime.clone()).await.unwrap();
    node.connect(&World::address("n0")).await.unwrap();
    let control = node.spawn("lies", move |cx| async move {
        loop {
            let asked: Received<Fetch> = cx.receive().on(|asked| asked).forever().await;
            let at = usize::try_from(asked.message.offset).unwrap();
            let end = (at + CHUNK_BYTES).min(file.len());
            let bytes = match lie {
                Lie::OtherBytes => file[at..end].iter().map(|byte| !byte).collect(),
                Lie::Nothing if at > 0 => Vec::new(),
                Lie::Nothing => file[at..end].to_vec(),
                Lie::Slowly => {
                    cx.sleep(Duration::from_secs(9)).await;
                    file[at..=at].to_vec()
                }
            };
            let size = file.len() as u64;
            asked.reply_to.unwrap().reply(Part { size, bytes });
        }
    });
    let control = control.unwrap();
    node.register(CONTROL, control).unwrap();
    control
}

#[test]
fn one_that_sends_something_else_or_too_slowly_is_replaced_by_another_that_has_it() {
    for lie in [Lie::OtherBytes, Lie::Nothing, Lie::Slowly] {
        simulate(2, move |world| async move {
            let servers = cluster(&world, 2).await;
            let [a, b] = &servers[..] else { unreachable!("two nodes") };
            let made = bundle_of_size("counter-v1", MIB / 2, &*world.runtime, &world.key);
            let (address, file) = (made.0.address(), made.1);
            a.accept(address, &file).await.unwrap();
            let from = liar(&world, lie, file).await;
            let (on, staging) = (b.clone(), address.to_string());
            let staged =
                a.node().run("operator", async move |cx| stage(&cx, &on, staging, from).await);
            let vote = staged.await.unwrap();
            assert!(matches!(vote, Vote::Yes { .. }), "{lie:?}: {vote:?}");
        });
    }
}
