//! A running task that can be ended and waited for.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::{AbortHandle, Abortable};
use tokio::sync::watch;

use crate::Handle;

/// A task started by [`spawn`]. Dropping it lets the task run on.
#[derive(Clone)]
pub struct Task {
    name: &'static str,
    abort: AbortHandle,
    ended: Arc<watch::Receiver<bool>>,
}

impl Task {
    /// Ends the task at its next suspension. Idempotent.
    pub fn abort(&self) {
        self.abort.abort();
    }

    /// Ends when the task has ended, by itself or aborted.
    ///
    /// # Cancel safety
    /// Safe: waiting can be given up and begun again.
    pub async fn ended(&self) {
        let mut ended = (*self.ended).clone();
        // The sender lives as long as the task: an error means that it is gone, which is an end too.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        *self.ended.borrow() || self.ended.has_changed().is_err()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.name).field("ended", &self.is_ended()).finish()
    }
}

/// Starts `task` on `runtime`.
pub fn spawn<F>(runtime: &Handle, name: &'static str, task: F) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let (abort, registration) = AbortHandle::new_pair();
    let (end, ended) = watch::channel(false);
    let task = Abortable::new(task, registration);
    runtime.spawn_boxed(
        name,
        Box::pin(async move {
            let _aborted = task.await;
            let _ = end.send(true);
        }),
    );
    Task { name, abort, ended: Arc::new(ended) }
}

/// Wakes its task at once, and is done when that is polled again.
pub async fn wake_again() {
    let mut woken = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut woken, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
