//! What is logged in this process, to be looked at by tests.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::{Poll, Waker};

use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

/// Lines kept.
const KEPT: usize = 4000;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    panics: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// How many lines are not kept any more.
    gone: usize,
    wakers: Vec<Waker>,
}

/// Everything that is logged from now on, and before if this is not the first call.
pub(crate) fn captured() -> &'static Log {
    static LOG: OnceLock<&'static Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log: &'static Log = Box::leak(Box::default());
        let subscriber = Registry::default().with(Capture(log));
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // What a test itself asserts panics on the test's thread.
            let thread = std::thread::current();
            if thread.name().is_some_and(|name| name.starts_with("tokio")) {
                log.panics.fetch_add(1, Ordering::Relaxed);
            }
            others(info);
        }));
        log
    })
}

impl Log {
    /// Waits until one line has all of `words`.
    pub(crate) async fn says(&self, words: &[&str]) {
        let is_it = |line: &String| words.iter().all(|word| line.contains(word));
        let mut looked_at = 0;
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            let new = looked_at.max(state.gone) - state.gone;
            if state.lines.iter().skip(new).any(is_it) {
                return Poll::Ready(());
            }
            looked_at = state.gone + state.lines.len();
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The lines that have `word`.
    pub(crate) fn about(&self, word: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.lines.iter().filter(|line| line.contains(word)).cloned().collect()
    }

    /// How many tasks of any runtime in this process have panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

struct Capture(&'static Log);

impl Layer<Registry> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _ctx: Context<'_, Registry>) {
        if !event.metadata().target().starts_with("midflight") {
            return;
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        let mut state = self.0.state.lock().unwrap();
        if state.lines.len() >= KEPT {
            state.lines.pop_front();
            state.gone += 1;
        }
        state.lines.push_back(line.0);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }
}

/// `field=value; ` for each.
struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{}={value:?}; ", field.name());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        let _ = write!(self.0, "{}={value}; ", field.name());
    }
}
