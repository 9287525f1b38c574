//! The network itself: who is there, which paths are cut, how long a batch takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use midflight_runtime::Handle;
use midflight_transport_api::Address;
use parking_lot::Mutex;

use crate::InMemory;
use crate::endpoint::Local;

/// A network in memory. Clones are the same network.
#[derive(Debug, Clone)]
pub struct Hub {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) endpoints: BTreeMap<Address, Arc<Local>>,
    cuts: BTreeSet<(Address, Address)>,
    random: u64,
    delay_max: Duration,
    made_up: u64,
    /// Tasks that wait for a change of anything here.
    waiters: Vec<Waker>,
}

impl Hub {
    /// An empty network whose choices come from `seed`. Batches take no time unless
    /// [`set_delay`](Self::set_delay) says so.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            endpoints: BTreeMap::new(),
            cuts: BTreeSet::new(),
            random: seed,
            delay_max: Duration::ZERO,
            made_up: 0,
            waiters: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A transport whose endpoints are on this network and whose tasks run on `runtime`.
    #[must_use]
    pub fn transport(&self, runtime: Handle) -> InMemory {
        InMemory::new(self.clone(), runtime)
    }

    /// From now on each batch takes a time up to `max`, chosen by the seed. The order on a link
    /// stays.
    pub fn set_delay(&self, max: Duration) {
        self.state.lock().delay_max = max;
    }

    /// Cuts the path between `a` and `b`: nothing comes through, both ways, and nobody is told.
    pub fn cut(&self, a: &Address, b: &Address) {
        self.state.lock().cuts.insert(pair(a, b));
    }

    /// Heals a cut: what was held on a link that still lives comes through.
    pub fn heal(&self, a: &Address, b: &Address) {
        self.state.lock().cuts.remove(&pair(a, b));
        self.changed();
    }

    /// Whether the path between `a` and `b` is cut.
    #[must_use]
    pub fn is_cut(&self, a: &Address, b: &Address) -> bool {
        self.state.lock().is_cut(a, b)
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock())
    }

    /// Asks `act` again after every change until it answers.
    pub(crate) async fn until<T>(&self, mut act: impl FnMut(&mut State) -> Option<T>) -> T {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            let mut state = self.state.lock();
            let Some(answer) = act(&mut state) else {
                if !state.waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
                    state.waiters.push(cx.waker().clone());
                }
                return Poll::Pending;
            };
            Poll::Ready(answer)
        })
        .await
    }

    /// Has everybody look again who waits in [`until`](Self::until).
    pub(crate) fn changed(&self) {
        let waiters = std::mem::take(&mut self.state.lock().waiters);
        for waker in waiters {
            waker.wake();
        }
    }
}

impl State {
    pub(crate) fn is_cut(&self, a: &Address, b: &Address) -> bool {
        !self.cuts.is_empty() && self.cuts.contains(&pair(a, b))
    }

    /// How long the next batch takes.
    pub(crate) fn delay(&mut self) -> Duration {
        let max = u64::try_from(self.delay_max.as_nanos()).unwrap_or(u64::MAX);
        if max == 0 { Duration::ZERO } else { Duration::from_nanos(self.draw() % max) }
    }

    /// A name that nobody has had.
    pub(crate) fn make_up(&mut self) -> String {
        self.made_up += 1;
        format!("~{}", self.made_up)
    }

    /// The next number of the seed's sequence (splitmix64).
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn pair(a: &Address, b: &Address) -> (Address, Address) {
    if a <= b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) }
}
