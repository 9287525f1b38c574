//! What a message encodes to, some of it by reference.

use bytes::Bytes;

use crate::codec::encode_as;
use crate::{EncodeError, Message};

/// The bytes of a message, and between them those of its long [`Binary`](crate::Binary) parts, which were not copied.
#[derive(Debug, Default)]
pub struct Encoding {
    buffer: Vec<u8>,
    /// Each with the place in the buffer before which it belongs.
    parts: Vec<(usize, Bytes)>,
}

impl Encoding {
    /// Goes on in a buffer, behind what is in it.
    #[must_use]
    pub const fn new(buffer: Vec<u8>) -> Self {
        Self { buffer, parts: Vec::new() }
    }

    /// All but the parts by reference. To be appended to.
    pub const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends a message's encoding. On error all is as it was.
    ///
    /// # Errors
    ///
    /// As [`encode`](crate::encode).
    pub fn encode<M: Message>(&mut self, message: &M) -> Result<(), EncodeError> {
        let before = self.parts.len();
        let done = encode_as(M::type_info(), message, &mut self.buffer, Some(&mut self.parts));
        if done.is_err() {
            self.parts.truncate(before);
        }
        done
    }

    /// How many bytes it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().fold(self.buffer.len(), |len, (_, part)| len + part.len())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the parts by reference out, each with the place in the buffer before which it belongs, in their order.
    pub fn take_parts(&mut self) -> Vec<(usize, Bytes)> {
        std::mem::take(&mut self.parts)
    }

    /// The buffer, to be used again. Parts by reference are dropped.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}
