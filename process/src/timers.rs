//! Time: what processes wait for and what they have set for later.
//!
//! A node has one [`Wheel`] for each runner, and a process is always of the same one. A task for each wheel
//! sleeps until the first entry is due: that sleep is all that the runtime's own timers see.
//!
//! A process has one entry for all that it waits for, its *alarm*. A wait that ends in time leaves it
//! where it is: it does for the next wait, whose deadline is later, and wakes the process once for
//! nothing when there is none. So a call that is answered in time touches no wheel.

pub(crate) mod deadline;
pub(crate) mod expiry;
pub(crate) mod set;
pub(crate) mod stopped;
#[cfg(test)]
mod tests;
pub(crate) mod timer;
pub(crate) mod wheel;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use futures_util::task::AtomicWaker;
use midflight_runtime::Instant;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::destination::OwnedAddress;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::function::Shared;
use expiry::{Interval, Timer};
use wheel::{Key, Wheel};

/// Entries a task sees to before it lets others run.
const AT_ONCE: usize = 256;

/// The wheels of a node.
pub(crate) struct Timers {
    shards: Box<[Shard]>,
    /// Timers that processes have set.
    count: AtomicUsize,
}

#[repr(align(128))]
struct Shard {
    state: Mutex<State>,
    /// Wakes the task that sees to the wheel.
    task: AtomicWaker,
}

pub(crate) struct State {
    pub(crate) wheel: Wheel<Entry>,
    /// Where the timers that processes have set are. A number alone names none: processes that have moved here
    /// bring theirs along, which other nodes have chosen.
    timers: FxHashMap<TimerId, Key>,
    /// When the task looks next, as far as it knows.
    looks_at: Instant,
}

/// Who has set a timer, and under which number.
type TimerId = (Place, u64);

/// What is to happen.
pub(crate) enum Entry {
    /// A process is woken.
    Alarm(Place),
    /// A part of a process that is polled by a waker of its own is.
    Wake(Waker),
    /// A process has set it.
    Timer(Box<Timer>),
    /// What a process has passed over is looked at.
    Look(Weak<Shared>, Place),
}

/// What is due.
enum Due {
    Alarm(Place, Key),
    Wake(Waker),
    Timer(Box<Timer>),
    Tick(Place, OwnedAddress, Arc<Interval>),
    Look(Weak<Shared>, Place),
}

/// When a process is woken next, as its cell knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alarm {
    at: Instant,
    key: Key,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { at: NEVER, key: Key::NONE }
    }
}

const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl Timers {
    pub(crate) fn new(shards: usize) -> Self {
        let state =
            || State { wheel: Wheel::default(), timers: FxHashMap::default(), looks_at: NEVER };
        let shard = || Shard { state: Mutex::new(state()), task: AtomicWaker::new() };
        Self { shards: (0..shards).map(|_| shard()).collect(), count: AtomicUsize::new(0) }
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The shard of the process at `index`.
    fn shard(&self, index: u32) -> &Shard {
        &self.shards[index as usize % self.shards.len()]
    }

    /// Changes the wheel of a process's. Where that answers something, an entry is due at `at`.
    pub(crate) fn change<T>(
        &self,
        process: Place,
        at: Instant,
        change: impl FnOnce(&mut State) -> Option<T>,
    ) -> Option<T> {
        let shard = self.shard(process.index);
        let (changed, earlier) = {
            let mut state = shard.state.lock();
            let changed = change(&mut state);
            let earlier = changed.is_some() && state.is_earlier(at);
            (changed, earlier)
        };
        if earlier {
            shard.task.wake();
        }
        changed
    }

    /// Has every task see that the node is closing.
    pub(crate) fn wake_all(&self) {
        for shard in &self.shards {
            shard.task.wake();
        }
    }
}

impl State {
    /// Answers whether the task must look earlier than it would.
    fn is_earlier(&mut self, at: Instant) -> bool {
        let earlier = at < self.looks_at;
        if earlier {
            self.looks_at = at;
        }
        earlier
    }

    /// Takes what is due.
    fn take(&mut self, now: Instant, keys: &mut Vec<Key>, due: &mut Vec<Due>) {
        self.wheel.advance(now, keys);
        for key in keys.drain(..) {
            due.extend(self.expire(key, now));
        }
    }
}

impl Inner {
    /// Gives the process at `place` another turn at `deadline`, or before.
    pub(crate) fn wake_at(&self, place: Place, deadline: Instant) {
        let shard = self.timers.shard(place.index);
        let earlier = {
            let Some(slot) = self.table.slot(place.index) else { return };
            let mut slot = slot.lock();
            // Whoever is woken too early asks again.
            if !slot.is(place.generation) || slot.alarm.at <= deadline {
                return;
            }
            let mut state = shard.state.lock();
            slot.alarm.at = deadline;
            if !state.wheel.set(slot.alarm.key, deadline) {
                slot.alarm.key = state.wheel.insert(deadline, Entry::Alarm(place));
            }
            state.is_earlier(deadline)
        };
        if earlier {
            shard.task.wake();
        }
    }

    /// The alarm of the process at `place` is due.
    fn alarm(&self, place: Place, key: Key) {
        if let Some(slot) = self.table.slot(place.index) {
            let mut slot = slot.lock();
            if slot.is(place.generation) && slot.alarm.key == key {
                slot.alarm = Alarm::default();
            }
        }
        self.wake(place);
    }

    /// An entry that has one owner is not wanted any more.
    pub(crate) fn remove_entry(&self, place: Place, key: Key) {
        let removed = self.timers.shard(place.index).state.lock().wheel.remove(key);
        // A waker is dropped with no lock in hand.
        drop(removed);
    }

    /// The process that was at `place` has ended, and with it its alarm.
    pub(crate) fn end_alarm(&self, place: Place, alarm: Alarm) {
        if alarm.at != NEVER {
            self.timers.shard(place.index).state.lock().wheel.remove(alarm.key);
        }
    }
}

/// Sees to wheel `number` until the node closes.
pub(crate) async fn run(node: Node, number: usize) {
    let inner = &node.inner;
    let shard = &inner.timers.shards[number];
    let (mut keys, mut due) = (Vec::new(), Vec::new());
    while !inner.is_closing() {
        shard.state.lock().take(inner.runtime.now(), &mut keys, &mut due);
        for (count, due) in due.drain(..).enumerate() {
            if count % AT_ONCE == AT_ONCE - 1 {
                inner.runtime.yield_now().await;
            }
            inner.happen(due);
        }
        rest(inner, shard).await;
    }
}

/// Waits until the wheel is to be looked at.
async fn rest(inner: &Arc<Inner>, shard: &Shard) {
    let looks_at = {
        let mut state = shard.state.lock();
        state.looks_at = state.wheel.next().unwrap_or(NEVER);
        state.looks_at
    };
    let mut sleep = (looks_at != NEVER).then(|| inner.runtime.sleep_until(looks_at));
    std::future::poll_fn(|cx| {
        // Registered first, looked at after: who comes in between is not missed.
        shard.task.register(cx.waker());
        if shard.state.lock().looks_at < looks_at || inner.is_closing() {
            return Poll::Ready(());
        }
        sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    })
    .await;
}
