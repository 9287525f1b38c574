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
    outgoing.message_bytes_with(b, &[1, 1, 7], b"head", Bytes::from(vec![2; 100_000])).unwrap();
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
