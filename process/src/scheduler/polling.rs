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

use crate::mailbox::envelope::Sender;
use crate::mailbox::value::Value;
use crate::peer::push_waker;
use crate::scheduler::function::{InHand, Shared};
use crate::scheduler::turn::Batch;
use crate::send::MOVED_WEIGHT;

thread_local! {
    /// The process that is being polled on this thread, and the waker it is polled with, by where
    /// they lie.
    static POLLED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// Whether a receive of it has found nothing, and waits.
    static RECEIVES: Cell<bool> = const { Cell::new(false) };
    /// What has come for it that nobody has looked at, and what was taken of that.
    static FRESH: RefCell<Batch> = const { RefCell::new(Batch::NOTHING) };
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
    RECEIVES.set(true);
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
        let before = (POLLED.replace((self.address(), data(waker))), RECEIVES.replace(false));
        FRESH.with_borrow_mut(|fresh| std::mem::swap(fresh, batch));
        let polled = poll();
        FRESH.with_borrow_mut(|fresh| std::mem::swap(fresh, batch));
        POLLED.set(before.0);
        (polled, RECEIVES.replace(before.1))
    }

    /// Takes the oldest of all there is, where that can be told without a lock.
    #[inline]
    pub(crate) fn take_fresh(self: &Arc<Self>) -> Fresh {
        if !self.is_polled() {
            return Fresh::Unsure;
        }
        FRESH.with_borrow_mut(|fresh| match fresh.came.pop_value() {
            Some((from, value)) => {
                fresh.handled.add(from, MOVED_WEIGHT);
                Fresh::Value(from, value)
            }
            None if fresh.is_empty() && !self.keeps() => Fresh::Nothing,
            None => Fresh::Unsure,
        })
    }

    /// Puts back what was taken last.
    pub(crate) fn put_fresh_back(&self, from: Sender, value: Box<dyn Value>) {
        FRESH.with_borrow_mut(|fresh| {
            fresh.handled.undo(from, MOVED_WEIGHT);
            fresh.came.put_back(from, value);
        });
    }

    /// All that has come, under its lock.
    pub(crate) fn lock_all(self: &Arc<Self>) -> InHand<'_> {
        let mut arrived = self.lock();
        if self.is_polled() {
            FRESH.with_borrow_mut(|fresh| {
                if !fresh.is_empty() {
                    // It has no demand to end in it: that would have been seen to.
                    arrived.take(&mut fresh.came);
                }
            });
        }
        arrived
    }

    /// Whether the process is being polled on this thread, by whatever waker.
    pub(crate) fn is_polled(self: &Arc<Self>) -> bool {
        POLLED.get().0 == self.address()
    }

    /// Whether whoever is polled with `cx` is polled again whenever something has come.
    pub(crate) fn is_own(self: &Arc<Self>, cx: &Context<'_>) -> bool {
        POLLED.get() == (self.address(), data(cx.waker()))
    }

    /// Sees that whoever is polled with `cx` is polled again when something has come. Called with
    /// nothing in hand of what arrived, and before it is looked at: what comes in between is not
    /// missed, as it comes with the process's next turn.
    pub(crate) fn wait(self: &Arc<Self>, cx: &Context<'_>) {
        if !self.is_own(cx) {
            push_waker(&mut self.lock().aside().waiting, cx.waker());
        }
    }
}
