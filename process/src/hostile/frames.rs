//! Frames that may not be.

use std::time::Duration;

use super::ground::End::{Cut, Ignored};
use super::ground::{End, Ground};
use super::raw::{FROM, Raw, announcement, frame_of, message};
use crate::peer::wire::{Place, Signal};

pub(super) async fn an_empty_frame(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.send(&[]).await;
    (raw, Cut("an empty frame"))
}

/// Each on a link of its own, as long as that lives.
pub(super) async fn random_frames(ground: Ground) -> (Raw, End) {
    for number in 0..40_u64 {
        let raw = ground.dial_as("random", 1_000 + number).await;
        raw.meet().await;
        for _ in 0..20 {
            let mut bytes = vec![0; (ground.random() % 300) as usize];
            bytes.iter_mut().for_each(|byte| *byte = ground.random() as u8);
            if let Some(kind) = bytes.first_mut() {
                *kind %= 7;
            }
            // Most signals: the numbers of variants are small.
            if let [4, variant, ..] = &mut bytes[..] {
                *variant %= 40;
            }
            raw.send(&bytes).await;
        }
        raw.pause(Duration::from_millis(20)).await;
        ground.node.disconnect(raw.hello.member.id);
        assert!(raw.is_cut().await);
    }
    assert!(ground.node.metrics().violations > 0);
    let raw = ground.peer().await;
    raw.send(&[9; 40]).await;
    (raw, Cut("an unknown kind of frame"))
}

pub(super) async fn signals_cut_short(ground: Ground) -> (Raw, End) {
    let whole =
        frame_of(&Signal::Kill { to: Place::of(ground.echo), from: FROM, reason: "die".into() });
    for end in 1..whole.len() {
        let raw = ground.dial_as("cut", 1_000 + end as u64).await;
        raw.meet().await;
        raw.send(&whole[..end]).await;
        assert!(raw.is_cut().await, "at {end}");
    }
    let raw = ground.peer().await;
    raw.send(&[&whole[..], b"more"].concat()).await;
    (raw, Cut("bytes behind a signal"))
}

/// A text of 4 GiB, says its length.
pub(super) async fn a_length_that_lies(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let mut bytes = frame_of(&Signal::Refused { reason: String::new() });
    bytes.pop();
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f, b'x']);
    raw.send(&bytes).await;
    (raw, Cut("a signal that does not decode"))
}

pub(super) async fn a_type_that_was_not_announced(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.send(&message(Place::of(ground.echo), b"x")).await;
    (raw, Cut("a type that was not announced"))
}

pub(super) async fn a_million_types(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.flood(1_000_000, |n| frame_of(&announcement(n as u32, &format!("hostile.T{n}"), 1))).await;
    (raw, Cut("more types than one peer may announce"))
}

pub(super) async fn one_number_for_many_types(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.flood(1_000, |n| frame_of(&announcement(0, &format!("hostile.T{n}"), 1))).await;
    (raw, Cut("a number of a type that stands for another"))
}

/// Each lane announces every type, and who does so has not announced more of them.
pub(super) async fn as_many_types_as_may_be(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let announced = |n| frame_of(&announcement(n, &format!("hostile.T{n}"), 1));
    let all: Vec<_> = (0..16).map(announced).collect();
    assert!(raw.send_together(&all).await);
    assert!(raw.send_on(raw.open(), &all).await);
    raw.pause(Duration::from_millis(20)).await;
    (raw, Ignored)
}

pub(super) async fn a_type_announced_again(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.announce().await;
    raw.announce().await;
    (raw, Cut("a type that was announced on this lane before"))
}

/// A peer that comes again and again with other types leaves room for those that are compiled in.
pub(super) async fn types_over_many_links(ground: Ground) -> (Raw, End) {
    for link in 0..8 {
        let raw = ground.dial_as("again", 1_000 + link).await;
        raw.meet().await;
        raw.flood(16, |n| frame_of(&announcement(n as u32, &format!("hostile.T{link}.{n}"), 1)))
            .await;
        raw.pause(Duration::from_millis(20)).await;
        ground.node.disconnect(raw.hello.member.id);
        assert!(raw.is_cut().await);
    }
    let node = &ground.node;
    let told = node.run("new types", |cx| async move {
        let me = cx.me();
        cx.send(me, true).await.unwrap();
        cx.expect::<bool>().await
    });
    assert!(told.await.unwrap());
    let raw = ground.peer().await;
    raw.say(&announcement(0, "hostile.Last", 1)).await;
    (raw, Cut("a bad name, or more types than this node may know"))
}

pub(super) async fn a_types_name_too_long(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.say(&announcement(0, &"n".repeat(1 << 16), 1)).await;
    (raw, Cut("a bad name, or more types than this node may know"))
}

/// What is in one batch with a violation does nothing.
pub(super) async fn what_follows_a_violation(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let kill =
        frame_of(&Signal::Kill { to: Place::of(ground.echo), from: FROM, reason: "die".into() });
    raw.send_together(&[vec![9; 40], kill]).await;
    (raw, Cut("an unknown kind of frame"))
}

pub(super) async fn messages_to_nobody(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.announce().await;
    let nobody = [u32::MAX, u32::MAX - 1, 1 << 20, 31, 0];
    raw.flood(2_000, |n| {
        let index = nobody[n as usize % nobody.len()];
        message(Place { index, generation: 1_000 }, b"x")
    })
    .await;
    (raw, Ignored)
}
