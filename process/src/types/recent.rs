//! What a thread has looked up of the types lately, so that a message takes no lock for it.
//!
//! Only what never changes is kept: a compiled type's number, and that a writer's type is the very
//! same as a reader's. A type is known here by where its description lies.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::TypeNo;

/// Places for each kind of fact; a newer one takes an older one's.
const PLACES: usize = 64;

/// The table, the type, and a number.
type Fact = (u64, usize, u32);

thread_local! {
    static NUMBERS: [Cell<Fact>; PLACES] = const { [const { Cell::new((0, 0, 0)) }; PLACES] };
    static SAME: [Cell<Fact>; PLACES] = const { [const { Cell::new((0, 0, 0)) }; PLACES] };
}

/// The identity of a type table, under which threads keep what they know of it.
#[derive(Debug)]
pub(crate) struct Recent(u64);

impl Default for Recent {
    fn default() -> Self {
        // 0 is nobody's.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Recent {
    pub(crate) fn number(&self, at: usize) -> Option<TypeNo> {
        let (table, known, no) = NUMBERS.with(|numbers| numbers[place(at, 0)].get());
        ((table, known) == (self.0, at)).then_some(TypeNo(no))
    }

    pub(crate) fn learn_number(&self, at: usize, no: TypeNo) {
        NUMBERS.with(|numbers| numbers[place(at, 0)].set((self.0, at, no.0)));
    }

    pub(crate) fn is_same(&self, reader: usize, writer: TypeNo) -> bool {
        SAME.with(|same| same[place(reader, writer.0)].get()) == (self.0, reader, writer.0)
    }

    pub(crate) fn learn_same(&self, reader: usize, writer: TypeNo) {
        SAME.with(|same| same[place(reader, writer.0)].set((self.0, reader, writer.0)));
    }
}

fn place(at: usize, no: u32) -> usize {
    // Descriptions are aligned and large: their low bits are equal.
    ((at >> 4) ^ (at >> 10) ^ no as usize) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tables_facts_are_not_anothers() {
        let (one, other) = (Recent::default(), Recent::default());
        one.learn_number(64, TypeNo(7));
        one.learn_same(64, TypeNo(7));
        assert_eq!((one.number(64), other.number(64)), (Some(TypeNo(7)), None));
        assert!(one.is_same(64, TypeNo(7)) && !other.is_same(64, TypeNo(7)));
        assert!(!one.is_same(64, TypeNo(8)));
        // Another type in the same place only displaces it.
        one.learn_number(64 + (PLACES << 20), TypeNo(8));
        assert_ne!(one.number(64), Some(TypeNo(8)));
    }
}
