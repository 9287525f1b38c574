//! Retiring: a version that is not current goes when nothing keeps it (U3).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use midflight_runtime::Instant;

use super::{Version, Versions};
use crate::hash::{CodeId, ContentAddress};

/// Retired versions remembered; the oldest is forgotten first.
const REMEMBERED_MAX: usize = 256;

/// A version that was retired. Its library may still be in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: u32,
    /// The bundle.
    pub address: ContentAddress,
    /// Its code.
    pub code: CodeId,
}

/// Those of a node, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory(VecDeque<Retired>);

impl Memory {
    fn add(&mut self, version: &Version) {
        self.forget(version.address);
        if self.0.len() == REMEMBERED_MAX {
            self.0.pop_front();
        }
        let (name, address, code) = (version.name.clone(), version.address, version.code.id());
        self.0.push_back(Retired { name, version: version.version, address, code });
    }

    pub(super) fn forget(&mut self, address: ContentAddress) {
        self.0.retain(|retired| retired.address != address);
    }
}

impl Versions {
    /// Takes off the list what is not current and what nothing keeps. Whoever gets them lets go of their code,
    /// which may run what its library does at the end.
    pub(crate) fn take_idle(&self, now: Instant) -> Vec<Version> {
        let mut inner = self.inner.lock();
        let super::Inner { loaded, current, retired, .. } = &mut *inner;
        let idle = |version: &Version| {
            current.get(&version.name) != Some(&version.address) && version.is_idle(now)
        };
        let gone = take_unused(loaded, idle);
        gone.iter().for_each(|version| retired.add(version));
        gone
    }

    /// The versions that were retired last, the oldest first.
    #[must_use]
    pub fn retired(&self) -> Vec<Retired> {
        self.inner.lock().retired.0.iter().cloned().collect()
    }
}

/// Takes out what is idle and what nobody else has in hand. A process comes by its way back without the lock, so that
/// counting whoever has it would not do: it is taken out whole, or stays.
fn take_unused<K: Ord, V>(all: &mut BTreeMap<K, Arc<V>>, idle: impl Fn(&V) -> bool) -> Vec<V> {
    let found: Vec<_> = all.extract_if(.., |_, value| idle(value)).collect();
    let mut taken = Vec::with_capacity(found.len());
    for (key, value) in found {
        match Arc::try_unwrap(value) {
            Ok(value) => taken.push(value),
            Err(value) => drop(all.insert(key, value)),
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_somebody_has_in_hand_stays() {
        let mut all = BTreeMap::from([(1, Arc::new("a")), (2, Arc::new("b")), (3, Arc::new("c"))]);
        let in_hand = all[&2].clone();
        assert_eq!(take_unused(&mut all, |value| *value != "c"), ["a"]);
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), [2, 3]);
        drop(in_hand);
        assert_eq!(take_unused(&mut all, |_| true), ["b", "c"]);
    }

    #[test]
    fn what_somebody_comes_by_meanwhile_stays() {
        let mut all = BTreeMap::from([(1, Arc::new("a")), (2, Arc::new("b"))]);
        let way_back = Arc::downgrade(&all[&1]);
        let come_by = RefCell::new(None);
        let taken = take_unused(&mut all, |value| {
            // The first has been looked at by then.
            if *value == "b" {
                *come_by.borrow_mut() = way_back.upgrade();
            }
            true
        });
        assert_eq!(come_by.take().as_deref(), Some(&"a"));
        assert_eq!(taken, ["b"]);
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), [1], "it is in hand");
    }
}
