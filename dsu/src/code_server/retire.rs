//! Letting go: of versions that nothing keeps, and of what undoes a deployment when it is over (U3).

use super::CodeServer;
use crate::code::Mapped;
use crate::hash::ContentAddress;
use crate::policy::Policy;
use crate::versions::{Cause, Version};

impl CodeServer {
    /// Retires the versions that are not current and that nothing keeps. Done by itself after each activation
    /// and whenever the control process looks round. Answers how many were.
    pub fn retire(&self) -> usize {
        let inner = &*self.inner;
        let gone = inner.versions.take_idle(inner.node.runtime().now());
        if gone.is_empty() {
            return 0;
        }
        for version in &gone {
            let Version { name, version, address, .. } = version;
            tracing::info!(bundle = %name, version, %address, "retired");
        }
        inner.versions.tell(&inner.node);
        let count = gone.len();
        // What a library does when it is unloaded may take its time.
        inner.node.runtime().spawn_blocking("let go of code", Box::new(move || drop(gone)));
        count
    }

    /// Gives up a version that was staged and not activated.
    pub fn give_up(&self, address: ContentAddress) {
        if let Some(version) = self.inner.versions.get(address) {
            version.mark(Cause::Staged, false);
        }
        self.retire();
    }

    /// The libraries that are in memory.
    #[must_use]
    pub fn mapped(&self) -> Vec<Mapped> {
        self.inner.format.mapped()
    }

    /// A deployment is over: there is no way back from it, and what was staged in vain goes. Where every member
    /// runs what was deployed (`done`), its policy may end processes.
    pub(crate) fn settle(&self, bundle: &str, rollout: Option<u64>, done: bool) {
        let over = {
            let mut activations = self.inner.activations.lock();
            activations.get_mut(bundle).and_then(|last| {
                let undo = last.undo.take()?;
                let before_is_known = last.before != Some(last.address);
                let erlang = last.policy == Policy::Erlang && before_is_known;
                let purges = done && erlang && last.rollout == rollout;
                Some((undo, purges.then_some((last.address, last.before))))
            })
        };
        if let Some((_undo, Some((current, before)))) = over {
            self.purge(bundle, current, before);
        }
        if rollout.is_some() {
            for version in self.inner.versions.of(bundle) {
                version.mark(Cause::Staged, false);
            }
            self.retire();
        }
    }

    /// Kills the processes of every version but the current one and the one before.
    fn purge(&self, bundle: &str, current: ContentAddress, before: Option<ContentAddress>) {
        for version in self.inner.versions.of(bundle) {
            let (number, pids) = (version.version, version.processes());
            let stays = version.address == current || Some(version.address) == before;
            if stays || pids.is_empty() {
                continue;
            }
            tracing::warn!(
                bundle,
                version = number,
                processes = pids.len(),
                "purged, as was asked for"
            );
            for pid in pids {
                let why = format!("its code, version {number} of {bundle}, was purged");
                self.inner.node.kill(pid, why);
            }
        }
    }
}
