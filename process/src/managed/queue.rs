//! Messages in the order of their priorities. Pure.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Higher priorities first, equal ones as they came.
#[derive(Debug)]
pub(super) struct Queue<T> {
    entries: BinaryHeap<Entry<T>>,
    came: u64,
}

#[derive(Debug)]
struct Entry<T> {
    priority: i32,
    came: Reverse<u64>,
    value: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { entries: BinaryHeap::new(), came: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, priority: i32, value: T) {
        self.came += 1;
        self.entries.push(Entry { priority, came: Reverse(self.came), value });
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.entries.pop().map(|entry| entry.value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.priority, self.came).cmp(&(other.priority, other.came))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_is_a_stable_sort(priorities in proptest::collection::vec(-3..3, 0..50)) {
            let mut queue = Queue::default();
            let mut expected: Vec<(i32, usize)> = priorities.into_iter().zip(0..).collect();
            for (priority, number) in &expected {
                queue.push(*priority, (*priority, *number));
            }
            expected.sort_by_key(|(priority, _)| Reverse(*priority));
            let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            proptest::prop_assert_eq!(popped, expected);
            proptest::prop_assert!(queue.is_empty());
        }
    }
}
