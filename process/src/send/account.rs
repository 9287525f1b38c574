//! Credit: how much one peer may be sent before it has handled some of it (P6): to each of its processes, and to
//! all of them together.
//!
//! The first window is implicit. An account exists while something is outstanding, and for a while after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::node::limits::Limits;
use crate::peer::wire::Place;
use crate::waiters::{Entry, Waiters};

/// How much may be under way: the receiver's word, said in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// To one process.
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
    /// Bytes to all processes together.
    pub(crate) together: u64,
}

impl Window {
    pub(crate) const fn of(limits: &Limits) -> Self {
        Self {
            messages: limits.window_messages,
            bytes: limits.window_bytes,
            together: limits.peer_bytes,
        }
    }
}

/// Whether `bytes` more may be under way, when so many are. What is larger than the window may pass when a
/// quarter of it at the most is under way: so much a receiver keeps to itself when it has handled everything.
pub(crate) const fn fits(before: u64, bytes: u64, window: u64) -> bool {
    before <= window / 4 || before.saturating_add(bytes) <= window
}

/// What is under way to one remote process, or to all of a node.
#[derive(Debug, Default)]
pub(crate) struct Account {
    messages: AtomicU32,
    bytes: AtomicU64,
    /// The process has ended or the link is lost: nothing sent there takes room any more.
    closed: AtomicBool,
    waiting: Waiters,
}

impl Account {
    /// Takes credit for one message of `bytes` bytes; false when there is none.
    pub(crate) fn take(&self, bytes: u32, window: Window) -> bool {
        if self.closed.load(Ordering::Acquire) {
            return true;
        }
        let messages = self.messages.fetch_add(1, Ordering::AcqRel);
        if self.take_bytes(bytes, window.bytes.into()) {
            if messages < window.messages {
                return true;
            }
            self.bytes.fetch_sub(bytes.into(), Ordering::AcqRel);
        }
        self.messages.fetch_sub(1, Ordering::AcqRel);
        false
    }

    /// As [`Account::take`], where only bytes count.
    pub(crate) fn take_bytes(&self, bytes: u32, window: u64) -> bool {
        let before = self.bytes.fetch_add(bytes.into(), Ordering::AcqRel);
        let taken = fits(before, bytes.into(), window);
        if !taken {
            self.bytes.fetch_sub(bytes.into(), Ordering::AcqRel);
        }
        taken
    }

    /// Takes back what was taken for a message that is not sent. Nobody is woken: who was kept out by it
    /// waits for something else as well, or else would have been let in.
    pub(crate) fn untake(&self, bytes: u32) {
        sub(&self.messages, 1);
        sub_bytes(&self.bytes, bytes.into());
    }

    /// The peer has handled so much.
    pub(crate) fn give(&self, messages: u32, bytes: u64) {
        sub(&self.messages, messages);
        sub_bytes(&self.bytes, bytes);
        self.waiting.wake();
    }

    /// Nothing needs credit here any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Wakes `waker` when there is more credit, for as long as the entry is kept.
    pub(crate) fn wait(&self, waker: &Waker) -> Entry {
        self.waiting.enter(waker)
    }

    fn is_idle(&self) -> bool {
        self.messages.load(Ordering::Acquire) == 0 && self.waiting.len() == 0
    }
}

/// Subtracts, but not below zero, whatever a peer says.
fn sub(counter: &AtomicU32, amount: u32) {
    let less = |n: u32| Some(n.saturating_sub(amount));
    // It always answers something.
    let _ = counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
}

fn sub_bytes(counter: &AtomicU64, amount: u64) {
    let less = |n: u64| Some(n.saturating_sub(amount));
    // It always answers something.
    let _ = counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
}

/// The accounts of a peer's processes, and the one of the whole peer.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_process: Mutex<ByProcess>,
    together: Account,
}

#[derive(Debug, Default)]
struct ByProcess {
    accounts: FxHashMap<Place, Arc<Account>>,
    /// How many there may be before those are looked for that nobody needs.
    sweep_at: usize,
}

impl Accounts {
    /// Accounts from which on those are looked for that nobody needs.
    const SWEEP_LEAST: usize = 64;

    /// The account of a process.
    pub(crate) fn of(&self, process: Place) -> Arc<Account> {
        let mut by_process = self.by_process.lock();
        let ByProcess { accounts, sweep_at } = &mut *by_process;
        if accounts.len() >= (*sweep_at).max(Self::SWEEP_LEAST) && !accounts.contains_key(&process)
        {
            // Nobody has such a one in hand, and nobody gets one but under this lock.
            accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle());
            *sweep_at = accounts.len() * 2;
        }
        accounts.entry(process).or_default().clone()
    }

    /// Takes credit for a message to `process`, whose account this is; false when there is none. What is to
    /// nobody, a request to start a function, counts apart: it is given back with its answer.
    pub(crate) fn take(
        &self,
        (process, account): (Place, &Account),
        bytes: u32,
        window: Window,
    ) -> bool {
        if !account.take(bytes, window) {
            return false;
        }
        if process == Place::NOBODY {
            return true;
        }
        let taken = self.together.take_bytes(bytes, window.together);
        if !taken {
            account.untake(bytes);
        }
        taken
    }

    /// Wakes `waker` when the process may be sent more, for as long as the entries are kept.
    pub(crate) fn wait(&self, process: Place, waker: &Waker) -> [Entry; 2] {
        [self.of(process).wait(waker), self.together.wait(waker)]
    }

    /// How many wait to send the process more.
    #[cfg(test)]
    pub(crate) fn waiting(&self, process: Place) -> usize {
        self.of(process).waiting.len() + self.together.waiting.len()
    }

    /// So much has been handled by all the peer's processes together.
    pub(crate) fn give_together(&self, bytes: u64) {
        self.together.give(0, bytes);
    }

    /// So much that was sent over links of before lies at the peer still.
    pub(crate) fn owe_together(&self, bytes: u64) {
        self.together.bytes.fetch_add(bytes.min(1 << 62), Ordering::AcqRel);
    }

    /// The peer's process has handled so much.
    pub(crate) fn give(&self, process: Place, messages: u32, bytes: u32) {
        let account = self.by_process.lock().accounts.get(&process).cloned();
        if let Some(account) = account {
            account.give(messages, bytes.into());
        }
    }

    /// The peer's process does not live.
    pub(crate) fn gone(&self, process: Place) {
        let account = self.by_process.lock().accounts.remove(&process);
        if let Some(account) = account {
            account.close();
        }
    }

    /// The link is lost: nobody waits any more.
    pub(crate) fn close(&self) {
        let accounts = std::mem::take(&mut self.by_process.lock().accounts);
        accounts.into_values().for_each(|account| account.close());
        self.together.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { messages: 2, bytes: 100, together: 1_000 };

    #[test]
    fn credit_is_bounded_both_ways() {
        let account = Account::default();
        assert!(account.take(500, WINDOW), "alone, it may pass");
        assert!(!account.take(1, WINDOW), "no bytes left");
        account.give(9, 9_000);
        assert!(account.take(50, WINDOW), "who gives too much gives no more than there was");
        assert!(account.take(50, WINDOW));
        assert!(!account.take(0, WINDOW), "no messages left");
        account.give(1, 50);
        assert!(account.take(50, WINDOW));
    }

    #[test]
    fn all_processes_of_a_peer_are_bounded_together() {
        let accounts = Accounts::default();
        let place = |index| Place { index, generation: 0 };
        let take = |index| accounts.take((place(index), &accounts.of(place(index))), 100, WINDOW);
        assert!((0..10).all(take) && !take(10) && !take(10));
        accounts.give(place(0), 1, 100);
        assert!(!take(0), "that is the process's own");
        accounts.give_together(100);
        assert!(take(10), "nothing was kept of what was refused");
        accounts.gone(place(3));
        assert!(!take(3), "what went to it was not handled yet");
    }

    /// Each sender has the account it used last in hand.
    #[test]
    fn accounts_of_processes_that_are_owed_nothing_are_forgotten() {
        let accounts = Accounts::default();
        let mut in_hand = Vec::new();
        for index in 0..10_000 {
            let place = Place { index, generation: 0 };
            let account = accounts.of(place);
            assert!(accounts.take((place, &account), 1, Window { together: 1 << 20, ..WINDOW }));
            in_hand = vec![account];
            if index % 1_000 != 0 {
                accounts.give(place, 1, 1);
            }
        }
        let by_process = accounts.by_process.lock();
        assert!(by_process.accounts.len() <= 2 * Accounts::SWEEP_LEAST);
        let waits = |index| by_process.accounts.contains_key(&Place { index, generation: 0 });
        assert!((0..10).all(|thousand| waits(thousand * 1_000)), "something is outstanding");
        assert_eq!(in_hand.len(), 1);
    }
}
