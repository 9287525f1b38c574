//! Refusing releases that are older than one that has run here, also after a restart (U4).

use std::path::PathBuf;

use parking_lot::Mutex;

use crate::bundle::Bundle;
use crate::code_server::{CodeServer, with_sources};
use crate::hash::ContentAddress;
use crate::releases::{FILE, FILE_BYTES_MAX, NoRoom, OlderRelease, Releases};
use crate::sealed::SealError;
use crate::signature::PublicKey;
use crate::store::StoreError;

/// The keeping of the highest releases.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// One reads or writes at a time.
    kept: tokio::sync::Mutex<Kept>,
    /// What the last writing said, where it went wrong.
    fault: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Read when they are first asked for.
    known: Option<Releases>,
    /// Whether the file says less than is known.
    is_behind: bool,
}

/// A bundle is not taken for news.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// It is older than one that has run here.
    #[error(transparent)]
    Older(#[from] OlderRelease),
    /// A rollback leads to what has never been current here.
    #[error("{0}; on this node it was never current, so there is no going back to it")]
    NeverCurrent(OlderRelease),
    /// The bundle is not here, or the file of releases cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What has run here is not known.
    #[error(
        "which releases have run here is not known, {}: remove it to begin with nothing, and push the newest \
         release first", path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: SealError,
    },
    /// There is no room for more.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl CodeServer {
    /// That a bundle which a deployment brings is no older release than one that has run here. One that `goes_back` may be,
    /// where it has been current on this very node. What is current may be brought again.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub(crate) async fn refuse_older(
        &self,
        address: ContentAddress,
        goes_back: bool,
    ) -> Result<(), ReleaseError> {
        let (bundle, keys) = self.signed(address).await?;
        let name = &bundle.manifest().name;
        if self.current(name) == Some(address) {
            return Ok(());
        }
        let mut kept = self.inner.releases.kept.lock().await;
        let known = self.known(&mut kept).await?;
        match known.refuse_older(name, &keys, bundle.manifest().release) {
            Err(older) if goes_back => {
                let history = self.history(Some(name));
                let is = |current: Option<(u32, ContentAddress)>| {
                    current.is_some_and(|(_, current)| current == address)
                };
                if history.iter().any(|(_, change)| is(change.current)) {
                    return Ok(());
                }
                Err(ReleaseError::NeverCurrent(older))
            }
            result => Ok(result?),
        }
    }

    /// A bundle has become current: from now on older ones are refused, also after a restart. Where that cannot be
    /// written down it holds until then, the log and the node's status say so, and it is tried again by and by.
    pub(super) async fn remember_release(&self, address: ContentAddress) {
        let remembered = self.try_to_remember(address).await;
        let fault = remembered.err().map(|error| with_sources(&error));
        if let Some(why) = &fault {
            tracing::error!(%address, why, "its release is not kept: after a restart an older one would be taken");
        }
        *self.inner.releases.fault.lock() = fault;
    }

    async fn try_to_remember(&self, address: ContentAddress) -> Result<(), ReleaseError> {
        let (bundle, keys) = self.signed(address).await?;
        let manifest = bundle.manifest();
        let mut kept = self.inner.releases.kept.lock().await;
        let known = self.known(&mut kept).await?;
        // Without room for all keys, some may have been news.
        let ran = known.ran(&manifest.name, &keys, manifest.release);
        kept.is_behind |= !matches!(ran, Ok(false));
        self.write_releases(&mut kept).await?;
        Ok(ran.map(drop)?)
    }

    /// Writes down what could not be written when it came.
    pub(super) async fn write_releases_again(&self) {
        let mut kept = self.inner.releases.kept.lock().await;
        if kept.is_behind {
            let written = self.write_releases(&mut kept).await;
            *self.inner.releases.fault.lock() = written.err().map(|error| with_sources(&error));
        }
    }

    async fn write_releases(&self, kept: &mut Kept) -> Result<(), ReleaseError> {
        if kept.is_behind {
            let file = self.known(kept).await?.write();
            self.inner.store.put_own(FILE, file).await?;
            kept.is_behind = false;
        }
        Ok(())
    }

    /// Why the releases that have run are not kept, if they are not.
    pub(super) fn releases_fault(&self) -> Option<String> {
        self.inner.releases.fault.lock().clone()
    }

    /// A bundle that is kept here, and the trusted keys that vouch for it now.
    async fn signed(
        &self,
        address: ContentAddress,
    ) -> Result<(Bundle, Vec<PublicKey>), StoreError> {
        let bundle = self.inner.store.bundle(address).await?;
        let (name, signatures) = (&bundle.manifest().name, bundle.signatures());
        // Where too few vouch for it, it is staging that says so.
        let keys = self.inner.trusted.vouching(name, address, signatures, self.unix_time());
        let keys = keys.unwrap_or_default();
        Ok((bundle, keys))
    }

    async fn known<'k>(&self, kept: &'k mut Kept) -> Result<&'k mut Releases, ReleaseError> {
        if kept.known.is_none() {
            let store = &self.inner.store;
            kept.known = Some(match store.own(FILE, FILE_BYTES_MAX).await? {
                Some(file) => Releases::read(&file).map_err(|source| ReleaseError::Record {
                    path: store.own_path(FILE),
                    source,
                })?,
                None => Releases::default(),
            });
        }
        Ok(kept.known.get_or_insert_default())
    }
}
