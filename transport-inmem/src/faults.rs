//! What is wrong with the network at the moment, and the chance in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midflight_transport_api::Address;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Faults {
    /// From whom to whom nothing comes through.
    cuts: BTreeSet<(Address, Address)>,
    /// Who takes only so many bytes a second.
    slow: BTreeMap<Address, u64>,
    random: u64,
    pub(crate) delay_max: Duration,
    /// Whether frames of different connections overtake each other.
    pub(crate) reorder: bool,
}

impl Faults {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            cuts: BTreeSet::new(),
            slow: BTreeMap::new(),
            random: seed,
            delay_max: Duration::ZERO,
            reorder: false,
        }
    }

    pub(crate) fn cut(&mut self, from: &Address, to: &Address) {
        self.cuts.insert((from.clone(), to.clone()));
    }

    pub(crate) fn heal(&mut self, from: &Address, to: &Address) {
        self.cuts.remove(&(from.clone(), to.clone()));
    }

    pub(crate) fn is_cut(&self, from: &Address, to: &Address) -> bool {
        !self.cuts.is_empty() && self.cuts.contains(&(from.clone(), to.clone()))
    }

    /// None: as fast as it comes.
    pub(crate) fn slow_down(&mut self, who: &Address, bytes_per_second: Option<u64>) {
        match bytes_per_second {
            Some(rate) => self.slow.insert(who.clone(), rate.max(1)),
            None => self.slow.remove(who),
        };
    }

    /// How long the next bytes are under way.
    pub(crate) fn delay(&mut self) -> Duration {
        let max = u64::try_from(self.delay_max.as_nanos()).unwrap_or(u64::MAX);
        if max == 0 { Duration::ZERO } else { Duration::from_nanos(self.draw() % max) }
    }

    /// How long `to` takes for so many bytes.
    pub(crate) fn taking(&self, to: &Address, bytes: usize) -> Duration {
        let Some(rate) = self.slow.get(to) else { return Duration::ZERO };
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(*rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The next number of the seed's sequence (splitmix64; Steele, Lea and Flood, 2014).
    pub(crate) const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
