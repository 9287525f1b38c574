//! Who is polled when something comes to a process.
//!
//! A process is polled whenever something has come, and with it whatever it awaits. So what waits
//! inside it keeps no waker: none is made for it. Only a part of the process that is polled by a
//! waker of its own, as the members of a large `join_all` are, must be woken by name.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::peer::push_waker;
use crate::scheduler::function::Shared;

thread_local! {
    /// The process that is being polled on this thread, and the waker it is polled with, by where
    /// they lie.
    static POLLED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// Whether a receive of it has found nothing, and waits.
    static RECEIVES: Cell<bool> = const { Cell::new(false) };
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

    /// Polls the process. Answers also whether it waits in a receive.
    pub(crate) fn polled<T>(
        self: &Arc<Self>,
        waker: &Waker,
        poll: impl FnOnce() -> T,
    ) -> (T, bool) {
        let before = (POLLED.replace((self.address(), data(waker))), RECEIVES.replace(false));
        let polled = poll();
        POLLED.set(before.0);
        (polled, RECEIVES.replace(before.1))
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
            push_waker(&mut self.arrived.lock().aside().waiting, cx.waker());
        }
    }
}
