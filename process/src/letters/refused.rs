//! What receivers have refused before: a sender is told at once, and nothing is sent again that cannot
//! be read (V1). There is one such memory for each link, and one for the node's own processes.
//!
//! A refusal holds for one process and one type, until the code of the receiver's node is switched. The
//! news of a switch and of a refusal go on lanes of their own, so a refusal says how many switches it
//! comes after: what was refused before a switch is not believed after it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use midflight_message::Mismatch;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::peer::wire::Place;
use crate::types::TypeNo;

/// Refusals remembered; beyond it all are forgotten, and told by notices anew.
const KNOWN_MAX: usize = 1_024;

/// What is known of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) mismatch: Box<Mismatch>,
    /// The version of the type that the receiver has, where that is known.
    pub(crate) reader: Option<u32>,
}

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// A bit for each type of which something is known, by its number modulo 64: a type without it, as
    /// nearly all are, takes no lock and no look-up.
    types: AtomicU64,
    inner: Mutex<Inner>,
    /// Whether `closed` has any.
    any_closed: AtomicBool,
    /// Ports that processes have closed, or never had: none is ever opened again.
    closed: Mutex<FxHashSet<(Place, u32)>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// With the number of switches before it.
    refusals: FxHashMap<(Place, TypeNo), (u64, Known)>,
    /// Switches heard of.
    switches: u64,
}

impl Refused {
    /// Why `to` cannot read messages of type `ty`, if it has said so.
    pub(crate) fn find(&self, to: Place, ty: TypeNo) -> Option<Known> {
        if self.types.load(Ordering::Acquire) & bit(ty) == 0 {
            return None;
        }
        let inner = self.inner.lock();
        inner.refusals.get(&(to, ty)).map(|(_, known)| known.clone())
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.types.load(Ordering::Acquire) == 0
    }

    /// `to` has refused a message of type `ty`, after so many switches.
    pub(crate) fn remember(&self, to: Place, ty: TypeNo, switches: u64, known: Known) {
        let mut inner = self.inner.lock();
        if switches < inner.switches {
            return;
        }
        if inner.refusals.len() >= KNOWN_MAX {
            inner.refusals.clear();
            self.types.store(0, Ordering::Release);
        }
        inner.refusals.insert((to, ty), (switches, known));
        self.types.fetch_or(bit(ty), Ordering::AcqRel);
    }

    /// The code of the receivers' node was switched.
    pub(crate) fn switched(&self) {
        let mut inner = self.inner.lock();
        inner.switches += 1;
        let Inner { refusals, switches } = &mut *inner;
        refusals.retain(|_, (after, _)| *after >= *switches);
        let types = refusals.keys().fold(0, |types, (_, ty)| types | bit(*ty));
        self.types.store(types, Ordering::Release);
    }

    /// A process has refused a value for one of its ports, which is closed.
    pub(crate) fn remember_closed(&self, owner: Place, port: u32) {
        let mut closed = self.closed.lock();
        if closed.len() >= KNOWN_MAX {
            closed.clear();
        }
        closed.insert((owner, port));
        self.any_closed.store(true, Ordering::Release);
    }

    /// Whether a process has said that a port of its is closed.
    pub(crate) fn is_closed(&self, owner: Place, port: u32) -> bool {
        self.any_closed.load(Ordering::Acquire) && self.closed.lock().contains(&(owner, port))
    }

    /// How many switches there were.
    pub(crate) fn switches(&self) -> u64 {
        self.inner.lock().switches
    }
}

const fn bit(ty: TypeNo) -> u64 {
    1 << (ty.0 % 64)
}

#[cfg(test)]
mod tests {
    use midflight_message::MismatchReason;

    use super::*;

    const A: Place = Place { index: 1, generation: 0 };
    const B: Place = Place { index: 2, generation: 0 };

    fn known() -> Known {
        let [theirs, ours] = ["string", "u64"].map(str::to_owned);
        let path = "item.cents".into();
        let mismatch = Mismatch::new("shop.Order", path, theirs, ours, MismatchReason::Kind);
        Known { mismatch: Box::new(mismatch), reader: Some(1) }
    }

    #[test]
    fn a_refusal_is_of_one_process_and_type() {
        let refused = Refused::default();
        assert!(refused.is_empty());
        refused.remember(A, TypeNo(3), 0, known());
        assert_eq!(refused.find(A, TypeNo(3)), Some(known()));
        assert!(refused.find(B, TypeNo(3)).is_none());
        assert!(refused.find(A, TypeNo(3 + 64)).is_none());
    }

    #[test]
    fn a_switch_forgets_what_came_before_it_in_whatever_order_the_news_come() {
        let refused = Refused::default();
        refused.remember(A, TypeNo(1), 0, known());
        // This one overtakes the news of the switch it comes after.
        refused.remember(B, TypeNo(2), 1, known());
        refused.switched();
        assert!(refused.find(A, TypeNo(1)).is_none());
        assert!(refused.find(B, TypeNo(2)).is_some());
        // And this one is overtaken by it.
        refused.remember(A, TypeNo(1), 0, known());
        assert!(refused.find(A, TypeNo(1)).is_none());
        refused.switched();
        assert!(refused.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let refused = Refused::default();
        for index in 0..5_000 {
            refused.remember(Place { index, generation: 0 }, TypeNo(index), 0, known());
        }
        assert!(refused.inner.lock().refusals.len() <= KNOWN_MAX);
        assert!(refused.find(Place { index: 4_999, generation: 0 }, TypeNo(4_999)).is_some());
    }
}
