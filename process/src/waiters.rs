//! Those who wait for something that others wait for as well, such as room in a mailbox.
//!
//! Each has an entry of its own, which goes when it is woken and when it stops waiting: what is waited for may never
//! come, and who gives up waiting for it again and again must not fill a list.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use parking_lot::Mutex;

/// A list of those who wait. It takes no memory until somebody does.
#[derive(Debug, Default)]
pub(crate) struct Waiters(OnceLock<Arc<Mutex<Entries>>>);

/// By number, and so in the order in which they came.
#[derive(Debug, Default)]
struct Entries {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// Who waits in a list, for as long as this is kept.
#[derive(Debug)]
#[must_use = "who drops it does not wait any more"]
pub(crate) struct Entry {
    of: Arc<Mutex<Entries>>,
    number: u64,
}

impl Waiters {
    /// Enters a waker, which is woken once. Whoever calls this looks once more after: what came before is not told.
    pub(crate) fn enter(&self, waker: &Waker) -> Entry {
        let waker = waker.clone();
        let of = self.0.get_or_init(Arc::default).clone();
        let mut entries = of.lock();
        let number = entries.next;
        entries.next += 1;
        entries.wakers.insert(number, waker);
        drop(entries);
        Entry { of, number }
    }

    /// Takes all out, in the order in which they came: they are woken when no lock is held.
    pub(crate) fn take(&self) -> impl Iterator<Item = Waker> + use<> {
        let entries = self.0.get().map(|of| std::mem::take(&mut of.lock().wakers));
        entries.into_iter().flat_map(BTreeMap::into_values)
    }

    /// Wakes all. No lock may be held.
    pub(crate) fn wake(&self) {
        self.take().for_each(Waker::wake);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.get().map_or(0, |of| of.lock().wakers.len())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Dropped when the lock is not held: it may be somebody's last.
        let waker = self.of.lock().wakers.remove(&self.number);
        drop(waker);
    }
}

#[cfg(test)]
mod tests;
