//! Encoding and decoding where writer and reader agree: plain postcard.

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::binary::{REFERENCE_MIN, lent};
use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::scan::scan;
use crate::{Message, SchemaTree, TypeInfo};

/// Appends a message's encoding. The buffer is the caller's to reuse; on error it is as it was.
///
/// # Errors
///
/// When the type's own `Serialize` fails, or a recursive value nests deeper than
/// [`MAX_VALUE_DEPTH`](crate::MAX_VALUE_DEPTH).
pub fn encode<M: Message>(message: &M, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_as(M::type_info(), message, buffer, None)
}

/// As [`encode`], for a value of the type that `info` describes. Long parts that can be had by reference go to `parts`
/// with their place in the buffer, where that is asked for.
pub(crate) fn encode_as<T: Serialize>(
    info: &TypeInfo,
    message: &T,
    buffer: &mut Vec<u8>,
    parts: Option<&mut Vec<(usize, Bytes)>>,
) -> Result<(), EncodeError> {
    let start = buffer.len();
    // What is to be walked once more must lie there as a whole.
    let parts = parts.filter(|_| !info.tree().needs_scan);
    let done = postcard::serialize_with_flavor(message, Append { buffer, parts })
        .map_err(|error| error.to_string())
        .and_then(|()| {
            let tree = info.tree();
            if tree.needs_scan {
                scan(tree, &buffer[start..]).map_err(|reason| reason.to_string())
            } else {
                Ok(())
            }
        });
    done.map_err(|reason| {
        buffer.truncate(start);
        EncodeError { type_name: info.to_string(), reason }
    })
}

/// Decodes a message that was written by the very same type, which must fill the bytes.
///
/// Hostile bytes cost no more than an error: lengths are checked against what is there, and depth
/// is bounded.
///
/// # Errors
///
/// When the bytes are not exactly one value of `M`.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    decode_plainly(M::type_info().tree(), bytes).map_err(|reason| DecodeError {
        type_name: M::type_info().to_string(),
        field_path: String::new(),
        reason,
    })
}

pub(crate) fn decode_plainly<T: DeserializeOwned>(
    tree: &SchemaTree,
    bytes: &[u8],
) -> Result<T, DecodeReason> {
    if tree.needs_scan {
        scan(tree, bytes)?;
    }
    let (message, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(message) } else { Err(DecodeReason::LeftOver(rest.len())) }
}

/// postcard's own vector flavour owns its vector; this one borrows it.
struct Append<'a> {
    buffer: &'a mut Vec<u8>,
    parts: Option<&'a mut Vec<(usize, Bytes)>>,
}

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.buffer.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() >= REFERENCE_MIN
            && let Some(parts) = &mut self.parts
            && let Some(part) = lent(bytes)
        {
            parts.push((self.buffer.len(), part));
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
