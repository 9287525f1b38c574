//! The network itself: who listens, what is wrong with it, and what has come through.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use midflight_runtime::{Handle, Instant};
use midflight_transport_api::{Address, ConnectErrorKind};
use parking_lot::Mutex;

use crate::InMemory;
use crate::carrier::Dialled;
use crate::faults::Faults;

/// How many dials may wait to be accepted.
const BACKLOG: usize = 1024;

/// A network in memory. Clones are the same network.
#[derive(Debug, Clone)]
pub struct Hub {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    faults: Faults,
    /// Who listens, and who has dialled there and is not accepted yet.
    listening: BTreeMap<Address, VecDeque<Dialled>>,
    record: Option<Record>,
    /// Tasks that wait for a change of anything here.
    waiters: Vec<Waker>,
}

/// What has come through, up to a bound.
#[derive(Debug)]
struct Record {
    bytes: Vec<u8>,
    max: usize,
}

impl Hub {
    /// An empty network whose choices come from `seed`. Nothing takes time, gets lost or changes its
    /// order unless that is asked for.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            faults: Faults::new(seed),
            listening: BTreeMap::new(),
            record: None,
            waiters: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A transport whose endpoints are on this network and whose tasks run on `runtime`.
    #[must_use]
    pub fn transport(&self, runtime: Handle) -> InMemory {
        InMemory::new(self.clone(), runtime)
    }

    /// From now on what is written takes a time up to `max`, chosen by the seed. The order on a link
    /// stays.
    pub fn set_delay(&self, max: Duration) {
        self.faults(|faults| faults.delay_max = max);
    }

    /// From now on frames of different connections that are written together come in an order chosen
    /// by the seed. Those of one connection keep theirs: that is all a transport promises.
    pub fn set_reorder(&self, reorder: bool) {
        self.faults(|faults| faults.reorder = reorder);
    }

    /// From now on `who` takes at most so many bytes a second from each of its peers; none: as fast
    /// as they come.
    pub fn set_slow(&self, who: &Address, bytes_per_second: Option<u64>) {
        self.faults(|faults| faults.slow_down(who, bytes_per_second));
    }

    /// Cuts the path between `a` and `b`: nothing comes through, both ways, and nobody is told.
    pub fn cut(&self, a: &Address, b: &Address) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Cuts the path from one to the other and not back: half open. Nobody is told.
    pub fn cut_one_way(&self, from: &Address, to: &Address) {
        self.faults(|faults| faults.cut(from, to));
    }

    /// Heals a cut, both ways: what was held on a link that still lives comes through.
    pub fn heal(&self, a: &Address, b: &Address) {
        self.faults(|faults| {
            faults.heal(a, b);
            faults.heal(b, a);
        });
        self.changed();
    }

    /// Whether the path between `a` and `b` is cut in any direction.
    #[must_use]
    pub fn is_cut(&self, a: &Address, b: &Address) -> bool {
        self.faults(|faults| faults.is_cut(a, b) || faults.is_cut(b, a))
    }

    /// From now on writes down what comes through, when, and between whom, until there are `max`
    /// bytes of it.
    pub fn record(&self, max: usize) {
        self.state.lock().record = Some(Record { bytes: Vec::new(), max });
    }

    /// What was written down. Two runs with the same seeds have the same.
    #[must_use]
    pub fn recorded(&self) -> Vec<u8> {
        let state = self.state.lock();
        state.record.as_ref().map(|record| record.bytes.clone()).unwrap_or_default()
    }
}

/// For the streams.
impl Hub {
    pub(crate) fn faults<T>(&self, act: impl FnOnce(&mut Faults) -> T) -> T {
        act(&mut self.state.lock().faults)
    }

    /// Listens at `at`; answers whether nobody else does.
    pub(crate) fn listen(&self, at: &Address) -> bool {
        let mut state = self.state.lock();
        let free = !state.listening.contains_key(at);
        if free {
            state.listening.insert(at.clone(), VecDeque::new());
        }
        free
    }

    pub(crate) fn end_listening(&self, at: &Address) {
        let gone = self.state.lock().listening.remove(at);
        // Who has dialled and was not accepted sees its stream end.
        drop(gone);
        self.changed();
    }

    /// Waits until the path between the two is whole, and hands `dialled` to who listens at `to`.
    ///
    /// # Errors
    /// `NotFound` when nobody does, `Unreachable` when too many wait there.
    pub(crate) async fn dial(
        &self,
        from: &Address,
        to: &Address,
        dialled: Dialled,
    ) -> Result<(), ConnectErrorKind> {
        let mut dialled = Some(dialled);
        let taken = self
            .until(|state| {
                if state.faults.is_cut(from, to) || state.faults.is_cut(to, from) {
                    return None;
                }
                let Some(waiting) = state.listening.get_mut(to) else {
                    return Some(Err(ConnectErrorKind::NotFound));
                };
                if waiting.len() >= BACKLOG {
                    return Some(Err(ConnectErrorKind::Unreachable));
                }
                waiting.extend(dialled.take());
                Some(Ok(()))
            })
            .await;
        self.changed();
        taken
    }

    /// The next one that has dialled `at`.
    pub(crate) async fn accept(&self, at: &Address) -> Dialled {
        self.until(|state| state.listening.get_mut(at)?.pop_front()).await
    }

    /// Writes down that `bytes` have come, if that is asked for.
    pub(crate) fn note(&self, at: Instant, from: &Address, to: &Address, bytes: &[u8]) {
        let mut state = self.state.lock();
        let Some(record) = &mut state.record else { return };
        let head = format!("\n{} {from} {to} {}\n", at.as_nanos(), bytes.len());
        let room = record.max.saturating_sub(record.bytes.len());
        record.bytes.extend(head.bytes().chain(bytes.iter().copied()).take(room));
    }

    /// Ready when the path is not cut; the task of `cx` looks again after the next change.
    pub(crate) fn poll_path(&self, from: &Address, to: &Address, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.faults.is_cut(from, to) {
            state.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Asks `act` again after every change until it answers.
    async fn until<T>(&self, mut act: impl FnMut(&mut State) -> Option<T>) -> T {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            let mut state = self.state.lock();
            let Some(answer) = act(&mut state) else {
                state.wait(cx);
                return Poll::Pending;
            };
            Poll::Ready(answer)
        })
        .await
    }

    /// Has everybody look again who waits.
    pub(crate) fn changed(&self) {
        let waiters = std::mem::take(&mut self.state.lock().waiters);
        for waker in waiters {
            waker.wake();
        }
    }
}

impl State {
    fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiters.push(cx.waker().clone());
        }
    }
}
