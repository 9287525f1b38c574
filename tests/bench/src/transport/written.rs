//! How much of an endless stream has gone out: messages are kept by reference, on both sides that
//! are compared, and whoever holds the last reference is done with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Makes equal messages, and counts the bytes of those that nobody holds any more.
#[derive(Clone)]
pub(super) struct Written {
    bytes: Arc<[u8]>,
    count: Arc<AtomicUsize>,
}

impl Written {
    /// For messages of `len` bytes.
    pub(super) fn new(len: usize) -> Self {
        Self { bytes: vec![7; len].into(), count: Arc::default() }
    }

    /// One more message.
    pub(super) fn message(&self) -> Bytes {
        Bytes::from_owner(Message(self.clone()))
    }

    /// Bytes per second of what has gone out in so many seconds.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn rate(&self, seconds: f64) -> f64 {
        self.count.load(Ordering::Relaxed) as f64 / seconds
    }
}

struct Message(Written);

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.0.count.fetch_add(self.0.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    fn what_is_held_has_not_gone_out() {
        let written = Written::new(10);
        let (gone, mut half_gone) = (written.message(), written.message());
        drop(gone);
        drop(half_gone.split_to(5));
        assert_eq!(written.rate(1.0), 10.0);
    }
}
