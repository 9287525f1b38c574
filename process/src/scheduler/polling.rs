//! Who is polled when something comes to a process.
//!
//! A process is polled whenever something has come, and with it whatever it awaits. So what waits
//! inside it keeps no waker: none is made for it. Only a part of the process that is polled by a
//! waker of its own, as the members of a large `join_all` are, must be woken by name.
//!
//! What has come with the turn lies here, too, as long as it is all that the process has: its receives take it
//! without a lock. The rest is handed to [`Shared`] when a receive looks for what is not on top, or the turn ends.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::mailbox::InboxPool;
use crate::mailbox::came::Came;
use crate::mailbox::envelope::Sender;
use crate::mailbox::value::Value;
use crate::scheduler::function::{InHand, Shared};
use crate::scheduler::turn::Batch;

/// The process that is being polled on a thread.
#[derive(Clone, Copy)]
struct Polled {
    /// It, and the waker it is polled with, by where they lie.
    shared: usize,
    waker: usize,
    /// Whether a receive of it has found nothing, and waits.
    receives: bool,
    /// How many it has taken of what has come with this turn.
    taken: u32,
}

const NOBODY: Polled = Polled { shared: 0, waker: 0, receives: false, taken: 0 };

thread_local! {
    static POLLED: Cell<Polled> = const { Cell::new(NOBODY) };
    /// What has come for it that nobody has looked at.
    static FRESH: RefCell<Came> = const { RefCell::new(Came::NOTHING) };
}

/// What a receive finds on top.
pub(crate) enum Fresh {
    /// A moved value.
    Value(Sender, Box<dyn Value>),
    /// There is nothing at all.
    Nothing,
    /// Something that has to be looked for.
    Unsure,
}

/// The process that is being polled waits for a message or a value.
pub(crate) fn receives() {
    POLLED.set(Polled { receives: true, ..POLLED.get() });
}

fn data(waker: &Waker) -> usize {
    waker.data().addr()
}

impl Shared {
    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Polls the process, with what has come in `batch`, and leaves there what nobody has looked at. Answers also
    /// whether it waits in a receive.
    #[inline]
    pub(crate) fn polled<T>(
        self: &Arc<Self>,
        waker: &Waker,
        batch: &mut Batch,
        poll: impl FnOnce() -> T,
    ) -> (T, bool) {
        let polled = Polled { shared: self.address(), waker: data(waker), ..NOBODY };
        let before = POLLED.replace(polled);
        FRESH.with_borrow_mut(|fresh| std::mem::swap(fresh, &mut batch.came));
        let output = poll();
        FRESH.with_borrow_mut(|fresh| std::mem::swap(fresh, &mut batch.came));
        let Polled { receives, taken, .. } = POLLED.replace(before);
        batch.handled.add_moved(taken);
        (output, receives)
    }

    /// Takes the oldest of all there is, where that can be told without a lock.
    #[inline]
    pub(crate) fn take_fresh(self: &Arc<Self>) -> Fresh {
        let polled = POLLED.get();
        if polled.shared != self.address() {
            return Fresh::Unsure;
        }
        FRESH.with_borrow_mut(|fresh| match fresh.pop_value() {
            Some((from, value)) => {
                POLLED.set(Polled { taken: polled.taken + 1, ..polled });
                Fresh::Value(from, value)
            }
            None if fresh.is_empty() && !self.keeps() => Fresh::Nothing,
            None => Fresh::Unsure,
        })
    }

    /// Puts back what was taken last.
    pub(crate) fn put_fresh_back(&self, from: Sender, value: Box<dyn Value>) {
        let polled = POLLED.get();
        POLLED.set(Polled { taken: polled.taken - 1, ..polled });
        FRESH.with_borrow_mut(|fresh| fresh.put_back(from, value));
    }

    /// All that has come, under its lock.
    pub(crate) fn lock_all(self: &Arc<Self>, pool: &InboxPool) -> InHand<'_> {
        let mut arrived = self.lock();
        if self.is_polled() {
            FRESH.with_borrow_mut(|fresh| {
                if !fresh.is_empty() {
                    // It has no demand to end in it: that would have been seen to.
                    arrived.take(fresh, pool);
                }
            });
        }
        arrived
    }

    /// Whether the process is being polled on this thread, by whatever waker.
    pub(crate) fn is_polled(self: &Arc<Self>) -> bool {
        POLLED.get().shared == self.address()
    }

    /// Whether whoever is polled with `cx` is polled again whenever something has come.
    pub(crate) fn is_own(self: &Arc<Self>, cx: &Context<'_>) -> bool {
        let Polled { shared, waker, .. } = POLLED.get();
        (shared, waker) == (self.address(), data(cx.waker()))
    }

    /// Sees that whoever is polled with `cx` is polled again when something has come. Called with
    /// nothing in hand of what arrived, and before it is looked at: what comes in between is not
    /// missed, as it comes with the process's next turn.
    pub(crate) fn wait(self: &Arc<Self>, cx: &Context<'_>) {
        if !self.is_own(cx) {
            let (mut arrived, waker) = (self.lock(), cx.waker());
            let waiting = &mut arrived.aside().waiting;
            if !waiting.iter().any(|other| other.will_wake(waker)) {
                waiting.push(waker.clone());
            }
        }
    }
}
