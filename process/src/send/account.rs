//! Credit: how much one peer's process may be sent before it has handled some of it (P6).
//!
//! The first window is implicit. An account exists only while something is outstanding.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::node::limits::Limits;
use crate::peer::push_waker;

/// How much may be under way to one process: the receiver's word, said in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
}

impl Window {
    pub(crate) const fn of(limits: &Limits) -> Self {
        Self { messages: limits.window_messages, bytes: limits.window_bytes }
    }
}

/// What is under way to one remote process.
#[derive(Debug, Default)]
pub(crate) struct Account {
    messages: AtomicU32,
    bytes: AtomicU32,
    /// The process has ended or the link is lost: nothing sent there takes room any more.
    closed: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Account {
    /// Takes credit for one message of `bytes` bytes; false when there is none. A message larger
    /// than the window may pass when a quarter of it at the most is under way: so much a receiver
    /// keeps to itself when it has handled everything.
    pub(crate) fn take(&self, bytes: u32, window: Window) -> bool {
        if self.closed.load(Ordering::Acquire) {
            return true;
        }
        let messages = self.messages.fetch_add(1, Ordering::AcqRel);
        let before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = before <= window.bytes / 4
            || u64::from(before) + u64::from(bytes) <= u64::from(window.bytes);
        if messages < window.messages && fits {
            return true;
        }
        self.messages.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        false
    }

    /// The peer has handled so much. Answers whether nothing is outstanding any more.
    pub(crate) fn give(&self, messages: u32, bytes: u32) -> bool {
        let left = sub(&self.messages, messages);
        sub(&self.bytes, bytes);
        self.wake();
        left == 0
    }

    /// Nothing needs credit here any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn wait(&self, waker: &Waker) {
        push_waker(&mut self.waiting.lock(), waker);
    }

    fn wake(&self) {
        // Taken out first: the lock is not held while others are woken.
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Subtracts, but not below zero, whatever a peer says.
fn sub(counter: &AtomicU32, amount: u32) -> u32 {
    let before = counter
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| Some(n.saturating_sub(amount)))
        .unwrap_or_default();
    before.saturating_sub(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_bounded_both_ways() {
        let window = Window { messages: 2, bytes: 100 };
        let account = Account::default();
        assert!(account.take(500, window), "alone, it may pass");
        assert!(!account.take(1, window), "no bytes left");
        assert!(account.give(9, 9_000), "a peer that gives too much gives no more than there was");
        assert!(account.take(50, window) && account.take(50, window));
        assert!(!account.take(0, window), "no messages left");
        assert!(!account.give(1, 50));
        assert!(account.take(50, window));
    }
}
