//! The records of TLS after its handshake.

use midflight_transport_tcp::fuzz::{Opened, Part, opened, sealed};

use crate::Trail;
use crate::chance::Chance;

/// Of this type are bytes that are no record.
pub const AS_THEY_ARE: u8 = 0xfe;
const DATA: u8 = 23;
/// The longest content that may be.
const CONTENT_MAX: usize = 16 * 1024;
/// The longest that is sealed all the same.
const SEALED_MAX: usize = CONTENT_MAX + 300;

/// However records are cut, the same comes of them, and of data what was sealed. The first byte says
/// whether who reads has dialled, the second chooses the cuts; then come parts, each with its type and
/// its length before it.
pub fn records(bytes: &[u8], trail: &mut Trail) {
    let Some((&[is_client, cuts], rest)) = bytes.split_first_chunk::<2>() else { return };
    let is_client = is_client % 2 == 1;
    let parts = parts(rest);
    let stream = sealed(&parts).expect("anything can be sealed");
    let whole = open(&stream, is_client, |left| left);
    let mut chance = Chance::new(u64::from(cuts));
    let most = 1 << (cuts % 16);
    let cut = open(&stream, is_client, |_| 1 + chance.below(most));
    assert!(cut == whole, "in cuts: {cut:?}; as a whole: {whole:?}");

    let (said, plain) = said(&parts);
    assert!(whole.data.starts_with(&said), "what was sealed is not what was opened");
    if plain {
        assert_eq!((whole.data.len(), &whole.end), (said.len(), &Ok(false)));
    }
    trail.note((format!("{:?}", whole.end), whole.alert));
    trail.note((parts.len().min(4), whole.data.is_empty()));
}

fn open(stream: &[u8], is_client: bool, piece: impl FnMut(usize) -> usize) -> Opened {
    opened(stream, is_client, piece).expect("there are keys")
}

/// The parts, and the last one as far as it goes.
fn parts(mut bytes: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let Some((&[kind, low, high], rest)) = bytes.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([low, high])).min(SEALED_MAX).min(rest.len());
        let (content, behind) = rest.split_at(len);
        parts.push(match kind {
            AS_THEY_ARE => Part::Bytes(content),
            kind => Part::Record(kind, content),
        });
        bytes = behind;
    }
    parts
}

/// The data before anything else, and whether there is nothing else.
fn said(parts: &[Part<'_>]) -> (Vec<u8>, bool) {
    let mut said = Vec::new();
    for part in parts {
        match part {
            Part::Record(DATA, content) if (1..=CONTENT_MAX).contains(&content.len()) => {
                said.extend_from_slice(content);
            }
            _ => return (said, false),
        }
    }
    (said, true)
}
