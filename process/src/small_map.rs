//! An ordered map that is a short sorted row as long as there is little in it: most processes have one
//! link and one monitor or two, and some have a hundred thousand.

use std::collections::BTreeMap;

/// Entries in a row at the most.
const ROW_MAX: usize = 24;

#[derive(Debug)]
pub(crate) enum SmallMap<K, V> {
    /// Sorted.
    Row(Vec<(K, V)>),
    Tree(BTreeMap<K, V>),
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::Row(Vec::new())
    }
}

impl<K: Ord + Copy, V> SmallMap<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Self::Row(row) = self {
            match row.binary_search_by_key(&key, |(key, _)| *key) {
                Ok(at) => return Some(std::mem::replace(&mut row[at].1, value)),
                Err(at) if row.len() < ROW_MAX => {
                    row.insert(at, (key, value));
                    return None;
                }
                Err(_) => *self = Self::Tree(std::mem::take(row).into_iter().collect()),
            }
        }
        match self {
            Self::Tree(tree) => tree.insert(key, value),
            Self::Row(_) => None,
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::Row(row) => {
                let at = row.binary_search_by_key(key, |(key, _)| *key).ok()?;
                Some(row.remove(at).1)
            }
            Self::Tree(tree) => {
                let removed = tree.remove(key);
                if tree.is_empty() {
                    *self = Self::default();
                }
                removed
            }
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::Row(row) => {
                let at = row.binary_search_by_key(key, |(key, _)| *key).ok()?;
                Some(&row[at].1)
            }
            Self::Tree(tree) => tree.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::Row(row) => {
                let at = row.binary_search_by_key(key, |(key, _)| *key).ok()?;
                Some(&mut row[at].1)
            }
            Self::Tree(tree) => tree.get_mut(key),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Row(row) => row.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    /// Drops what `keep` does not want.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        match self {
            Self::Row(row) => row.retain(|(key, _)| keep(key)),
            Self::Tree(tree) => tree.retain(|key, _| keep(key)),
        }
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (row, tree) = match self {
            Self::Row(row) => (Some(row.iter().map(|(key, value)| (key, value))), None),
            Self::Tree(tree) => (None, Some(tree.iter())),
        };
        row.into_iter().flatten().chain(tree.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_is_an_ordered_map(
            steps in proptest::collection::vec((proptest::bool::weighted(0.7), 0_u8..60), 0..300)
        ) {
            let (mut small, mut map) = (SmallMap::default(), BTreeMap::new());
            for (insert, key) in steps {
                if insert {
                    assert_eq!(small.insert(key, u16::from(key)), map.insert(key, u16::from(key)));
                } else {
                    assert_eq!(small.remove(&key), map.remove(&key));
                }
                assert_eq!(small.get(&key), map.get(&key));
                assert_eq!(small.get_mut(&key), map.get_mut(&key));
                assert_eq!(small.len(), map.len());
            }
            small.retain(|key| key % 3 != 0);
            map.retain(|key, _| key % 3 != 0);
            assert!(small.iter().eq(map.iter()));
        }
    }
}
