//! Golden bytes, round trips, and any bytes at all.

use proptest::prelude::*;

use super::*;

const KINDS: [Kind; 7] =
    [Kind::Data, Kind::Open, Kind::Close, Kind::Credit, Kind::Ping, Kind::Pong, Kind::Bye];

fn whole(bytes: &[u8]) -> Frame<'_> {
    let (frame, len) = decode(bytes).unwrap().unwrap();
    assert_eq!(len, bytes.len());
    frame
}

/// What is on the wire in version 1: these bytes never change.
#[test]
fn golden_bytes() {
    let id = ConnectionId(0x0403_0201);
    type Golden = (Kind, bool, ConnectionId, &'static [u8], &'static [u8]);
    let golden: [Golden; 8] = [
        (Kind::Data, false, id, b"hi", b"\x02\0\0\x00\x01\x02\x03\x04hi"),
        (Kind::Data, true, id, b"hi", b"\x02\0\0\x10\x01\x02\x03\x04hi"),
        (Kind::Open, false, id, b"", b"\0\0\0\x01\x01\x02\x03\x04"),
        (Kind::Close, false, id, b"", b"\0\0\0\x02\x01\x02\x03\x04"),
        (Kind::Credit, false, id, b"\x05\0\0\0", b"\x04\0\0\x03\x01\x02\x03\x04\x05\0\0\0"),
        (Kind::Ping, false, ConnectionId(0), b"", b"\0\0\0\x04\0\0\0\0"),
        (Kind::Pong, false, ConnectionId(0), b"", b"\0\0\0\x05\0\0\0\0"),
        (Kind::Bye, false, ConnectionId(0), b"", b"\0\0\0\x06\0\0\0\0"),
    ];
    for (kind, more, connection, payload, bytes) in golden {
        let mut encoded = header(kind, more, false, connection, payload.len()).to_vec();
        encoded.extend_from_slice(payload);
        assert_eq!(encoded, bytes, "{kind:?}");
        assert_eq!(whole(bytes), Frame { kind, more, connection, extensions: &[], payload });
    }
}

#[test]
fn golden_extensions() {
    let mut entries = Vec::new();
    push_extension(&mut entries, 1, b"ab");
    push_extension(&mut entries, 2 | CRITICAL, b"");
    let bytes = b"\x09\0\0\x20\x07\0\0\0\x06\0\x01\x02ab\x82\0x";
    let frame = whole(bytes);
    assert_eq!((frame.extensions, frame.payload), (&entries[..], &b"x"[..]));
    let seen: Vec<_> = extensions(frame.extensions).map(|e| (e.kind, e.value)).collect();
    assert_eq!(seen, [(1, &b"ab"[..]), (0x82, &b""[..])]);
    assert_eq!(refuse_critical(&entries, |_| false), Err(Violation::Critical(0x82)));
    assert_eq!(refuse_critical(&entries, |kind| kind == 0x82), Ok(()));
}

#[test]
fn violations_are_seen_in_the_header() {
    let cases: [(&[u8], Violation); 8] = [
        (b"\0\0\0\x40\0\0\0\0", Violation::Form(1)),
        (b"\0\0\0\x07\0\0\0\0", Violation::Kind(7)),
        (b"\x01\0\x01\x00\0\0\0\0", Violation::TooLong(65537)),
        (b"\0\0\0\x11\0\0\0\0", Violation::More(Kind::Open)),
        (b"\x01\0\0\x04\0\0\0\0", Violation::Length(Kind::Ping, 1)),
        (b"\0\0\0\x06\x01\0\0\0", Violation::Connection(Kind::Bye, ConnectionId(1))),
        (b"\x03\0\0\x03\x01\0\0\0", Violation::Length(Kind::Credit, 3)),
        (b"\x01\0\0\x20\x01\0\0\0\0", Violation::Extensions("their length is missing")),
    ];
    for (bytes, violation) in cases {
        assert_eq!(decode(bytes), Err(violation.clone()), "{violation}");
        assert!(violation.to_string().starts_with("the peer sent "));
    }
}

#[test]
fn a_control_frame_skips_unknown_extensions_but_not_critical_ones() {
    assert_eq!(whole(b"\x04\0\0\x24\0\0\0\0\x02\0\x01\0").kind, Kind::Ping);
    let critical = decode(b"\x04\0\0\x24\0\0\0\0\x02\0\x81\0");
    assert_eq!(critical, Err(Violation::Critical(0x81)));
}

proptest! {
    #[test]
    fn round_trip(
        kind in 0_usize..7,
        more: bool,
        connection: u32,
        entries in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..5),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0_usize..400,
    ) {
        let kind = KINDS[kind];
        let more = more && kind == Kind::Data;
        let connection = ConnectionId(if kind.is_of_link() { 0 } else { connection });
        let payload = match kind {
            Kind::Data => payload,
            Kind::Credit => vec![1, 2, 3, 4],
            _ => Vec::new(),
        };
        let mut encoded_entries = Vec::new();
        for (extension, value) in &entries {
            let mask = if kind == Kind::Data { 0xff } else { !CRITICAL };
            push_extension(&mut encoded_entries, extension & mask, value);
        }
        let extended = !entries.is_empty();
        let mut body = Vec::new();
        if extended {
            body.extend_from_slice(&(encoded_entries.len() as u16).to_le_bytes());
            body.extend_from_slice(&encoded_entries);
        }
        body.extend_from_slice(&payload);
        let mut bytes = header(kind, more, extended, connection, body.len()).to_vec();
        bytes.extend_from_slice(&body);
        let wanted = Frame { kind, more, connection, extensions: &encoded_entries, payload: &payload };
        prop_assert_eq!(whole(&bytes), wanted);
        // A part of it is no frame yet, and no violation either.
        let part = &bytes[..cut.min(bytes.len() - 1)];
        prop_assert_eq!(decode(part), Ok(None));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut left = &bytes[..];
        while let Ok(Some((frame, len))) = decode(left) {
            prop_assert!(len >= HEADER_LEN && frame.payload.len() <= FRAGMENT_MAX);
            left = &left[len..];
        }
    }
}
