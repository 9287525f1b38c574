//! Removing from the disk what is not needed any more (R1).
//!
//! Needed are the bundles of all versions that are loaded, of all that [`History`](crate::history::History) can go back to,
//! and of what is committed; and the libraries that are in memory, since the others are in their bundles. What is not needed goes once
//! it has not been for [`KEPT`]: until then it may be on its way to be staged, or be asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midflight_runtime::Instant;
use parking_lot::Mutex;

use super::CodeServer;
use crate::hash::{CodeId, ContentAddress};
use crate::store::StoreError;

/// How long a bundle or a library stays on disk after it was last needed or asked for, or came.
pub const KEPT: Duration = Duration::from_secs(3_600);

/// How often it is looked for such.
const EVERY: Duration = Duration::from_secs(600);

/// What was not needed when it was looked, and since when.
#[derive(Debug, Default)]
pub(super) struct Sweeping {
    next: Mutex<Option<Instant>>,
    bundles: Mutex<Unneeded<ContentAddress>>,
    libraries: Mutex<Unneeded<CodeId>>,
}

#[derive(Debug)]
struct Unneeded<K>(BTreeMap<K, Instant>);

impl<K> Default for Unneeded<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Unneeded<K> {
    /// What of all that is `there` has not been needed for long enough. It is forgotten with that.
    fn look(&mut self, there: Vec<K>, needed: &BTreeSet<K>, now: Instant) -> Vec<K> {
        let before = std::mem::take(&mut self.0);
        let mut over = Vec::new();
        for one in there.into_iter().filter(|one| !needed.contains(one)) {
            let since = before.get(&one).copied().unwrap_or(now);
            if now.since(since) >= KEPT {
                over.push(one);
            } else {
                self.0.insert(one, since);
            }
        }
        over
    }
}

impl CodeServer {
    /// Removes bundles and libraries that have not been needed for an hour ([`KEPT`]); looks for such every ten minutes, and
    /// does nothing in between. Never before the node knows what is committed. Done by the control process whenever it looks
    /// round. Answers how many files it has removed.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what could not be removed is tried again the next time.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let inner = &*self.inner;
        let now = inner.node.runtime().now();
        if !self.knows_what_is_committed() || !inner.sweeping.is_time(now) {
            return Ok(0);
        }
        let there = inner.store.bundles().await?;
        let bundles = inner.sweeping.bundles.lock().look(there, &self.needed_bundles(), now);
        for address in &bundles {
            inner.store.remove_bundle(*address).await?;
        }
        let there = inner.store.libraries().await?;
        let needed = self.mapped().into_iter().map(|mapped| mapped.code).collect();
        let libraries = inner.sweeping.libraries.lock().look(there, &needed, now);
        for id in &libraries {
            inner.store.remove_library(*id).await?;
        }
        let (bundles, libraries) = (bundles.len(), libraries.len());
        if bundles + libraries > 0 {
            tracing::info!(bundles, libraries, "removed from the disk: nothing needs them");
        }
        Ok(bundles + libraries)
    }

    fn needed_bundles(&self) -> BTreeSet<ContentAddress> {
        let versions = self.versions();
        let loaded = versions.all().into_iter().map(|(version, _)| version.address);
        let mut needed: BTreeSet<_> = loaded.collect();
        let history = self.inner.history.lock();
        let changes = history.changes(None).filter_map(|(_, change)| change.current);
        needed.extend(changes.map(|(_, address)| address));
        drop(history);
        needed.extend(versions.committed().all().map(|(_, standing)| standing.address));
        needed.extend(versions.behind().values().map(|behind| behind.standing.address));
        needed
    }
}

impl Sweeping {
    /// Somebody counts on its being here.
    pub(super) fn asked_for(&self, address: ContentAddress) {
        self.bundles.lock().0.remove(&address);
    }

    /// It is about to be loaded.
    pub(super) fn to_be_loaded(&self, id: CodeId) {
        self.libraries.lock().0.remove(&id);
    }

    fn is_time(&self, now: Instant) -> bool {
        let mut next = self.next.lock();
        let is_time = next.is_none_or(|next| now >= next);
        if is_time {
            *next = Some(now + EVERY);
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_in_between_stays() {
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut unneeded = Unneeded::default();
        let mut look = |there: &[u8], needed: &[u8], seconds: u64| {
            unneeded.look(there.to_vec(), &needed.iter().copied().collect(), at(seconds))
        };
        assert!(look(&[1, 2, 3], &[1], 0).is_empty());
        assert!(look(&[1, 2, 3], &[1, 3], 3_599).is_empty());
        assert_eq!(look(&[1, 2, 3], &[1], 3_600), [2]);
        // The third was needed at 3,599 and was seen not to be at 3,600.
        assert!(look(&[1, 3], &[1], 7_199).is_empty());
        assert_eq!(look(&[1, 3], &[1], 7_200), [3]);
        // What comes again has its time again.
        assert!(look(&[2], &[], 9_000).is_empty());
    }
}
