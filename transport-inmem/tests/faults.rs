//! What can be wrong with the network: half-open paths, slow endpoints, connections out of order.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use bytes::Bytes;
use midflight_runtime::SimRuntime;
use midflight_transport_api::conformance::{Party, Seen, send, send_large};
use midflight_transport_api::{Bind, ConnectionId, LossKind, Room};
use midflight_transport_inmem::Hub;

fn listen(name: &str) -> Bind {
    Bind::Listen { listen: format!("mem:{name}").parse().unwrap(), advertise: None }
}

const BOUND: Duration = Duration::from_secs(1);

/// Runs `case` with a hub and two endpoints, in virtual time.
fn between_two<F: Future<Output = ()> + Send + 'static>(
    seed: u64,
    case: impl FnOnce(Hub, midflight_runtime::Handle, Party, Party) -> F + Send + 'static,
) {
    let sim = SimRuntime::new(seed);
    let (hub, handle) = (Hub::new(seed), sim.handle());
    let transport = hub.transport(handle.clone()).heartbeat(BOUND);
    let done = sim.run(1_000_000, async move {
        let a = Party::with(&transport, listen("a"), false).await;
        let b = Party::with(&transport, listen("b"), false).await;
        case(hub, handle, a, b).await;
    });
    done.unwrap();
}

/// Only one direction is cut: whoever hears nothing says the peer is silent and goes, which the other
/// is told on the path that is left.
#[test]
fn a_half_open_link_is_lost_to_both() {
    between_two(1, |hub, handle, a, b| async move {
        let link = a.connect(&b).await;
        let connection = link.open().unwrap();
        send(&*link, connection, b"before").await.unwrap();
        b.received().await;
        let began = handle.now();
        hub.cut_one_way(a.address(), b.address());
        send(&*link, connection, b"into the void").await.unwrap();
        assert_eq!(b.lost().await.1.kind, LossKind::Silent);
        assert_eq!(a.lost().await.1.kind, LossKind::Broken);
        let took = handle.now().since(began);
        assert!(took >= BOUND.mul_f64(0.8) && took <= BOUND.mul_f64(1.2), "{took:?}");
        assert!(!b.seen().iter().any(|(_, seen)| matches!(seen, Seen::Received { .. })));
        hub.heal(a.address(), b.address());
        let link = a.connect(&b).await;
        let connection = link.open().unwrap();
        send(&*link, connection, b"after").await.unwrap();
        assert_eq!(b.received().await.1[..], *b"after");
    });
}

/// An endpoint that takes a million bytes a second needs twenty seconds for twenty million, is not silent
/// meanwhile, and bounds what its sender may have under way.
#[test]
fn a_slow_endpoint_takes_its_time() {
    between_two(2, |hub, handle, a, b| async move {
        let link = a.connect(&b).await;
        let connection = link.open().unwrap();
        hub.set_slow(b.address(), Some(1_000_000));
        let began = handle.now();
        for _ in 0..20 {
            send_large(&*link, connection, Bytes::from(vec![1; 1_000_000])).await.unwrap();
        }
        assert!(handle.now().since(began) >= Duration::from_secs(10), "its sender had to wait");
        for _ in 0..20 {
            b.received().await;
        }
        let took = handle.now().since(began).as_secs_f64();
        assert!((20.0..21.0).contains(&took), "{took} s");
    });
}

/// Whether ten messages, each on its own of two connections, came in another order than they went.
fn overtaken(seed: u64, reorder: bool) -> bool {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    between_two(seed, move |hub, _, a, b| async move {
        hub.set_reorder(reorder);
        let link = a.connect(&b).await;
        let connections = [link.open().unwrap(), link.open().unwrap()];
        link.write(Room::Small, &mut |outgoing| {
            for n in 0..10_u8 {
                outgoing.message(connections[usize::from(n % 2)], &[n]).unwrap();
            }
        })
        .unwrap();
        let mut came = Vec::new();
        for _ in 0..10 {
            came.push(b.received().await);
        }
        let of = |one: ConnectionId| {
            let bytes = came.iter().filter(|(connection, _)| *connection == one);
            bytes.map(|(_, payload)| payload[0]).collect::<Vec<_>>()
        };
        assert_eq!(of(connections[0]), [0, 2, 4, 6, 8]);
        assert_eq!(of(connections[1]), [1, 3, 5, 7, 9]);
        let order: Vec<_> = came.iter().map(|(_, payload)| payload[0]).collect();
        tell.send(order != (0..10).collect::<Vec<_>>()).unwrap();
    });
    told.recv().unwrap()
}

#[test]
fn connections_overtake_each_other_when_asked_to() {
    assert!((0..10).any(|seed| overtaken(seed, true)));
    assert!(!(0..10).any(|seed| overtaken(seed, false)));
}

/// A long message whose end was read past the buffer is passed on at once, and not with whatever comes
/// next.
#[test]
fn a_long_message_waits_for_nothing_behind_it() {
    between_two(3, |_, handle, a, b| async move {
        let link = a.connect(&b).await;
        let connection = link.open().unwrap();
        b.opened().await;
        for len in [20_000, 60_000, 1 << 20] {
            let began = handle.now();
            send_large(&*link, connection, Bytes::from(vec![1; len])).await.unwrap();
            assert_eq!(b.received().await.1.len(), len);
            assert_eq!(handle.now(), began, "nothing takes time on this network");
        }
    });
}

/// What was appended whole before a `fill` panicked waits for nothing else to be written.
#[test]
fn what_was_whole_before_a_panic_goes_out() {
    between_two(4, |_, handle, a, b| async move {
        let link = a.connect(&b).await;
        let connection = link.open().unwrap();
        b.opened().await;
        let began = handle.now();
        let fill = std::panic::AssertUnwindSafe(|| {
            link.write(Room::Small, &mut |outgoing| {
                outgoing.message(connection, b"whole").unwrap();
                panic!("on purpose");
            })
        });
        std::panic::catch_unwind(fill).unwrap_err();
        assert_eq!(b.received().await.1[..], *b"whole");
        assert_eq!(handle.now(), began);
    });
}
