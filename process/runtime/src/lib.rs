//! The one seam to tasks, time, randomness and files.
//!
//! Everything that would make two runs of the same program differ goes through a [`Runtime`]:
//! [`TokioRuntime`] for real, [`SimRuntime`] for tests, with one seed, virtual time and an order of
//! tasks chosen by the seed. Outside this crate nothing calls `tokio::spawn`, `sleep`,
//! `Instant::now`, `SystemTime::now` or a random source (clippy's `disallowed-methods` holds it).

mod ambient;
mod files;
mod instant;
mod sim;
mod task;
mod timeout;
mod tokio_runtime;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use ambient::current;
pub use files::{DiskFiles, Files, MemoryFiles};
pub use instant::Instant;
pub use sim::{SimRuntime, Stopped};
pub use task::{Task, spawn, wake_again};
pub use timeout::{Elapsed, timeout, timeout_at};
pub use tokio_runtime::TokioRuntime;

/// A boxed future that can be sent between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A runtime shared by everything that runs on it.
pub type Handle = Arc<dyn Runtime>;

/// Tasks, time, chance and files.
pub trait Runtime: Debug + Send + Sync + 'static {
    /// Runs `task` until it ends. `name` says in logs and traces what it is for.
    fn spawn_boxed(&self, name: &'static str, task: BoxFuture<()>);

    /// Lets others have their turn before the calling task has its next: other tasks, and what waits for
    /// input, output or a time. (A task that only wakes itself may keep these out for long: tokio looks for
    /// them every 61 tasks.)
    fn yield_now(&self) -> BoxFuture<()> {
        Box::pin(wake_again())
    }

    /// Runs `work`, which may block or compute for long, apart from the tasks.
    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>);

    /// Now, on a clock that never goes back.
    fn now(&self) -> Instant;

    /// Ends at `deadline`, not before.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<()>;

    /// The time of day, since 1970-01-01 UTC.
    fn unix_time(&self) -> Duration;

    /// Fills `buffer` with random bytes fit for keys and nonces (in the simulator: with the seed's).
    fn fill_random(&self, buffer: &mut [u8]);

    /// How many tasks run at the same time.
    fn workers(&self) -> usize;

    /// The files.
    fn files(&self) -> Arc<dyn Files>;
}

impl dyn Runtime {
    /// Ends after `duration`, not before.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.sleep_until(self.now() + duration)
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
