//! Keeping what is committed, and beginning with it again (R4).

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::activate::Follows;
use super::{ActivateError, CodeServer, with_sources};
use crate::committed::{self, Standing};
use crate::hash::ContentAddress;
use crate::policy::Policy;
use crate::sealed::SealError;
use crate::store::StoreError;
use crate::versions::Version;

/// How far a node is with what it kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Whole {
    /// It has not read it yet.
    #[default]
    Not,
    /// It runs what it kept, as far as it can.
    Yes,
    /// It could not read it, and does not write over it.
    Never(String),
}

/// The keeping of what is committed.
#[derive(Debug)]
pub(super) struct Recording {
    /// One writes at a time, and always all that there is.
    writing: tokio::sync::Mutex<()>,
    whole: watch::Sender<Whole>,
    /// What the last writing said, where it went wrong.
    fault: Mutex<Option<String>>,
}

impl Default for Recording {
    fn default() -> Self {
        let (writing, whole, fault) =
            (<_>::default(), watch::Sender::new(Whole::Not), <_>::default());
        Self { writing, whole, fault }
    }
}

/// A node cannot begin with what it kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is not as it was written.
    #[error(
        "{}: remove it to begin with nothing; then the node fetches from the others what they run", path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: SealError,
    },
}

impl CodeServer {
    /// Loads and activates what was committed when this node was stopped or killed, from its own store. What of it may
    /// not run any more, as its signature has expired, say, is left out with a line in the log. Done by the control process
    /// before it answers anybody.
    ///
    /// # Errors
    /// [`RestoreError`]; then nothing is loaded, and nothing is kept either, so that the file stays as it is.
    pub(crate) async fn restore(&self) -> Result<(), RestoreError> {
        let restored = self.restore_from_file().await;
        let whole = match &restored {
            Ok(()) => Whole::Yes,
            Err(error) => Whole::Never(with_sources(error)),
        };
        self.inner.recording.whole.send_replace(whole);
        restored
    }

    /// Whether all that is committed here is known.
    pub(super) fn knows_what_is_committed(&self) -> bool {
        *self.inner.recording.whole.borrow() == Whole::Yes
    }

    async fn restore_from_file(&self) -> Result<(), RestoreError> {
        let inner = &*self.inner;
        let Some(file) = inner.store.own(committed::FILE, committed::FILE_BYTES_MAX).await? else {
            return Ok(());
        };
        let (committed, history) = committed::read(&file).map_err(|source| {
            RestoreError::Record { path: inner.store.own_path(committed::FILE), source }
        })?;
        *inner.history.lock() = history;
        for (bundle, standing) in committed.all() {
            // Known, whether it runs or not: it is still what was decided.
            inner.versions.commit(bundle, *standing);
            if let Err(why) = self.run_again(standing).await {
                let version = standing.version;
                tracing::error!(bundle, version, why, "what was committed does not run");
            }
        }
        inner.versions.tell(&inner.node);
        Ok(())
    }

    async fn run_again(&self, standing: &Standing) -> Result<(), String> {
        self.stage(standing.address).await.map_err(|error| with_sources(&error))?;
        let activated = self.activate_by(standing.address, standing.policy).await;
        activated.map(drop).map_err(|error| with_sources(&error))
    }

    /// Takes in what was decided about a bundle that is current here, tells the other nodes, and keeps it: once this
    /// has returned, the node begins with it again.
    pub(crate) async fn commit(&self, bundle: &str, standing: Standing) {
        if !self.inner.versions.commit(bundle, standing) {
            return;
        }
        let Standing { number, version, .. } = standing;
        tracing::info!(bundle, version, number, "committed");
        self.inner.versions.tell(&self.inner.node);
        self.record_committed().await;
    }

    /// What a deployment has activated last of a bundle here, if it has.
    pub(crate) fn activated_by(
        &self,
        bundle: &str,
        rollout: u64,
    ) -> Option<(u32, ContentAddress, Policy)> {
        let activations = self.inner.activations.lock();
        let last = activations.get(bundle).filter(|last| last.rollout == Some(rollout))?;
        let version = self.inner.versions.get(last.address)?.version;
        Some((version, last.address, last.policy))
    }

    /// As [`CodeServer::stage`], to follow what was decided about `bundle`. What was current here stays so until the new
    /// version can take its place.
    ///
    /// An older release than one that has run here is no more taken than from a deployment: it must have been current here.
    pub(crate) async fn stage_to_follow(
        &self,
        bundle: &str,
        address: ContentAddress,
    ) -> Result<(), String> {
        let name = self.name_of(address).await.ok_or("the bundle is not here")?;
        if name != bundle {
            return Err(format!("what was decided for `{bundle}` is a bundle called `{name}`"));
        }
        self.refuse_older(address, true).await.map_err(|error| with_sources(&error))?;
        self.stage_where(address, true).await.map(drop).map_err(|error| with_sources(&error))
    }

    /// The version that a new one of the bundle must be able to take the place of. To follow what was decided that is none
    /// where nothing runs in any version: the node is as one that never had the bundle.
    pub(super) fn to_replace(&self, bundle: &str, follows: bool) -> Option<Arc<Version>> {
        let versions = &self.inner.versions;
        let is_empty = || versions.of(bundle).iter().all(|version| version.process_count() == 0);
        if follows && is_empty() { None } else { versions.current(bundle) }
    }

    /// That a decision is still to be followed: no deployment has claimed the bundle's name since, and none has decided
    /// otherwise. Asked while nobody else can activate anything of the name.
    pub(super) fn refuse_overtaken(
        &self,
        bundle: &str,
        follows: &Follows,
    ) -> Result<(), ActivateError> {
        let committed = self.inner.versions.committed();
        let is_behind = self.is_behind(bundle, committed.of(bundle), &follows.standing);
        if is_behind && !(follows.is_claimed)() {
            return Ok(());
        }
        Err(ActivateError::Overtaken(bundle.to_owned()))
    }

    /// Writes down what is committed. Where that does not work, the node goes on, and says so.
    async fn record_committed(&self) {
        let inner = &*self.inner;
        let _one = inner.recording.writing.lock().await;
        if !self.knows_what_is_committed() {
            return;
        }
        let file = committed::write(&inner.versions.committed(), &inner.history.lock());
        let written = inner.store.put_own(committed::FILE, file).await;
        let fault = written.err().map(|error| with_sources(&error));
        if let Some(why) = &fault {
            tracing::error!(
                why,
                "what is committed is not kept: after a restart this node would run what was before"
            );
        }
        *inner.recording.fault.lock() = fault;
    }

    /// Why what is committed, or which releases have run, is not kept, if it is not.
    pub(crate) fn recording_fault(&self) -> Option<String> {
        if let Whole::Never(why) = &*self.inner.recording.whole.borrow() {
            return Some(why.clone());
        }
        self.inner.recording.fault.lock().clone().or_else(|| self.releases_fault())
    }

    /// Writes down what could not be written when it came, if there is such.
    pub(crate) async fn record_again(&self) {
        let is_behind = self.inner.recording.fault.lock().is_some();
        if is_behind {
            self.record_committed().await;
        }
        self.write_releases_again().await;
    }

    /// Waits until the node has begun with what it kept, and answers how that was.
    pub(crate) async fn restored(&self) -> Whole {
        let mut whole = self.inner.recording.whole.subscribe();
        let seen = whole.wait_for(|whole| *whole != Whole::Not).await;
        seen.map_or(Whole::Not, |whole| whole.clone())
    }
}
