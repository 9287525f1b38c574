//! A deterministic runtime: one thread, one seed, virtual time.
//!
//! Which of the ready tasks runs next is drawn from the seed; when none is ready, time jumps to the
//! next deadline. The same seed and program give the same run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use rand::{Rng, RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ambient::Simulated;
use crate::{BoxFuture, Files, Handle, Instant, MemoryFiles, Runtime};

/// The simulator's runtime. Make it with [`SimRuntime::new`], run it with [`SimRuntime::run`].
pub struct SimRuntime {
    state: Mutex<State>,
    files: MemoryFiles,
    this: Weak<Self>,
}

struct State {
    now: Instant,
    random: ChaCha8Rng,
    tasks: BTreeMap<u64, Option<Task>>,
    ready: BTreeSet<u64>,
    timers: BTreeMap<(Instant, u64), Waker>,
    next_task: u64,
    next_timer: u64,
    steps: u64,
}

/// A task keeps its waker: whoever registers it twice sees that it is the same.
struct Task {
    future: BoxFuture<()>,
    waker: Waker,
}

/// Why a simulation stopped before its main task was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// Nothing is ready and nobody waits for a time: a deadlock.
    Deadlock {
        /// The virtual time of it.
        at: Instant,
    },
    /// More steps than allowed.
    TooLong {
        /// How many were allowed.
        steps: u64,
    },
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadlock { at } => {
                write!(f, "deadlock at {at:?}: no task is ready, no timer set")
            }
            Self::TooLong { steps } => write!(f, "not done after {steps} steps"),
        }
    }
}

impl std::error::Error for Stopped {}

impl SimRuntime {
    /// A runtime whose every choice comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: Mutex::new(State {
                now: Instant::default(),
                random: ChaCha8Rng::seed_from_u64(seed),
                tasks: BTreeMap::new(),
                ready: BTreeSet::new(),
                timers: BTreeMap::new(),
                next_task: 0,
                next_timer: 0,
                steps: 0,
            }),
            files: MemoryFiles::default(),
            this: this.clone(),
        })
    }

    /// The runtime as the rest of Midflight takes it.
    #[must_use]
    pub fn handle(self: &Arc<Self>) -> Handle {
        self.clone()
    }

    /// Its files.
    #[must_use]
    pub fn disk(&self) -> &MemoryFiles {
        &self.files
    }

    /// How many steps (polls of a task) have been taken: a cheap fingerprint of the run.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// How many tasks there are.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.state.lock().tasks.len()
    }

    /// Runs until `main` is done, for at most `steps_max` steps.
    ///
    /// # Errors
    /// [`Stopped`] when it can never be done, or takes too long.
    pub fn run<T: Send + 'static>(
        self: &Arc<Self>,
        steps_max: u64,
        main: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stopped> {
        let _simulated = Simulated::begin(self.handle());
        let output = Arc::new(Mutex::new(None));
        let slot = output.clone();
        self.spawn_boxed("main", Box::pin(async move { *slot.lock() = Some(main.await) }));
        for _ in 0..steps_max {
            if let Some(output) = output.lock().take() {
                return Ok(output);
            }
            if !self.step() {
                return Err(Stopped::Deadlock { at: self.now() });
            }
        }
        output.lock().take().ok_or(Stopped::TooLong { steps: steps_max })
    }

    /// Takes one step. Answers false when nothing can happen any more.
    fn step(&self) -> bool {
        let Some((id, mut task)) = self.next_ready() else { return false };
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&task.waker));
        let done = {
            let mut state = self.state.lock();
            match poll {
                Poll::Ready(()) => state.tasks.remove(&id).map(|_| task),
                Poll::Pending => {
                    state.tasks.insert(id, Some(task));
                    None
                }
            }
        };
        // Outside the lock: what a task owns may wake or spawn when it is dropped.
        drop(done);
        true
    }

    fn next_ready(&self) -> Option<(u64, Task)> {
        loop {
            let due = {
                let mut state = self.state.lock();
                if !state.ready.is_empty() {
                    let count = state.ready.len();
                    let nth = state.random.random_range(0..count);
                    let id = *state.ready.iter().nth(nth)?;
                    state.ready.remove(&id);
                    state.steps += 1;
                    if let Some(task) = state.tasks.get_mut(&id).and_then(Option::take) {
                        return Some((id, task));
                    }
                    continue;
                }
                let (&key, _) = state.timers.first_key_value()?;
                state.now = state.now.max(key.0);
                state.timers.remove(&key)
            };
            if let Some(waker) = due {
                waker.wake();
            }
        }
    }
}

impl Runtime for SimRuntime {
    fn spawn_boxed(&self, _name: &'static str, future: BoxFuture<()>) {
        let mut state = self.state.lock();
        let id = state.next_task;
        state.next_task += 1;
        let waker = Waker::from(Arc::new(Wakeup { runtime: self.this.clone(), id }));
        state.tasks.insert(id, Some(Task { future, waker }));
        state.ready.insert(id);
    }

    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.spawn_boxed(name, Box::pin(async move { work() }));
    }

    fn now(&self) -> Instant {
        self.state.lock().now
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<()> {
        let runtime = self.this.clone();
        let mut timer: Option<u64> = None;
        Box::pin(std::future::poll_fn(move |cx| {
            let Some(runtime) = runtime.upgrade() else { return Poll::Pending };
            let mut state = runtime.state.lock();
            if state.now >= deadline {
                return Poll::Ready(());
            }
            let id = *timer.get_or_insert_with(|| {
                state.next_timer += 1;
                state.next_timer
            });
            state.timers.insert((deadline, id), cx.waker().clone());
            Poll::Pending
        }))
    }

    fn unix_time(&self) -> Duration {
        // An arbitrary fixed day, so that a run does not depend on the real one.
        Duration::from_secs(1_700_000_000) + self.now().since(Instant::default())
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.state.lock().random.fill_bytes(buffer);
    }

    fn workers(&self) -> usize {
        2
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.files.clone())
    }
}

impl fmt::Debug for SimRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("SimRuntime")
            .field("now", &state.now)
            .field("tasks", &state.tasks.len())
            .field("steps", &state.steps)
            .finish()
    }
}

struct Wakeup {
    runtime: Weak<SimRuntime>,
    id: u64,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        if let Some(runtime) = self.runtime.upgrade() {
            runtime.state.lock().ready.insert(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(seed: u64) -> (Vec<u32>, u64) {
        let sim = SimRuntime::new(seed);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let runtime = sim.handle();
        for n in 0..8 {
            let (seen, handle) = (seen.clone(), runtime.clone());
            runtime.spawn_boxed(
                "n",
                Box::pin(async move {
                    handle.sleep(Duration::from_millis(5)).await;
                    seen.lock().push(n);
                }),
            );
        }
        let handle = runtime.clone();
        sim.run(10_000, async move { handle.sleep(Duration::from_secs(3600)).await }).unwrap();
        let seen = seen.lock().clone();
        (seen, sim.steps())
    }

    #[test]
    fn one_seed_one_run() {
        assert_eq!(trace(7), trace(7));
        assert_ne!(trace(7).0, trace(8).0, "another seed, another order");
    }

    #[test]
    fn a_deadlock_is_told() {
        let sim = SimRuntime::new(1);
        let stopped = sim.run(100, std::future::pending::<()>()).unwrap_err();
        assert!(matches!(stopped, Stopped::Deadlock { .. }));
    }
}
