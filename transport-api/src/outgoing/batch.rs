//! A stretch of frames on its way to the wire.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A buffer that has grown beyond this is not kept.
pub(super) const KEEP_MAX: usize = 1 << 20;

/// What the writer writes next: one buffer, with segments held by reference between its parts.
///
/// It is a [`Buf`], vectored: `write_all_buf` writes it. Keep one per writer and have it filled
/// again by [`Outgoing::take`](super::Outgoing::take) when it is empty.
#[derive(Debug, Default)]
pub struct Batch {
    buffer: Vec<u8>,
    /// Written up to here.
    at: usize,
    /// Segments, each to come at this position of the buffer.
    segments: VecDeque<(usize, Bytes)>,
    left: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), at: 0, segments: VecDeque::new(), left: 0 }
    }

    /// Whether everything has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// All that is left, copied into one piece. For a backend that writes nowhere.
    #[must_use]
    pub fn to_bytes(&mut self) -> Bytes {
        self.copy_to_bytes(self.left)
    }

    /// Swaps the empty buffer for `full`.
    pub(super) fn renew(&mut self, full: &mut Vec<u8>) {
        debug_assert!(self.is_empty(), "a batch is filled again when it is empty");
        self.buffer.clear();
        if self.buffer.capacity() > KEEP_MAX {
            self.buffer = Vec::new();
        }
        std::mem::swap(&mut self.buffer, full);
        self.segments.clear();
        self.at = 0;
        self.left = self.buffer.len();
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.left += bytes.len();
    }

    pub(super) fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.left += bytes.len();
            self.segments.push_back((self.buffer.len(), bytes));
        }
    }
}

impl Buf for Batch {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        match self.segments.front() {
            Some((position, segment)) if *position == self.at => segment,
            Some((position, _)) => &self.buffer[self.at..*position],
            None => &self.buffer[self.at..],
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut filled, mut at) = (0, self.at);
        let mut put = |bytes: &'a [u8]| {
            if !bytes.is_empty() && filled < slices.len() {
                slices[filled] = IoSlice::new(bytes);
                filled += 1;
            }
        };
        for (position, segment) in &self.segments {
            put(&self.buffer[at..*position]);
            put(segment);
            at = *position;
        }
        put(&self.buffer[at..]);
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.left, "cannot advance past the end");
        self.left -= count;
        while count > 0 {
            let step = count.min(self.chunk().len());
            count -= step;
            match self.segments.front_mut() {
                Some((position, segment)) if *position == self.at => {
                    segment.advance(step);
                    if segment.is_empty() {
                        self.segments.pop_front();
                    }
                }
                _ => self.at += step,
            }
        }
    }
}
