//! Dials that cross, in each order, by hand.
//!
//! Of two crossing dials that of the smaller address counts. So a peer with the smaller one is first,
//! and one with the larger must yield.

use std::sync::Arc;

use midflight_transport_api::{Address, ConnectErrorKind, Link};
use tokio::net::TcpListener;

use crate::ground::Ground;
use crate::raw::Raw;
use crate::speech::{
    CONFIRMATION, CROSSED, HELLO, OPEN, REFUSAL, WELCOME, confirmation, frame, hello, introduction,
    message,
};

/// A peer that can be dialled, with a smaller address than the endpoint's, or a larger one. Both are
/// this machine.
async fn peer(ground: &Ground, smaller: bool) -> (TcpListener, Address) {
    let (listener, _) = ground.listener().await;
    let port = listener.local_addr().unwrap().port();
    let host = if smaller { "0.0.0.0" } else { "localhost" };
    let address = ground.address(format_args!("{host}:{port}"));
    assert_eq!(address < *ground.endpoint.address(), smaller);
    (listener, address)
}

fn welcome(name: &Address) -> Vec<u8> {
    message(WELCOME, (1, 1), &introduction(name.as_str(), 9))
}

/// The endpoint's own dial, under way, and its stream at the peer, which has heard the hello.
async fn dials(ground: &Ground, listener: &TcpListener) -> Raw {
    let mut theirs = ground.dialled(listener).await;
    assert_eq!(theirs.message().await.0, HELLO);
    theirs
}

/// One link it is, to which both ways lead, and it works.
async fn is_one(ground: &Ground, mut raw: Raw, name: &Address, connected: Arc<dyn Link>) {
    assert_eq!(ground.host.link(name).await.id(), connected.id());
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    raw.is_echoed(1, b"one link").await;
    assert!(!ground.host.has_lost(name));
    drop(raw);
    ground.lost(name, "broken").await;
}

pub(crate) async fn crossed_and_the_peer_is_first(ground: &Ground) {
    let (listener, name) = peer(ground, true).await;
    let crossing = async {
        let mut theirs = dials(ground, &listener).await;
        let mut ours = ground.welcomed(&name).await;
        // Its own dial does not count any more, whatever the peer says.
        theirs.say(&welcome(&name)).await.unwrap();
        assert!(theirs.end().await.is_empty(), "a dial that has yielded was confirmed");
        ours.say(&confirmation()).await.unwrap();
        ours
    };
    let (connected, raw) = tokio::join!(ground.endpoint.connect(&name), crossing);
    is_one(ground, raw, &name, connected.unwrap()).await;
}

/// The peer is first, takes its time, and lets the dial that the endpoint makes meanwhile wait for an
/// answer: who connects has the link as soon as it is there.
pub(crate) async fn crossed_and_the_peer_takes_its_time(ground: &Ground) {
    let (listener, name) = peer(ground, true).await;
    let crossing = async {
        let mut first = dials(ground, &listener).await;
        let mut ours = ground.welcomed(&name).await;
        first.say(&welcome(&name)).await.unwrap();
        first.end().await;
        let unanswered = dials(ground, &listener).await;
        ours.say(&confirmation()).await.unwrap();
        (ours, unanswered)
    };
    let began = ground.now();
    let (connected, (raw, unanswered)) = tokio::join!(ground.endpoint.connect(&name), crossing);
    assert!(ground.now() - began < ground.config.links.handshake_deadline);
    is_one(ground, raw, &name, connected.unwrap()).await;
    drop(unanswered);
}

pub(crate) async fn crossed_and_the_peer_must_yield(ground: &Ground) {
    let (listener, name) = peer(ground, false).await;
    let crossing = async {
        let mut theirs = dials(ground, &listener).await;
        let mut ours = ground.dial().await;
        ours.say(&hello(name.as_str())).await.unwrap();
        assert_eq!(ours.refusal().await, CROSSED);
        assert!(ours.end().await.is_empty());
        theirs.say(&welcome(&name)).await.unwrap();
        assert_eq!(theirs.message().await.0, CONFIRMATION);
        theirs
    };
    let (connected, raw) = tokio::join!(ground.endpoint.connect(&name), crossing);
    is_one(ground, raw, &name, connected.unwrap()).await;
}

/// The dial has become the link already when the peer's hello comes.
pub(crate) async fn crossed_after_it_is_welcome(ground: &Ground) {
    let (listener, name) = peer(ground, true).await;
    let crossing = async {
        let mut theirs = dials(ground, &listener).await;
        theirs.say(&welcome(&name)).await.unwrap();
        assert_eq!(theirs.message().await.0, CONFIRMATION);
        theirs
    };
    let (connected, mut theirs) = tokio::join!(ground.endpoint.connect(&name), crossing);
    let connected = connected.unwrap();
    let mut ours = ground.dial().await;
    ours.say(&hello(name.as_str())).await.unwrap();
    let refused = async {
        assert_eq!(ours.message().await.0, REFUSAL);
    };
    let answers = async {
        loop {
            theirs.say(&frame(crate::speech::PONG, 0, &[])).await.unwrap();
            ground.pause(20).await;
        }
    };
    tokio::select! {
        () = refused => {}
        () = answers => {}
    }
    is_one(ground, theirs, &name, connected).await;
}

/// The peer is welcome before anybody here connects: that waits, and gets the peer's link.
pub(crate) async fn crossed_before_the_dial(ground: &Ground) {
    for smaller in [true, false] {
        let (listener, name) = peer(ground, smaller).await;
        let mut ours = ground.welcomed(&name).await;
        let confirms = async {
            ground.pause(50).await;
            ours.say(&confirmation()).await.unwrap();
            ours
        };
        let (connected, raw) = tokio::join!(ground.endpoint.connect(&name), confirms);
        is_one(ground, raw, &name, connected.unwrap()).await;
        let undialled = async {
            tokio::select! {
                biased;
                dialled = listener.accept() => panic!("{dialled:?}"),
                () = std::future::ready(()) => {}
            }
        };
        undialled.await;
    }
}

/// The peer is first and then does not confirm: the endpoint dials again, and that counts.
pub(crate) async fn crossed_and_never_confirmed(ground: &Ground) {
    let (listener, name) = peer(ground, true).await;
    let crossing = async {
        let mut theirs = dials(ground, &listener).await;
        let ours = ground.welcomed(&name).await;
        theirs.say(&welcome(&name)).await.unwrap();
        theirs.end().await;
        drop(ours);
        loop {
            let mut again = dials(ground, &listener).await;
            again.say(&welcome(&name)).await.unwrap();
            let mut kind = [0; crate::speech::HEAD_LEN];
            if tokio::io::AsyncReadExt::read_exact(&mut again.stream, &mut kind).await.is_ok() {
                assert_eq!(kind[8], CONFIRMATION);
                return again;
            }
        }
    };
    let (connected, raw) = tokio::join!(ground.endpoint.connect(&name), crossing);
    is_one(ground, raw, &name, connected.unwrap()).await;
}

pub(crate) async fn welcome_in_the_diallers_own_name(ground: &Ground) {
    let (listener, name) = ground.listener().await;
    let answers = async {
        let mut theirs = dials(ground, &listener).await;
        theirs.say(&welcome(ground.endpoint.address())).await.unwrap();
        theirs.end().await;
    };
    let (connected, ()) = tokio::join!(ground.endpoint.connect(&name), answers);
    let error = connected.unwrap_err();
    assert_eq!(*error.kind(), ConnectErrorKind::BadAddress, "{error}");
    assert!(ground.host.living(&name).is_none());
}
