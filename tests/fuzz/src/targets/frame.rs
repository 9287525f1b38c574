//! The frames of a link, one behind the other.

use std::mem::discriminant;

use midflight_transport_api::frame::{self, FRAGMENT_MAX, Frame, HEADER_LEN};

use crate::Trail;

/// What is decoded is encoded to the same bytes, is no frame while a byte is missing, and is within
/// bounds.
pub fn frame(bytes: &[u8], trail: &mut Trail) {
    let mut left = bytes;
    loop {
        match frame::decode(left) {
            Ok(Some((frame, len))) => {
                assert!((HEADER_LEN..=left.len()).contains(&len), "{len} of {}", left.len());
                let (whole, rest) = left.split_at(len);
                assert_eq!(encode(&frame, len), whole, "{frame:?}");
                assert_eq!(frame::decode(&whole[..len - 1]), Ok(None), "a byte is missing");
                let extended = !frame.extensions.is_empty();
                let size = frame.payload.len().min(5000) / 1000;
                trail.note((frame.kind as u8, frame.more, extended, size));
                left = rest;
            }
            Ok(None) => {
                assert!(left.len() < HEADER_LEN + FRAGMENT_MAX, "a frame of any length is whole");
                return trail.note(("no more", left.len().min(HEADER_LEN)));
            }
            Err(violation) => {
                assert!(violation.to_string().starts_with("the peer sent "));
                return trail.note(discriminant(&violation));
            }
        }
    }
}

/// The bytes of a frame that had `len`; what it had beyond its parts is the length of its extensions.
fn encode(frame: &Frame<'_>, len: usize) -> Vec<u8> {
    let Frame { kind, more, connection, extensions, payload } = *frame;
    let body = len - HEADER_LEN;
    let extended = body > extensions.len() + payload.len();
    let mut bytes = frame::header(kind, more, extended, connection, body).to_vec();
    if extended {
        let len = u16::try_from(extensions.len()).expect("they are at most 4 KiB");
        bytes.extend_from_slice(&len.to_le_bytes());
    }
    bytes.extend_from_slice(extensions);
    bytes.extend_from_slice(payload);
    bytes
}
