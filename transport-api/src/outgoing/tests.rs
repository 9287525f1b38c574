//! What the batch promises: order per connection, turns, bounds.

use bytes::Buf as _;

use super::*;
use crate::{Control, Incoming, LinkEvent, LinkSink};

#[derive(Default)]
struct Seen {
    events: Vec<String>,
    messages: Vec<(u32, Vec<u8>)>,
}

impl LinkSink for Seen {
    fn event(&mut self, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Opened(id) => self.events.push(format!("open {id}")),
            LinkEvent::Closed(id) => self.events.push(format!("close {id}")),
            LinkEvent::Received { connection, payload, .. } => {
                self.events.push(format!("{connection} {}", payload.as_slice().len()));
                self.messages.push((connection.0, payload.as_slice().to_vec()));
            }
            LinkEvent::Lost(loss) => self.events.push(loss.to_string()),
        }
    }
}

/// Takes everything out, batch by batch, through an [`Incoming`].
fn drain(outgoing: &mut Outgoing, incoming: &mut Incoming, seen: &mut Seen) -> Vec<Control> {
    let mut batch = Batch::new();
    let mut controls = Vec::new();
    while outgoing.take(&mut batch) {
        let bytes = batch.to_bytes();
        let fed = incoming.feed(&bytes, seen, &mut |c| controls.push(c)).unwrap();
        assert_eq!(fed, bytes.len(), "a batch ends with a frame");
    }
    assert_eq!(outgoing.held(), 0);
    controls
}

fn limits(max_message: usize) -> Limits {
    Limits { max_message, ..Limits::default() }
}

#[test]
fn small_messages_keep_their_order_behind_a_large_one() {
    let mut outgoing = Outgoing::new(limits(1 << 20));
    let (a, b) = (outgoing.open().unwrap(), outgoing.open().unwrap());
    outgoing.message_bytes(a, b"head", Bytes::from(vec![7; 300_000])).unwrap();
    outgoing.message(a, b"after").unwrap();
    outgoing.message_with(a, &[], |buffer| buffer.extend_from_slice(b"with")).unwrap();
    outgoing.message_with(a, &[], |buffer| buffer.resize(buffer.len() + 70_000, 1)).unwrap();
    outgoing.message(a, &[3; 5000]).unwrap();
    outgoing.message(b, b"quick").unwrap();
    outgoing.close(a);
    outgoing.close(b);
    let mut seen = Seen::default();
    drain(&mut outgoing, &mut Incoming::new(1 << 20), &mut seen);
    assert_eq!(
        seen.events,
        [
            "open #0",
            "open #1",
            "#1 5",
            "close #1",
            "#0 300004",
            "#0 5",
            "#0 4",
            "#0 70000",
            "#0 5000",
            "close #0"
        ]
    );
    assert!(seen.messages[1].1.starts_with(b"head\x07"));
}

#[test]
fn connections_take_turns() {
    let mut outgoing = Outgoing::new(limits(1 << 20));
    let ids: Vec<_> = (0..3).map(|_| outgoing.open().unwrap()).collect();
    outgoing.message_bytes(ids[0], &[], Bytes::from(vec![0; 1 << 20])).unwrap();
    outgoing.message_bytes(ids[1], &[], Bytes::from(vec![1; 100_000])).unwrap();
    outgoing.message_bytes(ids[2], &[], Bytes::from(vec![2; 10_000])).unwrap();
    let mut seen = Seen::default();
    drain(&mut outgoing, &mut Incoming::new(1 << 20), &mut seen);
    let order: Vec<u32> = seen.messages.iter().map(|m| m.0).collect();
    assert_eq!(order, [2, 1, 0]);
}

#[test]
fn the_receiver_never_holds_more_than_two_of_the_longest() {
    let max = 200_000;
    let mut outgoing = Outgoing::new(limits(max));
    let mut incoming = Incoming::new(max);
    for n in 0..20_u8 {
        let id = outgoing.open().unwrap();
        outgoing.message_bytes(id, &[], Bytes::from(vec![n; max])).unwrap();
    }
    let mut seen = Seen::default();
    drain(&mut outgoing, &mut incoming, &mut seen);
    assert_eq!((seen.messages.len(), incoming.unfinished()), (20, 0));
}

#[test]
fn refusals_append_nothing() {
    let mut outgoing = Outgoing::new(limits(100_000));
    let id = outgoing.open().unwrap();
    let held = outgoing.held();
    let long = vec![0; 100_001];
    for refused in [
        outgoing.message(id, &long),
        outgoing.message_with(id, &[], |buffer| buffer.extend_from_slice(&long)),
        outgoing.message_bytes(id, &long[..1], Bytes::from(long[..100_000].to_vec())),
    ] {
        assert_eq!(*refused.unwrap_err().kind(), SendErrorKind::TooLarge);
    }
    assert_eq!(outgoing.held(), held);
    outgoing.close(id);
    assert_eq!(*outgoing.message(id, b"x").unwrap_err().kind(), SendErrorKind::Closed);
    let again = outgoing.open().unwrap();
    assert_ne!(again, id, "a stale number never means a new connection");
    assert_eq!(*outgoing.message(id, b"x").unwrap_err().kind(), SendErrorKind::Closed);
    outgoing.message(again, b"x").unwrap();
}

#[test]
fn a_fill_that_panics_leaves_whole_frames() {
    let mut outgoing = Outgoing::new(Limits::default());
    let id = outgoing.open().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        outgoing.message_with(id, &[], |buffer| {
            buffer.push(1);
            panic!("an encoder of a user");
        })
    }));
    assert!(panicked.is_err());
    outgoing.message(id, b"ok").unwrap();
    let mut seen = Seen::default();
    drain(&mut outgoing, &mut Incoming::new(100), &mut seen);
    assert_eq!(seen.events, ["open #0", "#0 2"]);
}

#[test]
fn extensions_travel_with_small_and_large() {
    let mut outgoing = Outgoing::new(Limits::default());
    let id = outgoing.open().unwrap();
    let mut entries = Vec::new();
    frame::push_extension(&mut entries, 5, b"trace");
    outgoing.message_with(id, &entries, |buffer| buffer.push(1)).unwrap();
    let large = Bytes::from(vec![9; 200_000]);
    outgoing.message_parts(id, &entries, b"h", &[large]).unwrap();

    struct Extended(Vec<(Vec<u8>, usize)>);
    impl LinkSink for Extended {
        fn event(&mut self, event: LinkEvent<'_>) {
            if let LinkEvent::Received { payload, extensions, .. } = event {
                self.0.push((extensions.to_vec(), payload.as_slice().len()));
            }
        }
    }
    let mut sink = Extended(Vec::new());
    let mut incoming = Incoming::new(1 << 20);
    let mut batch = Batch::new();
    while outgoing.take(&mut batch) {
        incoming.feed(&batch.to_bytes(), &mut sink, &mut |_| {}).unwrap();
    }
    assert_eq!(sink.0, [(entries.clone(), 1), (entries, 200_001)]);
}

/// The receiver gets one message, whether its parts were copied, kept, or cut between fragments.
#[test]
fn parts_are_one_message() {
    let parts = [3, 0, 500, 600, 70_000, 1, 130_000].map(|len| Bytes::from(vec![len as u8; len]));
    for count in 0..=parts.len() {
        let mut outgoing = Outgoing::new(Limits::default());
        let id = outgoing.open().unwrap();
        outgoing.message_parts(id, &[], b"head", &parts[..count]).unwrap();
        let wanted = [&b"head"[..], &parts[..count].concat()].concat();
        struct Whole(Vec<Bytes>);
        impl LinkSink for Whole {
            fn event(&mut self, event: LinkEvent<'_>) {
                if let LinkEvent::Received { payload, .. } = event {
                    self.0.push(payload.into_bytes());
                }
            }
        }
        let (mut sink, mut incoming) = (Whole(Vec::new()), Incoming::new(1 << 20));
        let mut batch = Batch::new();
        while outgoing.take(&mut batch) {
            incoming.feed(&batch.to_bytes(), &mut sink, &mut |_| {}).unwrap();
        }
        assert_eq!(sink.0, [wanted]);
        assert_eq!(outgoing.held(), 0);
    }
}

#[test]
fn a_bye_comes_last_and_is_told_once() {
    let mut outgoing = Outgoing::new(Limits::default());
    let id = outgoing.open().unwrap();
    outgoing.message_bytes(id, &[], Bytes::from(vec![0; 400_000])).unwrap();
    outgoing.finish();
    outgoing.finish();
    let mut seen = Seen::default();
    let controls = drain(&mut outgoing, &mut Incoming::new(1 << 20), &mut seen);
    assert_eq!((controls, seen.messages.len()), (vec![Control::Bye], 1));
    assert!(outgoing.is_finished());
}

#[test]
fn the_parts_of_a_batch_are_seen_alike_in_every_way() {
    let mut outgoing = Outgoing::new(Limits::default());
    let id = outgoing.open().unwrap();
    for n in 0..3 {
        outgoing.message_bytes(id, b"head", Bytes::from(vec![n; 30_000])).unwrap();
    }
    let mut batch = Batch::new();
    assert!(outgoing.take(&mut batch));
    let mut slices = [std::io::IoSlice::new(&[]); 16];
    let count = batch.chunks_vectored(&mut slices);
    let vectored: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
    let mut plain = Vec::new();
    while batch.has_remaining() {
        let step = batch.chunk().len().min(777);
        plain.extend_from_slice(&batch.chunk()[..step]);
        batch.advance(step);
    }
    assert_eq!(vectored, plain);
}

#[test]
fn connections_are_bounded() {
    let mut outgoing = Outgoing::new(Limits::default());
    let ids: Vec<_> = (0..CONNECTIONS_MAX).map(|_| outgoing.open().unwrap()).collect();
    assert_eq!(*outgoing.open().unwrap_err().kind(), SendErrorKind::TooMany);
    outgoing.close(ids[5]);
    outgoing.open().unwrap();
}
