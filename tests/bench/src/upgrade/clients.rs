//! Who uses the processes while they are upgraded: a caster and a caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use midflight_process::{Context, Pid};
use record_v2::{Bump, Count, Counted};

use crate::local::text;

/// A call that takes longer has failed.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Messages that the caster sends at once.
const CAST: usize = 100;
/// How long it rests between.
const REST: Duration = Duration::from_millis(1);

/// What the clients and whoever watches them share.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    over: AtomicBool,
    longest: AtomicU64,
}

impl Watch {
    /// The longest time, in nanoseconds, between two replies since this was asked last.
    pub(crate) fn take_gap(&self) -> u64 {
        self.longest.swap(0, Ordering::Relaxed)
    }

    /// The clients end.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Calls processes chosen by chance without pause. Answers how many calls it made.
pub(crate) async fn caller(
    cx: Context,
    pids: Arc<[Pid]>,
    watch: Arc<Watch>,
) -> Result<u64, String> {
    let (mut choice, mut calls) = (Choice::new(&cx), 0);
    let mut last = cx.now();
    while !watch.is_over() {
        count(&cx, choice.of(&pids)).await?;
        calls += 1;
        let now = cx.now();
        watch.longest.fetch_max(now.as_nanos() - last.as_nanos(), Ordering::Relaxed);
        last = now;
    }
    Ok(calls)
}

/// Sends 100 messages to processes chosen by chance about every millisecond. Answers how many.
pub(crate) async fn caster(
    cx: Context,
    pids: Arc<[Pid]>,
    watch: Arc<Watch>,
) -> Result<u64, String> {
    let (mut choice, mut sent) = (Choice::new(&cx), 0);
    while !watch.is_over() {
        for _ in 0..CAST {
            cx.send(choice.of(&pids), Bump {}).await.map_err(text)?;
            sent += 1;
        }
        cx.sleep(REST).await;
    }
    Ok(sent)
}

/// Has a process count once more.
pub(crate) async fn count(cx: &Context, pid: Pid) -> Result<Counted, String> {
    cx.call(pid, Count {}, CALL_MAX).await.map_err(text)
}

/// Chance that costs nothing: xorshift.
struct Choice(u64);

impl Choice {
    fn new(cx: &Context) -> Self {
        Self(cx.node().runtime().random_u64() | 1)
    }

    fn of(&mut self, pids: &[Pid]) -> Pid {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        pids[usize::try_from(self.0 >> 16).unwrap_or_default() % pids.len()]
    }
}
