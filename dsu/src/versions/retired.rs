//! Retiring: a version that is not current goes when nothing keeps it (U3).

use std::collections::VecDeque;
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
    pub(crate) fn take_idle(&self, now: Instant) -> Vec<Arc<Version>> {
        let mut inner = self.inner.lock();
        let super::Inner { loaded, current, retired } = &mut *inner;
        // Nobody else has it in hand, and under this lock nobody can come by it.
        let gone = |version: &Arc<Version>| {
            current.get(&version.name) != Some(&version.address)
                && version.is_idle(now)
                && Arc::strong_count(version) == 1
        };
        let gone: Vec<_> = loaded.extract_if(.., |_, version| gone(version)).collect();
        gone.iter().for_each(|(_, version)| retired.add(version));
        gone.into_iter().map(|(_, version)| version).collect()
    }

    /// The versions that were retired last, the oldest first.
    #[must_use]
    pub fn retired(&self) -> Vec<Retired> {
        self.inner.lock().retired.0.iter().cloned().collect()
    }
}
