//! A deadline as the futures of a process wait for it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use midflight_runtime::Instant;

use super::Entry;
use super::wheel::Key;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::function::Shared;

/// A point in time that is waited for. It costs nothing until it is polled, and then next to nothing
/// where the process is woken before it in any case.
pub(crate) struct Deadline {
    at: Instant,
    /// Whether the clock need not be looked at by who polls first.
    ahead: bool,
    /// Who waits for it that is polled by another waker than the process's.
    part: Option<Box<Part>>,
}

/// The process in which a deadline is waited for.
#[derive(Clone, Copy)]
pub(crate) struct Waits<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) place: Place,
    pub(crate) shared: &'a Arc<Shared>,
}

/// An entry of its own, which goes with it.
struct Part {
    inner: Arc<Inner>,
    place: Place,
    waker: Waker,
    key: Key,
}

impl Deadline {
    /// A point in time that has most likely not come.
    pub(crate) const fn at(at: Instant) -> Self {
        Self { at, ahead: true, part: None }
    }

    /// So long after now.
    pub(crate) fn after(inner: &Inner, duration: Duration) -> Self {
        let at = inner.runtime.now() + duration;
        Self { at, ahead: !duration.is_zero(), part: None }
    }

    /// The point in time.
    pub(crate) const fn time(&self) -> Instant {
        self.at
    }

    /// Ready when its time has come, never before.
    pub(crate) fn poll(&mut self, waits: Waits<'_>, cx: &TaskContext<'_>) -> Poll<()> {
        let Waits { inner, place, shared } = waits;
        // An alarm for what is past rings at once.
        if !std::mem::take(&mut self.ahead) && inner.runtime.now() >= self.at {
            self.part = None;
            return Poll::Ready(());
        }
        if shared.is_own(cx) {
            inner.wake_at(place, self.at);
        } else if self.part.as_ref().is_none_or(|part| !part.waker.will_wake(cx.waker())) {
            self.part = None;
            self.part = Some(Box::new(Part::new(inner, place, self.at, cx.waker())));
        }
        Poll::Pending
    }
}

impl Waits<'_> {
    /// Waits for `future` until `deadline` at the most. `None`: that came first. What is ready at once is
    /// taken whatever the deadline.
    pub(crate) async fn within<F: Future>(
        self,
        mut deadline: Deadline,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => deadline.poll(self, cx).map(|()| None),
        })
        .await
    }
}

impl Part {
    fn new(inner: &Arc<Inner>, place: Place, at: Instant, waker: &Waker) -> Self {
        let wake = Entry::Wake(waker.clone());
        let key = inner.timers.change(place, at, |state| Some(state.wheel.insert(at, wake)));
        let key = key.unwrap_or(Key::NONE);
        Self { inner: inner.clone(), place, waker: waker.clone(), key }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.inner.remove_entry(self.place, self.key);
    }
}
