//! Attacks by number.
#![allow(dead_code, reason = "each test program uses a part")]

use std::time::Duration;

use midflight_transport_api::{Link, Room, SendErrorKind};

use crate::ground::Ground;
use crate::raw::Raw;
use crate::speech::{CLOSE, CREDIT, DATA, OPEN, PING, REFUSAL, confirmation, frame, hello};

/// Bytes that wait to be written to the peer; all there is room for when it is full.
fn held(ground: &Ground, link: &dyn Link) -> usize {
    let mut held = 0;
    match link.write(Room::Small, &mut |outgoing| held = outgoing.held()) {
        Err(error) if *error.kind() == SendErrorKind::Full => ground.config.links.limits.small,
        Err(error) => panic!("{error}"),
        Ok(()) => held,
    }
}

/// Says `bytes` so often that it is 4 MiB, and reads nothing meanwhile.
async fn flood(ground: &Ground, raw: &mut Raw, bytes: &[u8]) {
    let many = bytes.repeat((64 << 10) / bytes.len());
    let all = async {
        for _ in 0..64 {
            raw.say(&many).await.unwrap();
        }
    };
    ground.soon("4 MiB of small frames", all).await;
}

pub(crate) async fn pings_and_nothing_is_read(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    let link = ground.host.link(&name).await;
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    flood(ground, &mut raw, &frame(PING, 0, &[])).await;
    let held = held(ground, &*link);
    assert!(held <= 64, "answers to pings have piled up: {held} bytes");
    raw.is_echoed(1, b"it lives").await;
    drop(raw);
    ground.lost(&name, "broken").await;
}

pub(crate) async fn credits(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    let many = [frame(CREDIT, 1, &[0xff; 4]), frame(CREDIT, u32::MAX, &[0xff; 4])].concat();
    flood(ground, &mut raw, &many).await;
    raw.is_echoed(1, b"it lives").await;
    drop(raw);
    ground.lost(&name, "broken").await;
}

pub(crate) async fn opens(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    let all: Vec<u8> = (0..4096).flat_map(|connection| frame(OPEN, connection, &[])).collect();
    raw.say(&all).await.unwrap();
    raw.is_echoed(4095, b"that many there may be").await;
    raw.say(&frame(OPEN, 4096, &[])).await.unwrap();
    ground.lost(&name, "an open for #4096, whose place is taken").await;
}

pub(crate) async fn opens_and_closes(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    let link = ground.host.link(&name).await;
    let turn = [frame(OPEN, 1, &[]), frame(DATA, 1, b"x"), frame(CLOSE, 1, &[])].concat();
    // The endpoint opens, sends and closes on its side for each, and waits while nobody reads that.
    let many = turn.repeat(2000);
    let mut rounds = 0;
    while rounds < 100 && tokio_timeout(ground, raw.say(&many)).await {
        rounds += 1;
        let held = held(ground, &*link);
        assert!(held <= 2 * ground.config.links.limits.small + (128 << 10), "{held} bytes");
    }
    assert!(rounds > 0);
    drop(raw);
    ground.lost(&name, "broken").await;
}

/// Whether it is done within a while.
async fn tokio_timeout<T>(ground: &Ground, task: impl Future<Output = T>) -> bool {
    midflight_runtime::timeout(&*ground.runtime, Duration::from_millis(300), task).await.is_ok()
}

pub(crate) async fn small_messages(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    let many = frame(DATA, 1, b"").repeat(1000);
    for _ in 0..20 {
        raw.say(&many).await.unwrap();
        let mut back = 0;
        while back < 1000 {
            back += u32::from(raw.frame().await.0 == DATA);
        }
    }
    drop(raw);
    ground.lost(&name, "broken").await;
}

pub(crate) async fn hellos_of_one_name(ground: &Ground) {
    let name = ground.name();
    let mut waiting = Vec::new();
    for _ in 0..40 {
        let mut raw = ground.dial().await;
        raw.say(&hello(name.as_str())).await.unwrap();
        waiting.push(raw);
    }
    // Each was welcome, and only the last that was may confirm.
    for raw in &mut waiting {
        raw.message().await;
        let _ = raw.say(&confirmation()).await;
    }
    ground.host.link(&name).await;
    drop(waiting);
    ground.lost(&name, "broken").await;
}

/// Three thousand sockets, of which some have shaken TLS's hands, or said half a hello.
pub(crate) async fn thousands_of_half_open_handshakes(ground: &Ground) {
    let mut silent = Vec::new();
    for n in 0..3000 {
        let (socket, from) = ground.socket().await;
        let mut raw = Raw { stream: Box::new(socket), from };
        if n % 3 == 0 {
            // Either is the beginning of something.
            let bytes: &[u8] = if ground.is_tls() { &[22, 3, 1] } else { b"midfl" };
            let _ = raw.say(bytes).await;
        }
        silent.push(raw);
    }
    // One that means it needs no luck, although all places are taken.
    drop(ground.linked().await);
    let ended = async {
        for raw in &mut silent {
            raw.end().await;
        }
    };
    ground.soon("the end of all half-open handshakes", ended).await;
    ground.said("too many handshakes, and this was the longest").await;
}

/// As many links as there may be, by one who has a name for each; the next is told so.
pub(crate) async fn as_many_links_as_there_may_be(ground: &Ground) {
    let mut linked = Vec::new();
    let max = ground.config.links.links_max;
    while ground.host.links() < max {
        let (mut raw, name) = ground.linked().await;
        raw.say(&frame(PING, 0, &[])).await.unwrap();
        linked.push((raw, name));
        for (raw, _) in &mut linked {
            raw.say(&frame(PING, 0, &[])).await.unwrap();
        }
    }
    let mut one_more = ground.dial().await;
    one_more.say(&hello(ground.name().as_str())).await.unwrap();
    assert_eq!(one_more.message().await, (REFUSAL, vec![4]));
    assert_eq!(ground.host.links(), max);
    for (raw, name) in linked {
        drop(raw);
        ground.host.loss(&name).await;
    }
}
