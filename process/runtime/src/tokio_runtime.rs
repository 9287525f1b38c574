//! The real runtime.
#![expect(clippy::disallowed_methods, reason = "this is the one place that may call them")]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use crate::{BoxFuture, DiskFiles, Files, Handle, Instant, Runtime};

/// Tasks on tokio, the system's clocks and random source, the disk.
#[derive(Debug)]
pub struct TokioRuntime {
    handle: tokio::runtime::Handle,
    began: std::time::Instant,
    files: Arc<dyn Files>,
}

impl TokioRuntime {
    /// The tokio runtime of the caller.
    ///
    /// # Panics
    /// When called outside one, as `tokio::runtime::Handle::current` does.
    #[must_use]
    pub fn current() -> Handle {
        Self::on(tokio::runtime::Handle::current())
    }

    /// That of the caller, on a clock that all such have in common.
    pub(crate) fn ambient() -> Handle {
        static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
        let handle = tokio::runtime::Handle::current();
        let files = Arc::new(DiskFiles::new(handle.clone()));
        Arc::new(Self { handle, began: *BEGAN.get_or_init(std::time::Instant::now), files })
    }

    /// The tokio runtime of `handle`.
    #[must_use]
    pub fn on(handle: tokio::runtime::Handle) -> Handle {
        let files = Arc::new(DiskFiles::new(handle.clone()));
        Arc::new(Self { handle, began: std::time::Instant::now(), files })
    }
}

impl Runtime for TokioRuntime {
    fn spawn_boxed(&self, _name: &'static str, task: BoxFuture<()>) {
        self.handle.spawn(task);
    }

    fn yield_now(&self) -> BoxFuture<()> {
        // It is woken when the worker has looked for input, output and timers.
        Box::pin(tokio::task::yield_now())
    }

    fn spawn_blocking(&self, _name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.handle.spawn_blocking(work);
    }

    fn now(&self) -> Instant {
        Instant::default() + self.began.elapsed()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<()> {
        // A deadline beyond the clock's reach is for ever.
        let after = Duration::from_nanos(deadline.as_nanos());
        match self.began.checked_add(after) {
            Some(at) => Box::pin(tokio::time::sleep_until(at.into())),
            None => Box::pin(std::future::pending()),
        }
    }

    fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the system has a random source");
    }

    fn workers(&self) -> usize {
        self.handle.metrics().num_workers()
    }

    fn files(&self) -> Arc<dyn Files> {
        self.files.clone()
    }
}
