//! Attacks with frames, by one who is linked.

use std::time::Duration;

use midflight_transport_api::LossKind;

use crate::ground::Ground;
use crate::speech::{BYE, CLOSE, CREDIT, DATA, EXTENDED, MORE, OPEN, PING, PONG, frame};

pub(crate) async fn early_close_at_every_byte_of_frames(ground: &Ground) {
    let mut bytes = frame(OPEN, 3, &[]);
    bytes.extend_from_slice(&frame(DATA | MORE, 3, b"begun"));
    bytes.extend_from_slice(&frame(CREDIT, 0, &[1, 0, 0, 0]));
    for cut in 0..bytes.len() {
        let (mut raw, name) = ground.linked().await;
        raw.say(&bytes[..cut]).await.unwrap();
        drop(raw);
        let loss = ground.lost(&name, "broken: ").await;
        assert_eq!(loss.kind, LossKind::Broken);
    }
}

pub(crate) async fn frames_that_may_not_be(ground: &Ground) {
    let critical = [2 + 3, 0, 0x80 | 7, 3, 1, 2, 3];
    let header = |len: u32, kind: u8, connection: u32| {
        let mut bytes = (len | u32::from(kind) << 24).to_le_bytes().to_vec();
        bytes.extend_from_slice(&connection.to_le_bytes());
        bytes
    };
    for (bytes, why) in [
        (header(65537, DATA, 1), "a frame of 65537 bytes"),
        (header(0xff_ffff, OPEN, 1), "a frame of 16777215 bytes"),
        (frame(DATA, 7, b"x"), "something for connection #7, which is not open"),
        (frame(DATA | MORE, 7, b"x"), "something for connection #7, which is not open"),
        (frame(CLOSE, 7, &[]), "something for connection #7, which is not open"),
        ([frame(OPEN, 1, &[]), frame(OPEN, 1, &[])].concat(), "an open for #1"),
        // It would have the place of the other.
        ([frame(OPEN, 1, &[]), frame(OPEN, 4097, &[])].concat(), "an open for #4097"),
        ([frame(OPEN, 1, &[]), frame(CLOSE, 1, &[]), frame(DATA, 1, b"x")].concat(), "#1, which"),
        (frame(OPEN | EXTENDED, 1, &critical), "the critical extension 135"),
        (frame(PING | EXTENDED, 0, &critical), "the critical extension 135"),
        (frame(PING | EXTENDED, 0, &[9, 0, 1]), "wrong extensions"),
        (frame(DATA | EXTENDED, 0, &[1]), "wrong extensions"),
        (frame(11, 0, &[]), "frame kind 11"),
        (frame(DATA | 1 << 6, 0, &[]), "header form 1"),
        (frame(PING | MORE, 0, &[]), "a fragment of Ping"),
        (frame(OPEN | MORE, 0, &[]), "a fragment of Open"),
        (frame(PONG, 5, &[]), "Pong for connection #5"),
        (frame(BYE, 0, b"and more"), "Bye with 8 bytes"),
        (frame(CREDIT, 0, b"123"), "Credit with 3 bytes"),
        (
            [frame(OPEN, 1, &[]), frame(DATA | MORE, 1, b"x"), frame(DATA | MORE, 1, b"")].concat(),
            "Data with 0 bytes",
        ),
    ] {
        let (mut raw, name) = ground.linked().await;
        raw.say(&bytes).await.unwrap();
        let loss = ground.lost(&name, why).await;
        assert_eq!(loss.kind, LossKind::Violation);
        raw.end().await;
    }
}

pub(crate) async fn garbage_after_the_handshake(ground: &Ground) {
    for _ in 0..10 {
        let (mut raw, name) = ground.linked().await;
        let mut bytes = [0xff; 5000];
        ground.runtime.fill_random(&mut bytes[3..]);
        let _ = raw.say(&bytes).await;
        assert_eq!(ground.lost(&name, "protocol violation").await.kind, LossKind::Violation);
        raw.end().await;
    }
}

/// Writes fragments, each on the next connection of `connections`, until the link is lost for `why`.
async fn fragments(ground: &Ground, connections: u32, why: &str) {
    let (mut raw, name) = ground.linked().await;
    for connection in 0..connections {
        raw.say(&frame(OPEN, connection, &[])).await.unwrap();
    }
    let max = ground.config.links.limits.max_message;
    let fragment = [7; 60_000];
    let mut wrote = 0;
    for connection in (0..connections).cycle() {
        if raw.say(&frame(DATA | MORE, connection, &fragment)).await.is_err() {
            break;
        }
        wrote += fragment.len();
        // What lies in sockets' buffers comes on top of what the endpoint holds.
        assert!(wrote <= 2 * max + (16 << 20), "it takes fragments without end");
    }
    ground.lost(&name, why).await;
}

pub(crate) async fn endless_fragments_of_one_message(ground: &Ground) {
    fragments(ground, 1, "a message of at least 1080000 bytes, too long").await;
}

pub(crate) async fn endless_fragments_of_many_messages(ground: &Ground) {
    fragments(ground, 50, "bytes of unfinished messages").await;
}

/// Each byte is a sign of life, and the frame is taken when it is whole.
pub(crate) async fn a_dripped_frame(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    let (began, bound) = (ground.now(), ground.config.links.heartbeat);
    for byte in frame(DATA, 1, b"drip drop drip drop") {
        raw.say(&[byte]).await.unwrap();
        ground.pause(bound.as_millis() as u64 / 10).await;
    }
    assert!(ground.now() - began > bound * 2);
    loop {
        let (kind, _, payload) = raw.frame().await;
        if kind == DATA {
            assert_eq!(payload, b"drip drop drip drop");
            break;
        }
    }
    raw.is_echoed(1, b"and quick again").await;
    drop(raw);
    ground.lost(&name, "broken").await;
}

/// T5, over a real socket.
pub(crate) async fn silence_after_the_handshake(ground: &Ground) {
    let (raw, name) = ground.linked().await;
    let began = ground.now();
    let loss = ground.lost(&name, "nothing was heard for").await;
    assert_eq!(loss.kind, LossKind::Silent);
    let (took, bound) = (ground.now() - began, ground.config.links.heartbeat);
    assert!(took >= bound.mul_f64(0.8) && took < bound + Duration::from_secs(5), "{took:?}");
    drop(raw);
}
