//! Attacks in the name of one who is linked.

use midflight_transport_api::{Address, LossKind};

use crate::ground::Ground;
use crate::raw::Raw;
use crate::speech::{DATA, LINKED, OPEN, PING, REFUSAL, WELCOME, confirmation, frame, hello};

/// Twice on one stream.
pub(crate) async fn a_replayed_hello(ground: &Ground) {
    let name = ground.name();
    let mut raw = ground.welcomed(&name).await;
    raw.say(&hello(name.as_str())).await.unwrap();
    raw.end().await;
    ground.logged(&format!("from={}", raw.from), "handshake message out of turn").await;
    assert!(ground.host.living(&name).is_none());
}

/// As the first frame.
pub(crate) async fn a_replayed_confirmation(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&confirmation()).await.unwrap();
    let loss = ground.lost(&name, "the peer sent a frame of ").await;
    assert_eq!(loss.kind, LossKind::Violation);
    raw.end().await;
}

/// Says something every now and then, until `other` is done.
async fn beside<T>(ground: &Ground, raw: &mut Raw, other: impl Future<Output = T>) -> T {
    let lives = async {
        loop {
            raw.say(&frame(PING, 0, &[])).await.unwrap();
            ground.pause(50).await;
        }
    };
    tokio::select! {
        done = other => done,
        () = lives => unreachable!("it never ends"),
    }
}

/// What one who says hello as `name` is told.
async fn told(ground: &Ground, name: &Address) -> (u8, Vec<u8>) {
    let mut raw = ground.dial().await;
    raw.say(&hello(name.as_str())).await.unwrap();
    raw.message().await
}

pub(crate) async fn hello_while_the_link_lives(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    raw.is_echoed(1, b"it is in use").await;
    let link = ground.host.link(&name).await;
    for _ in 0..5 {
        let (kind, body) = beside(ground, &mut raw, told(ground, &name)).await;
        assert_eq!((kind, body[0]), (REFUSAL, LINKED));
    }
    raw.is_echoed(1, b"nothing has changed").await;
    assert_eq!(ground.host.link(&name).await.id(), link.id());
    ground.logged(&format!("peer={name}"), "the link to the endpoint of that name lives").await;
}

/// A peer that has lost the link without our noticing comes back.
pub(crate) async fn hello_while_the_link_is_silent(ground: &Ground) {
    let (mut half_dead, name) = ground.linked().await;
    half_dead.say(&frame(OPEN, 1, &[])).await.unwrap();
    half_dead.is_echoed(1, b"it is in use").await;
    let first = ground.host.link(&name).await.id();
    let mut again = ground.welcomed(&name).await;
    again.say(&confirmation()).await.unwrap();
    ground.lost(&name, "the peer makes another link, and is silent on this one").await;
    assert!(ground.host.link(&name).await.id() > first);
    again.say(&frame(OPEN, 1, &[])).await.unwrap();
    again.is_echoed(1, b"here again").await;
}

/// The endpoint itself takes nothing from the link at the moment, so that it hears nothing: that is
/// not the peer's fault.
pub(crate) async fn hello_while_nothing_is_taken(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    raw.is_echoed(1, b"one").await;
    ground.host.pause(&name, true);
    // This is the last that is read: what is asked before reading is asked after it, too.
    raw.say(&frame(DATA, 1, b"two")).await.unwrap();
    for _ in 0..3 {
        let (kind, body) = beside(ground, &mut raw, told(ground, &name)).await;
        assert_ne!(kind, WELCOME, "there is a link, and it lives");
        assert_eq!((kind, body[0]), (REFUSAL, LINKED));
    }
    ground.host.pause(&name, false);
    raw.is_echoed(1, b"three").await;
    assert!(!ground.host.has_lost(&name));
}
