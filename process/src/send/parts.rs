//! What of a large message goes to the link by reference: copying it to the stage and on to the link cost as much as
//! sending it.

use std::sync::Arc;

use bytes::Bytes;
use midflight_message::Encoding;

use crate::send::SMALL_MAX;
use crate::send::buffers::Buffers;

/// Takes out all of a large frame that goes as it is. What is left in the buffer goes before it.
pub(super) fn by_reference(encoding: &mut Encoding, buffers: &Arc<Buffers>) -> Vec<Bytes> {
    let parts = encoding.take_parts();
    let buffer = encoding.buffer();
    // A little beside large parts is copied; the buffer stays.
    let (rest, mut at) = match parts.first() {
        Some((first, _)) if buffer.len() <= SMALL_MAX => {
            let rest = Bytes::copy_from_slice(&buffer[*first..]);
            buffer.truncate(*first);
            (rest, *first)
        }
        _ => {
            let mut body = std::mem::take(buffer);
            // Bounds count what is in it.
            if body.capacity() > body.len() + body.len() / 4 {
                body.shrink_to_fit();
            }
            (buffers.lend(body), 0)
        }
    };
    let start = at;
    let mut all = Vec::with_capacity(2 * parts.len() + 1);
    for (place, part) in parts {
        all.extend([rest.slice(at - start..place - start), part]);
        at = place;
    }
    all.push(rest.slice(at - start..));
    all.retain(|part| !part.is_empty());
    all
}

/// How many bytes they have together.
pub(super) fn len_of(parts: &[Bytes]) -> usize {
    parts.iter().map(Bytes::len).sum()
}

#[cfg(test)]
mod tests {
    use midflight_message::{Binary, Message, encode};
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, Message)]
    struct Two {
        before: Vec<u8>,
        first: Binary,
        between: u64,
        second: Binary,
        after: Vec<u8>,
    }

    fn two(before: usize, after: usize) -> Two {
        let part = |byte, len| Binary::from(vec![byte; len]);
        let (first, second) = (part(1, 40_000), part(2, 1 << 20));
        Two { before: vec![3; before], first, between: 4, second, after: vec![5; after] }
    }

    /// Whatever is beside them, long parts are not copied, and all together are the message.
    #[test]
    fn long_parts_stay_where_they_are() {
        for (before, after) in [(0, 0), (3_000, 10), (10, 3_000), (10_000, 0), (0, 100_000)] {
            let message = two(before, after);
            let mut encoding = Encoding::new(b"head".to_vec());
            encoding.encode(&message).unwrap();
            let len = encoding.len();
            let parts = by_reference(&mut encoding, &Arc::default());
            let head = encoding.into_buffer();
            for part in [&message.first, &message.second] {
                assert!(parts.iter().any(|other| std::ptr::eq(&**other, &**part)), "copied");
            }
            let mut plain = b"head".to_vec();
            encode(&message, &mut plain).unwrap();
            assert!(plain == [&head[..], &parts.concat()].concat() && plain.len() == len);
            assert!(before + after > SMALL_MAX || head.starts_with(b"head"), "its buffer stays");
            assert_eq!(len_of(&parts) + head.len(), len);
        }
    }

    #[test]
    fn what_has_no_long_parts_goes_as_a_whole() {
        let message =
            Two { first: Binary::default(), second: vec![1; 100].into(), ..two(9_000, 7) };
        let mut encoding = Encoding::default();
        encoding.encode(&message).unwrap();
        let (len, at) = (encoding.len(), encoding.buffer().as_ptr());
        let parts = by_reference(&mut encoding, &Arc::default());
        assert_eq!((parts.len(), parts[0].len()), (1, len));
        assert!(parts[0].as_ptr() == at || encoding.into_buffer().is_empty());
    }
}
