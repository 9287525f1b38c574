//! Buffers in which large messages were encoded and from which they have been written, for the next ones.
//!
//! An allocator gives pages of this size back to the system and gets them anew, empty, each time: in a stream of
//! messages of 1 MiB that took as long as encoding them.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// Smaller ones an allocator keeps itself.
const LEN_MIN: usize = 64 * 1_024;
/// Larger ones go back.
const LEN_MAX: usize = 4 << 20;
/// Bytes kept for a node's next messages, at the most.
const KEPT_MAX: usize = 8 << 20;

/// The buffers that a node keeps.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// The buffer that was given back last; an empty one where there is none.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut kept = self.0.lock();
        let buffer = kept.buffers.pop().unwrap_or_default();
        kept.bytes -= buffer.capacity();
        buffer
    }

    /// A message's bytes; their buffer is given back when the last of them is dropped.
    pub(crate) fn lend(self: &Arc<Self>, buffer: Vec<u8>) -> Bytes {
        if (LEN_MIN..=LEN_MAX).contains(&buffer.capacity()) {
            Bytes::from_owner(Lent { buffer, of: self.clone() })
        } else {
            Bytes::from(buffer)
        }
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.0.lock();
        if kept.bytes + buffer.capacity() <= KEPT_MAX {
            kept.bytes += buffer.capacity();
            kept.buffers.push(buffer);
        } else {
            drop(kept);
        }
    }
}

struct Lent {
    buffer: Vec<u8>,
    of: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.of.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(len: usize) -> Vec<u8> {
        vec![7; len]
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_bytes_are_dropped() {
        let buffers = Arc::new(Buffers::default());
        let bytes = buffers.lend(full(1 << 20));
        let (place, part) = (bytes.as_ptr(), bytes.slice(3..9));
        drop(bytes);
        assert_eq!(buffers.take().capacity(), 0, "a part of it is still there");
        drop(part);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert_eq!(buffers.take().capacity(), 0, "there was one");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = Arc::new(Buffers::default());
        let lent: Vec<_> = [LEN_MIN - 1, LEN_MAX, LEN_MAX, LEN_MAX, LEN_MAX + 1]
            .map(|len| buffers.lend(full(len)))
            .into();
        drop(lent);
        let kept: Vec<_> = std::iter::repeat_with(|| buffers.take().capacity())
            .take_while(|capacity| *capacity > 0)
            .collect();
        assert_eq!(kept, [LEN_MAX; 2]);
        assert_eq!(buffers.0.lock().bytes, 0);
    }
}
