//! Calling into code on a thread apart, for a while: code that never ends keeps no task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use midflight_runtime::{Handle, timeout};
use tokio::sync::oneshot;

/// How many threads were given up and have not ended. A thread cannot be stopped: it is abandoned, and counts until it
/// ends by itself. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Abandoned(Arc<AtomicUsize>);

/// How a thread apart ended.
pub(crate) enum ThreadEnd<T> {
    Well(T),
    /// It panicked.
    Died,
    /// It did not end in time.
    Not,
}

impl<T> ThreadEnd<T> {
    /// What it has answered, if it has.
    pub(crate) fn well(self) -> Option<T> {
        match self {
            Self::Well(answer) => Some(answer),
            Self::Died | Self::Not => None,
        }
    }
}

impl Abandoned {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Does `work` on a thread of its own, which is abandoned after `limit`.
    pub(super) async fn or_done<T: Send + 'static>(
        &self,
        runtime: &Handle,
        limit: Duration,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ThreadEnd<T> {
        let (tell, mut told) = oneshot::channel();
        let abandoned = self.0.clone();
        let run = move || {
            // Given up by those who waited, it counts until here.
            if tell.send(work()).is_err() {
                abandoned.fetch_sub(1, Ordering::AcqRel);
            }
        };
        runtime.spawn_blocking(name, Box::new(run));
        match timeout(&**runtime, limit, &mut told).await {
            Ok(Ok(answer)) => return ThreadEnd::Well(answer),
            Ok(Err(_gone)) => return ThreadEnd::Died,
            Err(_elapsed) => {}
        }
        // Counted first: the thread takes itself off the count when it finds nobody waiting.
        self.0.fetch_add(1, Ordering::AcqRel);
        told.close();
        if let Ok(answer) = told.try_recv() {
            self.0.fetch_sub(1, Ordering::AcqRel);
            return ThreadEnd::Well(answer);
        }
        tracing::error!(name, ?limit, "code does not come back: its thread is abandoned");
        ThreadEnd::Not
    }
}
