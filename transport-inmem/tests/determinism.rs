//! The same seeds give the same run; other seeds another one.

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::SimRuntime;
use midflight_transport_api::conformance::{Party, Seen, send_large};
use midflight_transport_api::{Address, Bind, LossKind, Transport};
use midflight_transport_inmem::Hub;

fn listen(name: &str) -> Bind {
    let listen: Address = format!("mem:{name}").parse().expect("it is an address");
    Bind::Listen { listen, advertise: None }
}

/// Everything that one endpoint of a small busy network sees, every byte that came through and when,
/// and the steps it took.
fn run(seed: u64) -> (Vec<String>, Vec<u8>, u64) {
    let sim = SimRuntime::new(seed);
    let hub = Hub::new(seed);
    hub.set_delay(Duration::from_millis(3));
    hub.set_reorder(true);
    hub.record(64 << 20);
    let recorder = hub.clone();
    let transport: Arc<dyn Transport> = Arc::new(hub.transport(sim.handle()));
    let seen = sim.run(1_000_000, async move {
        let server = Party::with(&*transport, listen("server"), false).await;
        let mut clients = Vec::new();
        hub.set_slow(server.address(), Some(50_000_000));
        for n in 0..5 {
            let client = Party::with(&*transport, listen(&format!("c{n}")), false).await;
            let link = client.connect(&server).await;
            for len in [10, 100_000] {
                let connection = link.open().expect("it opens");
                let payload = bytes::Bytes::from(vec![n; len]);
                send_large(&*link, connection, payload).await.expect("it is sent");
            }
            clients.push(client);
        }
        hub.cut(server.address(), clients[0].address());
        for client in &clients[1..] {
            client.end().close().await;
        }
        clients[0].lost().await;
        let seen = server.seen().into_iter().map(|(link, seen)| match seen {
            Seen::Received { connection, payload, .. } => {
                format!("{link:?} {connection} {} of {}", payload.len(), payload[0])
            }
            other => format!("{link:?} {other:?}"),
        });
        seen.collect()
    });
    (seen.expect("it ends"), recorder.recorded(), sim.steps())
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..5 {
        let (first, second) = (run(seed), run(seed));
        assert!(first.1.len() > 500_000, "every byte is there");
        assert!(first == second, "seed {seed} gave two runs");
    }
    assert_ne!(run(1).0, run(2).0);
}

/// A cut is silence; after it is healed, what was held comes, if the link still lives.
#[test]
fn a_cut_heals() {
    let sim = SimRuntime::new(1);
    let hub = Hub::new(1);
    let handle = sim.handle();
    let transport = hub.transport(handle.clone()).heartbeat(Duration::from_secs(1));
    let done = sim.run(100_000, async move {
        let a = Party::with(&transport, listen("a"), false).await;
        let b = Party::with(&transport, listen("b"), false).await;
        let link = a.connect(&b).await;
        let connection = link.open().expect("it opens");
        b.opened().await;
        hub.cut(a.address(), b.address());
        let payload = bytes::Bytes::from_static(b"held");
        send_large(&*link, connection, payload).await.expect("nobody knows yet");
        handle.sleep(Duration::from_millis(600)).await;
        assert!(b.seen().iter().all(|(_, seen)| *seen == Seen::Up), "nothing comes through");
        hub.heal(a.address(), b.address());
        assert_eq!(b.received().await.1[..], *b"held");

        // One side breaks it while the path is cut: the other hears of it by silence alone.
        hub.cut(a.address(), b.address());
        assert!(a.end().break_link(b.address()));
        assert_eq!(a.lost().await.1.kind, LossKind::Cut);
        assert_eq!(b.lost().await.1.kind, LossKind::Silent);
        let error = a.end().connect(b.address()).await.expect_err("the path is cut");
        assert_eq!(error.to_string(), "cannot connect: the handshake took too long");
        hub.heal(a.address(), b.address());
        a.connect(&b).await;
    });
    done.expect("it ends");
}

/// Two hubs are two networks.
#[test]
fn hubs_do_not_know_each_other() {
    let sim = SimRuntime::new(1);
    let transports = [Hub::new(1), Hub::new(1)].map(|hub| hub.transport(sim.handle()));
    let done = sim.run(10_000, async move {
        let a = Party::with(&transports[0], listen("a"), false).await;
        let b = Party::with(&transports[1], listen("b"), false).await;
        a.end().connect(b.address()).await.expect_err("it is on another network");
        Party::with(&transports[1], listen("a"), false).await;
    });
    done.expect("it ends");
}
