//! Keeps sockets and timers served while a task blocks its worker, and says when all workers are blocked.
//!
//! Of tokio's workers one waits for sockets and timers. When it finds a task ready, it runs that itself; should the
//! task block, as a handler that computes for seconds does, nobody waits for them until another worker happens to
//! wake. A thread apart wakes one, several times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;

/// How often a worker is woken: so long may sockets wait beside a task that blocks.
const BEAT: Duration = Duration::from_millis(100);
/// Beats without an answer after which it is said, and again after as many.
const UNANSWERED: u64 = 20;

/// Starts the thread; it ends with the program. Where there is no thread to be had, all goes on without.
pub(crate) fn start(runtime: Handle) {
    let started = thread::Builder::new().name("watchdog".into()).spawn(move || watch(&runtime));
    if let Err(error) = started {
        tracing::warn!(%error, "there is no watchdog: a handler that blocks may keep sockets waiting");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, beside the runtime that it watches"
)]
fn watch(runtime: &Handle) {
    let answered = Arc::new(AtomicU64::new(0));
    for beat in 1_u64.. {
        // Those that wait already will be run by whoever is free first.
        if beat - answered.load(Ordering::Relaxed) <= UNANSWERED {
            let heard = answered.clone();
            runtime.spawn(async move { heard.fetch_max(beat, Ordering::Relaxed) });
        }
        thread::sleep(BEAT);
        let missing = beat - answered.load(Ordering::Relaxed);
        if missing > 0 && missing.is_multiple_of(UNANSWERED) {
            let seconds = missing * BEAT.as_millis() as u64 / 1_000;
            tracing::error!(
                seconds,
                "all threads of this program are blocked: handlers that compute for long, or wait without \
                 `await`, keep it from everything else, and peers will take it for lost"
            );
        }
    }
}
