//! The fuzzer: changes inputs for as long as it is told, and stops at the first that is treated wrongly.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use midflight_runtime::{Handle, Instant, timeout};
use parking_lot::Mutex;
use peak_alloc::PeakAlloc;
use tokio::sync::oneshot;

use crate::chance::Chance;
use crate::mutate::mutate;
use crate::{Target, Trail};

/// How many inputs are kept to be changed again.
const POOL_MAX: usize = 4096;
/// How often to see whether an input takes too long.
const LOOK: Duration = Duration::from_millis(200);

/// How long to look, and from where.
#[derive(Debug, Clone)]
pub struct Options {
    /// For so long.
    pub time: Duration,
    /// The same seed changes the inputs in the same way.
    pub seed: u64,
    /// An input that takes longer is a finding.
    pub input_time: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// So many inputs were tried.
    pub inputs: u64,
    /// Those that led to something new, in the order in which they were found.
    pub new: Vec<Vec<u8>>,
    /// The one at which it stopped.
    pub finding: Option<Finding>,
}

/// An input that is treated wrongly.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with the treatment of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The target panicked, with these words.
    Panicked(String),
    /// It held so many bytes at once, more than it may.
    Memory {
        /// Bytes held.
        held: usize,
        /// Bytes allowed.
        allowed: usize,
    },
    /// It had not ended after so long.
    Slow(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(words) => write!(f, "panic: {words}"),
            Self::Memory { held, allowed } => {
                write!(f, "it held {held} bytes, {allowed} are allowed")
            }
            Self::Slow(time) => write!(f, "it took longer than {time:?}"),
        }
    }
}

/// Tries one input. Memory is measured in a program whose allocator is [`PeakAlloc`], and where
/// nothing else runs.
///
/// # Errors
/// What is wrong.
pub fn judge(target: &Target, input: &[u8], trail: &mut Trail) -> Result<(), Fault> {
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input, trail)));
    let held = PeakAlloc.peak_usage().saturating_sub(before);
    if let Err(panic) = ran {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        return Err(Fault::Panicked(words.unwrap_or("without words").to_owned()));
    }
    let allowed = target.memory.0 + target.memory.1 * input.len();
    if held > allowed { Err(Fault::Memory { held, allowed }) } else { Ok(()) }
}

/// Changes `seeds` and what comes of them until the time is up or something is found. When an input
/// takes too long, the thread in which it runs is left behind.
pub async fn hunt(
    runtime: &Handle,
    target: Target,
    seeds: Vec<Vec<u8>>,
    options: Options,
) -> Report {
    let watch = Arc::new(Watch::default());
    let (tell, mut told) = oneshot::channel();
    let hunter = Hunter {
        runtime: runtime.clone(),
        end: runtime.now() + options.time,
        target,
        watch: watch.clone(),
        chance: Chance::new(options.seed),
        steps: BTreeSet::new(),
        pool: Vec::new(),
        new: Vec::new(),
        inputs: 0,
    };
    let hunts = move || {
        let report = hunter.run(seeds, || tell.is_closed());
        // Nobody wants to know of one that has been given up.
        let _ = tell.send(report);
    };
    runtime.spawn_blocking("fuzz", Box::new(hunts));
    // Looks and not the clock: while the machine stands still, or others have it, nobody looks either.
    let (mut current, mut looks) = (0, 0);
    loop {
        if let Ok(Ok(report)) = timeout(&**runtime, LOOK, &mut told).await {
            return report;
        }
        let number = watch.number.load(Ordering::Acquire);
        looks = if number == current { looks + 1 } else { 0 };
        current = number;
        if number % 2 == 1 && LOOK * looks >= options.input_time {
            let input = watch.input.lock().clone();
            let finding = Some(Finding { input, fault: Fault::Slow(options.input_time) });
            return Report { inputs: number / 2, new: Vec::new(), finding };
        }
    }
}

/// What is being tried, for one who looks whether it ends.
#[derive(Debug, Default)]
struct Watch {
    input: Mutex<Vec<u8>>,
    /// Goes up when an input begins, and when it ends: odd while one is tried.
    number: AtomicU64,
}

impl Watch {
    fn begin(&self, input: &[u8]) {
        let mut current = self.input.lock();
        current.clear();
        current.extend_from_slice(input);
        drop(current);
        self.number.fetch_add(1, Ordering::Release);
    }

    fn end(&self) {
        self.number.fetch_add(1, Ordering::Release);
    }
}

struct Hunter {
    runtime: Handle,
    end: Instant,
    target: Target,
    watch: Arc<Watch>,
    chance: Chance,
    /// All that was come by.
    steps: BTreeSet<u64>,
    pool: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
    inputs: u64,
}

impl Hunter {
    fn run(mut self, seeds: Vec<Vec<u8>>, given_up: impl Fn() -> bool) -> Report {
        let mut finding = None;
        for seed in seeds {
            finding = finding.or_else(|| self.attempt(seed));
        }
        self.new.clear();
        while finding.is_none() && self.runtime.now() < self.end && !given_up() {
            let input = mutate(&self.pool, &self.target, &mut self.chance);
            finding = self.attempt(input);
        }
        Report { inputs: self.inputs, new: self.new, finding }
    }

    /// Tries an input, and keeps it if it led to something new.
    fn attempt(&mut self, input: Vec<u8>) -> Option<Finding> {
        self.inputs += 1;
        self.watch.begin(&input);
        let mut trail = Trail::default();
        let judged = judge(&self.target, &input, &mut trail);
        self.watch.end();
        if let Err(fault) = judged {
            return Some(Finding { input, fault });
        }
        let before = self.steps.len();
        self.steps.extend(trail.into_steps());
        if self.steps.len() > before {
            if self.new.len() < POOL_MAX {
                self.new.push(input.clone());
            }
            if self.pool.len() < POOL_MAX {
                self.pool.push(input);
            } else {
                let place = self.chance.below(POOL_MAX);
                self.pool[place] = input;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
