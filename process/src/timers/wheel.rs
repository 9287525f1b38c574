//! A hierarchical timing wheel: what is to happen at which time, with entries added and taken back
//! in constant time (Varghese and Lauck, SOSP 1987). Pure.
//!
//! Eight levels of 64 slots: a slot of the lowest is a millisecond wide, one of each other as wide as the
//! whole level below it, so that together they reach as far as [`Instant`] does. An entry lies where
//! its time differs first from the wheel's, and comes down a level at a time as that draws near.
//! Slots are only for finding: entries keep their exact time, are due at it, and come in its order.

use midflight_runtime::Instant;

/// The width of a slot of the lowest level.
const TICK: u64 = 1_000_000;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// A tick has 44 bits.
const LEVELS: usize = 8;
const NIL: u32 = u32::MAX;
const NO_LIST: u16 = u16::MAX;

/// Names an entry of one wheel. None is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) number: u64,
}

impl Key {
    /// Names no entry.
    pub(crate) const NONE: Self = Self { index: NIL, number: 0 };
}

/// A wheel of values.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    entries: Vec<Entry<T>>,
    /// The first unused entry of a list through `Entry::next`.
    unused: u32,
    numbered: u64,
    /// The tick up to which slots have been emptied.
    elapsed: u64,
    /// The first entry of each slot's list, level by level.
    first: Box<[u32; LEVELS * SLOTS]>,
    /// Which slots of a level have entries.
    occupied: [u64; LEVELS],
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    number: u64,
    before: u32,
    next: u32,
    list: u16,
    /// `None`: unused.
    value: Option<T>,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            unused: NIL,
            numbered: 0,
            elapsed: 0,
            first: Box::new([NIL; LEVELS * SLOTS]),
            occupied: [0; LEVELS],
        }
    }
}

impl<T> Wheel<T> {
    /// Adds an entry.
    ///
    /// # Panics
    /// When there are 2³² − 1 entries.
    pub(crate) fn insert(&mut self, at: Instant, value: T) -> Key {
        self.numbered += 1;
        let number = self.numbered;
        let entry = Entry { at, number, before: NIL, next: NIL, list: NO_LIST, value: Some(value) };
        let index = self.unused;
        let index = if index == NIL {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).expect("a wheel has less than 2^32 entries")
        } else {
            self.unused = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        };
        self.link(index);
        Key { index, number }
    }

    /// Takes an entry out. Answers its time and value; `None`: there is no such entry any more.
    pub(crate) fn remove(&mut self, key: Key) -> Option<(Instant, T)> {
        self.get(key)?;
        self.unlink(key.index);
        let entry = &mut self.entries[key.index as usize];
        let value = entry.value.take()?;
        let at = entry.at;
        entry.next = self.unused;
        self.unused = key.index;
        Some((at, value))
    }

    /// An entry's time and value.
    pub(crate) fn get(&self, key: Key) -> Option<(Instant, &T)> {
        let entry = self.entries.get(key.index as usize)?;
        let value = entry.value.as_ref().filter(|_| entry.number == key.number)?;
        Some((entry.at, value))
    }

    /// Gives an entry, which may be one that was due, another time. Answers whether it is there.
    pub(crate) fn set(&mut self, key: Key, at: Instant) -> bool {
        let is_there = self.get(key).is_some();
        if is_there {
            self.unlink(key.index);
            self.entries[key.index as usize].at = at;
            self.link(key.index);
        }
        is_there
    }

    /// Adds the entries whose time has come to `due`, in its order; entries of one time in the order
    /// in which they were inserted. They stay until they are removed or given another time,
    /// and are not due again.
    pub(crate) fn advance(&mut self, now: Instant, due: &mut Vec<Key>) {
        let begun = due.len();
        let end = tick(now).max(self.elapsed);
        // Of this very millisecond, and later in it.
        let mut later = Vec::new();
        while let Some((level, slot, start)) = self.earliest()
            && start <= end
        {
            self.elapsed = self.elapsed.max(start);
            let mut at = self.empty(level, slot);
            while at != NIL {
                let entry = &mut self.entries[at as usize];
                let (index, next) = (at, entry.next);
                (entry.before, entry.next, entry.list) = (NIL, NIL, NO_LIST);
                if entry.at <= now {
                    due.push(Key { index, number: entry.number });
                } else if level == 0 {
                    later.push(index);
                } else {
                    self.link(index);
                }
                at = next;
            }
        }
        self.elapsed = end;
        later.into_iter().for_each(|index| self.link(index));
        due[begun..].sort_unstable_by_key(|key| (self.entries[key.index as usize].at, key.number));
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.iter().filter(|entry| entry.value.is_some()).count()
    }

    /// When to advance next: at the earliest entry's time, or before, where that is still far.
    pub(crate) fn next(&self) -> Option<Instant> {
        let (level, slot, start) = self.earliest()?;
        if level > 0 {
            return Some(Instant::from_nanos(start.saturating_mul(TICK)));
        }
        let mut at = self.first[slot];
        let mut earliest = None;
        while let Some(entry) = self.entries.get(at as usize) {
            earliest = Some(earliest.map_or(entry.at, |earliest| entry.at.min(earliest)));
            at = entry.next;
        }
        earliest
    }

    /// The first slot with entries: its level, its place there, and the tick with which it begins.
    /// All slots of a level lie ahead of the wheel's time, and before all of the levels above.
    fn earliest(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let width = BITS as usize * level;
        let above = self.elapsed >> width >> BITS << BITS;
        Some((level, slot, (above | slot as u64) << width))
    }

    /// Links an entry where its time belongs.
    fn link(&mut self, index: u32) {
        let at = tick(self.entries[index as usize].at).max(self.elapsed);
        let differs = (at ^ self.elapsed) | (SLOTS as u64 - 1);
        let level = (differs.ilog2() / BITS) as usize;
        let slot = (at >> (BITS as usize * level)) as usize % SLOTS;
        let list = level * SLOTS + slot;
        let next = std::mem::replace(&mut self.first[list], index);
        self.occupied[level] |= 1 << slot;
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.before = index;
        }
        let entry = &mut self.entries[index as usize];
        (entry.before, entry.next) = (NIL, next);
        entry.list = u16::try_from(list).expect("there are 512 lists");
    }

    fn unlink(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let (before, next, list) = (entry.before, entry.next, entry.list);
        (entry.before, entry.next, entry.list) = (NIL, NIL, NO_LIST);
        if list == NO_LIST {
            return;
        }
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.before = before;
        }
        if let Some(before) = self.entries.get_mut(before as usize) {
            before.next = next;
            return;
        }
        let list = list as usize;
        self.first[list] = next;
        if next == NIL {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
    }

    /// Empties a slot. Answers the first of its entries, which are linked to each other still.
    fn empty(&mut self, level: usize, slot: usize) -> u32 {
        self.occupied[level] &= !(1 << slot);
        std::mem::replace(&mut self.first[level * SLOTS + slot], NIL)
    }
}

const fn tick(at: Instant) -> u64 {
    at.as_nanos() / TICK
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What may be done with a wheel; entries are named by when they were inserted.
    #[derive(Debug, Clone)]
    enum Step {
        Insert {
            after: u64,
        },
        Remove {
            nth: usize,
        },
        Set {
            nth: usize,
            after: u64,
        },
        Advance {
            by: u64,
        },
        /// As the task does that sees to a wheel.
        AdvanceToNext,
    }

    /// From the same instant to centuries.
    fn duration() -> impl Strategy<Value = u64> {
        (0_u32..64, any::<u64>()).prop_map(|(bits, random)| random >> bits)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => duration().prop_map(|after| Step::Insert { after }),
            1 => any::<usize>().prop_map(|nth| Step::Remove { nth }),
            1 => (any::<usize>(), duration()).prop_map(|(nth, after)| Step::Set { nth, after }),
            2 => duration().prop_map(|by| Step::Advance { by: by >> 8 }),
            2 => Just(Step::AdvanceToNext),
        ]
    }

    /// The naive wheel: all entries in order.
    #[derive(Default)]
    struct Model {
        entries: BTreeMap<(Instant, u64), usize>,
        keys: Vec<Key>,
        at: Vec<Option<Instant>>,
    }

    impl Model {
        fn advance(&mut self, wheel: &mut Wheel<usize>, now: Instant) {
            let mut due = Vec::new();
            wheel.advance(now, &mut due);
            let due: Vec<_> = due.into_iter().map(|key| wheel.remove(key)).collect();
            let mut expected = Vec::new();
            while let Some(first) = self.entries.first_entry()
                && first.key().0 <= now
            {
                let ((at, _), nth) = first.remove_entry();
                self.at[nth] = None;
                expected.push(Some((at, nth)));
            }
            assert_eq!(due, expected);
        }

        fn step(&mut self, wheel: &mut Wheel<usize>, step: Step, now: &mut Instant) {
            let after = |after| *now + std::time::Duration::from_nanos(after);
            match step {
                Step::Insert { after: long } => {
                    let (at, nth) = (after(long), self.keys.len());
                    let key = wheel.insert(at, nth);
                    self.keys.push(key);
                    self.at.push(Some(at));
                    self.entries.insert((at, key.number), nth);
                }
                Step::Remove { nth } if !self.keys.is_empty() => {
                    let nth = nth % self.keys.len();
                    let at = self.at[nth].take();
                    assert_eq!(wheel.remove(self.keys[nth]), at.map(|at| (at, nth)));
                    at.map(|at| self.entries.remove(&(at, self.keys[nth].number)));
                }
                Step::Set { nth, after: long } if !self.keys.is_empty() => {
                    let nth = nth % self.keys.len();
                    let (before, number) = (self.at[nth], self.keys[nth].number);
                    assert_eq!(wheel.set(self.keys[nth], after(long)), before.is_some());
                    if let Some(before) = before {
                        self.entries.remove(&(before, number));
                        self.entries.insert((after(long), number), nth);
                        self.at[nth] = Some(after(long));
                    }
                }
                Step::Remove { .. } | Step::Set { .. } => {}
                Step::Advance { by } => {
                    *now = after(by);
                    self.advance(wheel, *now);
                }
                Step::AdvanceToNext => {
                    let first = self.entries.first_key_value().map(|((at, _), _)| *at);
                    assert_eq!(wheel.next().is_some(), first.is_some());
                    // Never late, and after a few looks at the very time.
                    for _ in 0..=LEVELS {
                        let Some(next) = wheel.next() else { break };
                        assert!(Some(next) <= self.entries.keys().next().map(|(at, _)| *at));
                        *now = next.max(*now);
                        self.advance(wheel, *now);
                    }
                    if let Some(first) = first {
                        assert!(*now >= first && !self.entries.keys().any(|(at, _)| *at == first));
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn it_does_what_a_sorted_list_does(steps in prop::collection::vec(step(), 1..80)) {
            let (mut wheel, mut model) = (Wheel::default(), Model::default());
            let mut now = Instant::default();
            for step in steps {
                model.step(&mut wheel, step, &mut now);
            }
            model.advance(&mut wheel, Instant::from_nanos(u64::MAX));
            prop_assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn what_was_due_stays_until_it_is_removed_and_may_be_set_again() {
        let mut wheel = Wheel::default();
        let key = wheel.insert(Instant::from_nanos(5), "tick");
        let mut due = Vec::new();
        wheel.advance(Instant::from_nanos(5), &mut due);
        assert_eq!((due.as_slice(), wheel.next()), ([key].as_slice(), None));
        assert!(wheel.set(key, Instant::from_nanos(9)));
        assert_eq!(wheel.next(), Some(Instant::from_nanos(9)));
        assert_eq!(wheel.remove(key), Some((Instant::from_nanos(9), "tick")));
        assert!(!wheel.set(key, Instant::from_nanos(9)), "removed for good");
        let other = wheel.insert(Instant::from_nanos(9), "other");
        assert_eq!((other.index, wheel.remove(key)), (key.index, None), "another's place");
    }
}
