//! Attacks before there is a link.

use std::time::Duration;

use crate::ground::Ground;
use crate::raw::Raw;
use crate::speech::{self, HELLO, REFUSAL, confirmation, hello, message};
use tokio::io::AsyncWriteExt as _;

const NO_SPEECH: &str = "it does not speak Midflight's protocol";
const TOO_LONG: &str = "the handshake took too long";

fn random(ground: &Ground, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ground.runtime.fill_random(&mut bytes);
    // Neither the beginning of our handshake nor of TLS's.
    bytes[0] = 0xff;
    bytes
}

pub(crate) async fn garbage_to_the_port(ground: &Ground) {
    for n in 0..20 {
        let (socket, from) = ground.socket().await;
        let mut raw = Raw { stream: Box::new(socket), from };
        let _ = raw.say(&random(ground, 500)).await;
        raw.end().await;
        if n < 3 {
            let why =
                if ground.is_tls() { "in the handshake: received corrupt" } else { NO_SPEECH };
            ground.logged(&format!("from={}", raw.from), why).await;
        }
    }
}

pub(crate) async fn garbage_on_the_stream(ground: &Ground) {
    for n in 0..10 {
        let mut raw = ground.dial().await;
        let _ = raw.say(&random(ground, 500)).await;
        assert!(raw.end().await.is_empty());
        if n < 3 {
            ground.logged(&format!("from={}", raw.from), NO_SPEECH).await;
        }
    }
}

pub(crate) async fn early_close_at_every_byte_of_the_handshake(ground: &Ground) {
    let name = ground.name();
    let (hello, confirmation) = (hello(name.as_str()), confirmation());
    for cut in 0..hello.len() {
        let mut raw = ground.dial().await;
        raw.say(&hello[..cut]).await.unwrap();
        let from = format!("from={}", raw.from);
        drop(raw);
        if cut < 3 {
            ground.logged(&from, "in the handshake: ").await;
        }
    }
    for cut in 0..confirmation.len() {
        let mut raw = ground.welcomed(&name).await;
        raw.say(&confirmation[..cut]).await.unwrap();
    }
    ground.logged(&format!("peer={name}"), "welcome, and left").await;
    assert!(ground.host.living(&name).is_none() && !ground.host.has_lost(&name));
    // The name has taken no harm.
    drop(ground.linked_as(&name).await);
    ground.lost(&name, "broken").await;
}

pub(crate) async fn an_oversize_message(ground: &Ground) {
    let mut raw = ground.dial().await;
    let mut head = message(HELLO, (1, 1), &[]);
    head[13..15].copy_from_slice(&[0xff, 0xff]);
    raw.say(&head).await.unwrap();
    assert!(raw.end().await.is_empty(), "it is not waited for");
    ground.logged(&format!("from={}", raw.from), "handshake message of 65535 bytes").await;
}

pub(crate) async fn messages_that_are_none(ground: &Ground) {
    let name = ground.name();
    let mut unfinished = hello(name.as_str());
    unfinished[13] -= 1;
    for (bytes, why) in [
        (unfinished, "malformed handshake message"),
        (message(HELLO, (1, 1), b"who?"), "malformed handshake message"),
        (message(HELLO, (2, 1), b""), "version range 2 to 1"),
        (message(9, (1, 1), b""), "handshake message of kind 9"),
        (confirmation(), "handshake message out of turn"),
        (message(REFUSAL, (1, 1), &[1]), "handshake message out of turn"),
    ] {
        let mut raw = ground.dial().await;
        raw.say(&bytes).await.unwrap();
        assert!(raw.end().await.is_empty());
        ground.logged(&format!("from={}", raw.from), why).await;
    }
}

/// Writes one byte after the other until the endpoint has had enough; the stream has been there since
/// `began` at the latest.
async fn drip(ground: &Ground, began: Duration, mut raw: Raw, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        if raw.say(&[*byte]).await.is_err() {
            break;
        }
        ground.pause(40).await;
    }
    raw.end().await;
    assert!(ground.now() - began >= ground.config.links.handshake_deadline);
    ground.logged(&format!("from={}", raw.from), TOO_LONG).await;
}

pub(crate) async fn a_dripped_hello(ground: &Ground) {
    let long = message(HELLO, (1, 1), &[b'x'; 1000]);
    let began = ground.now();
    let raw = ground.dial().await;
    ground.soon("the end of a dripped hello", drip(ground, began, raw, &long)).await;
    let began = ground.now();
    let (socket, from) = ground.socket().await;
    let raw = Raw { stream: Box::new(socket), from };
    // To TLS, the beginning of a record of its handshake.
    let bytes = if ground.is_tls() { vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3] } else { long };
    ground.soon("the end of a dripped stream", drip(ground, began, raw, &bytes)).await;
}

pub(crate) async fn silence_after_connect(ground: &Ground) {
    let began = ground.now();
    let mut silent = Vec::new();
    for _ in 0..4 {
        let (socket, from) = ground.socket().await;
        silent.push(Raw { stream: Box::new(socket), from });
        silent.push(ground.dial().await);
    }
    for raw in &mut silent {
        raw.end().await;
    }
    assert!(ground.now() - began >= ground.config.links.handshake_deadline);
    ground.logged(&format!("from={}", silent[0].from), TOO_LONG).await;
}

pub(crate) async fn a_welcome_never_confirmed(ground: &Ground) {
    let name = ground.name();
    let mut raw = ground.welcomed(&name).await;
    let began = ground.now();
    // Others of that name are not kept out.
    drop(ground.linked_as(&name).await);
    ground.lost(&name, "broken").await;
    raw.end().await;
    assert!(ground.now() - began <= ground.config.links.handshake_deadline * 3);
    ground.logged(&format!("from={}", raw.from), TOO_LONG).await;
    assert!(ground.host.living(&name).is_none());
}

pub(crate) async fn frames_before_the_confirmation(ground: &Ground) {
    let name = ground.name();
    let mut raw = ground.welcomed(&name).await;
    let mut bytes = speech::frame(speech::OPEN, 0, &[]);
    bytes.extend_from_slice(&speech::frame(speech::DATA, 0, b"too early"));
    raw.say(&bytes).await.unwrap();
    raw.end().await;
    ground.logged(&format!("from={}", raw.from), NO_SPEECH).await;
    assert!(ground.host.living(&name).is_none() && !ground.host.has_lost(&name));
}

pub(crate) async fn no_common_version(ground: &Ground) {
    let mut raw = ground.dial().await;
    raw.say(&message(HELLO, (7, 9), b"of a later version")).await.unwrap();
    let (kind, body) = raw.message().await;
    assert_eq!((kind, body), (REFUSAL, vec![1]));
    raw.end().await;
    let why = "no common protocol version: ours 1 to 1, theirs 7 to 9";
    ground.logged(&format!("from={}", raw.from), why).await;
}

pub(crate) async fn an_address_that_is_none_of_a_peer(ground: &Ground) {
    let own = ground.endpoint.address().as_str();
    for (address, why) in [("mem:x", "one of another transport"), (own, "same endpoint")] {
        let mut raw = ground.dial().await;
        raw.say(&hello(address)).await.unwrap();
        raw.end().await;
        let who = if address == own { format!("from={own}") } else { format!("from={}", raw.from) };
        ground.logged(&who, why).await;
    }
    let mut raw = ground.dial().await;
    raw.stream.write_all(&hello("no address")).await.unwrap();
    raw.end().await;
    ground.logged(&format!("from={}", raw.from), "malformed").await;
}
