//! Run queues: which process runs next, and on which runner.
//!
//! Each runner has a place for the process woken last (it runs next, on the same core, while its
//! data is warm) and a queue; a shared queue takes what is woken from outside. A runner without
//! work takes from the shared queue, then half of another's queue.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// How often in a row the process woken last may run next, before the queue has its turn: without
/// a cap two processes that play ping-pong would starve the rest of the runner's queue.
const LAST_WOKEN_MAX: u32 = 64;
/// Every so many turns the shared queue is looked at first.
const SHARED_EVERY: u32 = 61;

const NONE: u64 = u64::MAX;

thread_local! {
    /// The runner that is at work on this thread: the queues' identity and the runner's number.
    static AT_WORK: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// The run queues of a node.
pub(crate) struct Queues {
    shared: Mutex<VecDeque<u32>>,
    runners: Box<[Runner]>,
    idle: AtomicUsize,
}

/// Padded: each is written by its own runner all the time.
#[repr(align(128))]
struct Runner {
    /// The process woken last. The runner itself alone changes it, so that no change takes a locked instruction.
    last_woken: AtomicU64,
    queue: Mutex<VecDeque<u32>>,
    asleep: AtomicBool,
    waker: AtomicWaker,
    /// Turns given and messages handled, as the runner has shown them last.
    turns: AtomicU64,
    messages: AtomicU64,
}

/// A runner's own counts.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    turns: u32,
    last_woken_in_a_row: u32,
}

impl Queues {
    pub(crate) fn new(runners: usize) -> Self {
        Self {
            shared: Mutex::default(),
            runners: (0..runners)
                .map(|_| Runner {
                    last_woken: AtomicU64::new(NONE),
                    queue: Mutex::default(),
                    asleep: AtomicBool::new(false),
                    waker: AtomicWaker::new(),
                    turns: AtomicU64::new(0),
                    messages: AtomicU64::new(0),
                })
                .collect(),
            idle: AtomicUsize::new(0),
        }
    }

    pub(crate) fn runners(&self) -> usize {
        self.runners.len()
    }

    /// Shows how many turns runner `number` has given, and how many messages were handled in them.
    pub(crate) fn show(&self, number: usize, turns: u64, messages: u64) {
        let runner = &self.runners[number];
        runner.turns.store(turns, Ordering::Relaxed);
        runner.messages.store(messages, Ordering::Relaxed);
    }

    /// Turns given and messages handled by all runners.
    pub(crate) fn done(&self) -> (u64, u64) {
        self.runners.iter().fold((0, 0), |(turns, messages), runner| {
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            (turns + read(&runner.turns), messages + read(&runner.messages))
        })
    }

    /// Processes that wait for a turn.
    pub(crate) fn len(&self) -> usize {
        let of = |runner: &Runner| {
            let last = runner.last_woken.load(Ordering::Relaxed) != NONE;
            runner.queue.lock().len() + usize::from(last)
        };
        self.shared.lock().len() + self.runners.iter().map(of).sum::<usize>()
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Runs `work` as runner `number`: what is woken meanwhile goes to its own queue.
    pub(crate) fn at_work<T>(&self, number: usize, work: impl FnOnce() -> T) -> T {
        /// Puts back who was at work before, also when the work panics.
        struct Before(Option<(usize, usize)>);
        impl Drop for Before {
            fn drop(&mut self) {
                AT_WORK.set(self.0);
            }
        }
        let _before = Before(AT_WORK.replace(Some((self.identity(), number))));
        work()
    }

    /// Puts the process at `index` on a queue.
    pub(crate) fn push(&self, index: u32) {
        let own = AT_WORK.get().filter(|(queues, _)| *queues == self.identity());
        let Some((_, number)) = own else {
            self.shared.lock().push_back(index);
            self.wake_one();
            return;
        };
        let runner = &self.runners[number];
        let before = runner.last_woken.load(Ordering::Relaxed);
        runner.last_woken.store(u64::from(index), Ordering::Relaxed);
        if let Ok(before) = u32::try_from(before) {
            runner.queue.lock().push_back(before);
            if self.idle.load(Ordering::Relaxed) > 0 {
                self.wake_one();
            }
        }
    }

    /// Puts a process that has used up its turn behind the others of the same runner.
    pub(crate) fn push_behind(&self, index: u32) {
        match AT_WORK.get().filter(|(queues, _)| *queues == self.identity()) {
            Some((_, number)) => {
                let runner = &self.runners[number];
                let mut queue = runner.queue.lock();
                queue.push_back(index);
                // It runs again at once where nothing else wants to: nobody is woken for it.
                let more = queue.len() > 1 || runner.last_woken.load(Ordering::Relaxed) != NONE;
                drop(queue);
                if more && self.idle.load(Ordering::Relaxed) > 0 {
                    self.wake_one();
                }
            }
            None => self.push(index),
        }
    }

    /// What runner `number` runs next.
    pub(crate) fn next(&self, number: usize, ticks: &mut Ticks) -> Option<u32> {
        ticks.turns = ticks.turns.wrapping_add(1);
        let runner = &self.runners[number];
        if ticks.turns.is_multiple_of(SHARED_EVERY)
            && let Some(index) = self.shared.lock().pop_front()
        {
            return Some(index);
        }
        if ticks.last_woken_in_a_row < LAST_WOKEN_MAX
            && let Some(index) = take_last_woken(runner)
        {
            ticks.last_woken_in_a_row += 1;
            return Some(index);
        }
        ticks.last_woken_in_a_row = 0;
        let own = runner.queue.lock().pop_front();
        own.or_else(|| take_last_woken(runner))
            .or_else(|| self.shared.lock().pop_front())
            .or_else(|| self.steal(number))
    }

    fn steal(&self, number: usize) -> Option<u32> {
        let count = self.runners.len();
        for other in (1..count).map(|step| (number + step) % count) {
            let mut stolen = {
                let mut queue = self.runners[other].queue.lock();
                let keep = queue.len() / 2;
                queue.split_off(keep)
            };
            if let Some(index) = stolen.pop_front() {
                self.runners[number].queue.lock().append(&mut stolen);
                return Some(index);
            }
        }
        None
    }

    /// Whether any queue has something for runner `number`.
    fn has_work(&self, number: usize) -> bool {
        self.runners[number].last_woken.load(Ordering::Relaxed) != NONE
            || !self.shared.lock().is_empty()
            || self.runners.iter().any(|runner| !runner.queue.lock().is_empty())
    }

    /// Prepares runner `number` to sleep; false when there is work after all.
    pub(crate) fn sleep(&self, number: usize, cx: &Context<'_>) -> bool {
        let runner = &self.runners[number];
        runner.waker.register(cx.waker());
        if !runner.asleep.swap(true, Ordering::SeqCst) {
            self.idle.fetch_add(1, Ordering::SeqCst);
        }
        if self.has_work(number) {
            self.awake(number);
            return false;
        }
        true
    }

    /// Runner `number` is at work again. Answers whether it slept.
    pub(crate) fn awake(&self, number: usize) -> bool {
        let slept = self.runners[number].asleep.swap(false, Ordering::SeqCst);
        if slept {
            self.idle.fetch_sub(1, Ordering::SeqCst);
        }
        slept
    }

    /// Wakes one that sleeps, and that nobody else is waking.
    fn wake_one(&self) {
        for (number, runner) in self.runners.iter().enumerate() {
            if runner.asleep.load(Ordering::SeqCst) && self.awake(number) {
                runner.waker.wake();
                return;
            }
        }
    }

    /// Wakes every runner, so that it sees that the node is closing.
    pub(crate) fn wake_all(&self) {
        for runner in &self.runners {
            runner.waker.wake();
        }
    }
}

fn take_last_woken(runner: &Runner) -> Option<u32> {
    let last = u32::try_from(runner.last_woken.load(Ordering::Relaxed)).ok()?;
    runner.last_woken.store(NONE, Ordering::Relaxed);
    Some(last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    use super::*;

    #[test]
    fn the_last_woken_runs_next_but_not_for_ever() {
        let queues = Queues::new(1);
        let mut ticks = Ticks::default();
        queues.at_work(0, || {
            queues.push(1);
            queues.push(2);
            assert_eq!(queues.next(0, &mut ticks), Some(2));
            let mut seen = Vec::new();
            for _ in 0..200 {
                queues.push(2);
                seen.extend(queues.next(0, &mut ticks));
            }
            assert!(seen.contains(&1), "1 was starved");
        });
    }

    #[test]
    fn who_sleeps_is_woken_when_there_is_work_for_two() {
        let queues = Queues::new(2);
        let woken = Arc::new(CountWakes::default());
        let sleeps = || {
            let waker = Waker::from(woken.clone());
            assert!(queues.sleep(1, &Context::from_waker(&waker)), "there is nothing to do");
        };
        let (mut ticks, mut other) = (Ticks::default(), Ticks::default());
        queues.at_work(0, || {
            sleeps();
            // One process that has used up its turn runs again here.
            queues.push_behind(1);
            assert_eq!(woken.count(), 0);
            assert_eq!(queues.next(0, &mut ticks), Some(1));
            // It has woken another, which nobody can steal; but itself it can be stolen.
            queues.push(2);
            queues.push_behind(1);
            assert_eq!(woken.count(), 1);
            assert_eq!(queues.next(1, &mut other), Some(1));
            // Nobody is woken twice.
            queues.push(3);
            assert_eq!(woken.count(), 1);
        });
    }

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl CountWakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn work_is_stolen_and_none_is_lost() {
        let queues = Queues::new(2);
        queues.at_work(0, || (0..10).for_each(|index| queues.push(index)));
        let (mut zero, mut one) = (Ticks::default(), Ticks::default());
        let mut seen = Vec::new();
        while let Some(index) = queues.next(1, &mut one).or_else(|| queues.next(0, &mut zero)) {
            seen.push(index);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }
}
