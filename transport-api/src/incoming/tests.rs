//! However the bytes are cut, the events are the same; and no bytes do harm.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frame::{FRAGMENT_MAX, header};
use crate::{Batch, Limits, Outgoing};

#[derive(Default)]
struct Seen(Vec<String>);

impl LinkSink for Seen {
    fn event(&mut self, event: LinkEvent<'_>) {
        self.0.push(match event {
            LinkEvent::Received { connection, payload, extensions } => {
                let bytes = payload.as_slice();
                format!("{connection} {} {:?} {extensions:?}", bytes.len(), bytes.first())
            }
            other => format!("{other:?}"),
        });
    }
}

/// A stream with everything in it.
fn stream() -> Vec<u8> {
    let mut outgoing = Outgoing::new(Limits::default());
    let (a, b) = (outgoing.open().unwrap(), outgoing.open().unwrap());
    outgoing.message(a, b"one").unwrap();
    outgoing.message_parts(b, &[1, 1, 7], b"head", &[Bytes::from(vec![2; 100_000])]).unwrap();
    outgoing.message_with(a, &[3, 0], |buffer| buffer.push(9)).unwrap();
    outgoing.ping();
    outgoing.message(b, b"behind").unwrap();
    outgoing.close(b);
    outgoing.close(a);
    outgoing.finish();
    let (mut batch, mut bytes) = (Batch::new(), Vec::new());
    while outgoing.take(&mut batch) {
        bytes.extend_from_slice(&batch.to_bytes());
    }
    bytes
}

fn feed(mut incoming: Incoming, bytes: &[u8], cuts: &[usize]) -> (Seen, Result<usize, Violation>) {
    let (mut seen, mut used, mut end) = (Seen::default(), 0, 0);
    for cut in cuts.iter().chain([&bytes.len()]) {
        end = (end + cut).min(bytes.len());
        match incoming.feed(&bytes[used..end], &mut seen, &mut |_| {}) {
            Ok(count) => used += count,
            Err(violation) => return (seen, Err(violation)),
        }
    }
    (seen, Ok(used))
}

/// As [`feed`], reading past the buffer whenever there is room.
fn read_to_its_place(mut incoming: Incoming, mut bytes: &[u8], at_once: usize) -> Seen {
    let (mut seen, mut buffer) = (Seen::default(), Vec::new());
    let mut past = 0;
    while !bytes.is_empty() {
        let used = incoming.feed(&buffer, &mut seen, &mut |_| {}).unwrap();
        buffer.drain(..used);
        let count = match incoming.room() {
            Some(mut room) => {
                let count = room.remaining_mut().min(bytes.len()).min(at_once);
                room.put_slice(&bytes[..count]);
                incoming.came(count, &mut seen);
                past += count;
                count
            }
            None => {
                let count = bytes.len().min(at_once);
                buffer.extend_from_slice(&bytes[..count]);
                count
            }
        };
        bytes = &bytes[count..];
    }
    incoming.feed(&buffer, &mut seen, &mut |_| {}).unwrap();
    assert!(past > 15_000, "most of the second fragment went to its place");
    assert_eq!((incoming.unfinished(), incoming.reserved), (0, 0));
    seen
}

fn fed_in_full(incoming: Incoming, frames: &[Vec<u8>]) -> Result<usize, Violation> {
    feed(incoming, &frames.concat(), &[]).1
}

fn frame(kind: Kind, more: bool, connection: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, more, false, ConnectionId(connection), payload.len()).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn what_is_not_allowed_is_named() {
    let open = || frame(Kind::Open, false, 5, &[]);
    let data = |more, len| frame(Kind::Data, more, 5, &vec![0; len]);
    let same_place = 5 + CONNECTIONS_MAX as u32;
    for (frames, violation) in [
        (vec![data(false, 1)], Violation::NotOpen(ConnectionId(5))),
        (vec![frame(Kind::Close, false, 5, &[])], Violation::NotOpen(ConnectionId(5))),
        (vec![open(), open()], Violation::OpenTwice(ConnectionId(5))),
        (
            vec![open(), frame(Kind::Open, false, same_place, &[])],
            Violation::OpenTwice(ConnectionId(same_place)),
        ),
        (vec![open(), data(false, 1001)], Violation::MessageTooLong(1001)),
        (vec![open(), data(true, 600), data(true, 600)], Violation::MessageTooLong(1200)),
        (vec![open(), data(true, 1), data(true, 0)], Violation::Length(Kind::Data, 0)),
    ] {
        assert_eq!(fed_in_full(Incoming::new(1000), &frames), Err(violation));
    }
}

/// What is set aside for long messages is bounded by `max_message`, however many are begun.
#[test]
fn room_set_aside_is_bounded() {
    const LONG: usize = 3 * FRAGMENT_MAX;
    let mut incoming = Incoming::new(LONG);
    let mut seen = Seen::default();
    let fragment = |n, more| frame(Kind::Data, more, n, &vec![0; FRAGMENT_MAX]);
    for n in 0..3 {
        for bytes in [
            frame(Kind::Open, false, n, &[]),
            fragment(n, true),
            fragment(n, true),
            fragment(n, false),
        ] {
            incoming.feed(&bytes, &mut seen, &mut |_| {}).unwrap();
        }
    }
    for n in 0..3 {
        incoming.feed(&fragment(n, true), &mut seen, &mut |_| {}).unwrap();
        assert_eq!(incoming.reserved, LONG);
    }
    for n in 0..3 {
        incoming.feed(&frame(Kind::Close, false, n, &[]), &mut seen, &mut |_| {}).unwrap();
    }
    assert_eq!((incoming.reserved, incoming.unfinished()), (0, 0));
}

/// A peer that pings without end, and takes nothing, makes nothing grow.
#[test]
fn pings_without_end_are_answered_once() {
    let mut outgoing = Outgoing::new(Limits::default());
    for _ in 0..1_000_000 {
        outgoing.pong();
    }
    assert!(!outgoing.is_idle());
    let mut batch = Batch::new();
    assert!(outgoing.take(&mut batch));
    assert_eq!(batch.to_bytes().len(), frame::HEADER_LEN);
    assert!(outgoing.is_idle());
}

#[test]
fn unfinished_messages_are_bounded_together() {
    let mut frames = Vec::new();
    for n in 0..3 {
        frames.push(frame(Kind::Open, false, n, &[]));
        frames.push(frame(Kind::Data, true, n, &vec![0; FRAGMENT_MAX]));
    }
    let refused = fed_in_full(Incoming::new(FRAGMENT_MAX), &frames);
    assert_eq!(refused, Err(Violation::TooMuchUnfinished(3 * FRAGMENT_MAX)));
}

/// A message of one frame does not count as unfinished, whether it comes at once or in two reads.
#[test]
fn where_a_read_ends_does_not_decide_what_is_allowed() {
    const MAX: usize = 20_000;
    let mut bytes = Vec::new();
    for n in 0..3 {
        bytes.extend(frame(Kind::Open, false, n, &[]));
    }
    for n in [0, 0, 1, 1] {
        bytes.extend(frame(Kind::Data, true, n, &[1; MAX / 2]));
    }
    let held = bytes.len();
    bytes.extend(frame(Kind::Data, false, 2, &[2; MAX / 2]));
    let (whole, used) = feed(Incoming::new(MAX), &bytes, &[]);
    assert_eq!(used, Ok(bytes.len()));
    let (parts, used) = feed(Incoming::new(MAX), &bytes, &[held + 100]);
    assert_eq!(used, Ok(bytes.len()));
    assert_eq!(parts.0, whole.0);
    assert!(whole.0.last().is_some_and(|last| last.starts_with("#2 10000 ")), "{:?}", whole.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_do_not_matter(cuts in proptest::collection::vec(0_usize..30_000, 0..20)) {
        let bytes = stream();
        let (whole, used) = feed(Incoming::new(1 << 20), &bytes, &[]);
        prop_assert_eq!(used, Ok(bytes.len()));
        let (parts, used) = feed(Incoming::new(1 << 20), &bytes, &cuts);
        prop_assert_eq!(used, Ok(bytes.len()));
        prop_assert_eq!(whole.0, parts.0);
    }

    #[test]
    fn reading_to_its_place_does_not_matter(at_once in 1_000_usize..16_000) {
        let bytes = stream();
        let (whole, _) = feed(Incoming::new(1 << 20), &bytes, &[]);
        let seen = read_to_its_place(Incoming::new(1 << 20), &bytes, at_once);
        prop_assert_eq!(whole.0, seen.0);
    }

    #[test]
    fn damage_does_no_harm(
        damage in proptest::collection::vec((0_usize..200, any::<u8>()), 1..10),
    ) {
        let mut bytes = stream();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        // Whatever comes of it: no panic, and never more held than is allowed.
        let _ = feed(Incoming::new(1 << 20), &bytes, &[]);
    }
}
