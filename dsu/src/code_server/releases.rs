//! Refusing releases that are older than one that has run here, also after a restart (U4).

use std::path::PathBuf;

use crate::bundle::Bundle;
use crate::code_server::{CodeServer, with_sources};
use crate::hash::ContentAddress;
use crate::releases::{FILE, FILE_BYTES_MAX, NoRoom, OlderRelease, Releases};
use crate::sealed::SealError;
use crate::signature::PublicKey;
use crate::store::StoreError;

/// The highest releases, read when they are first asked for. One reads or writes at a time.
pub(super) type Book = tokio::sync::Mutex<Option<Releases>>;

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
        let mut book = self.inner.releases.lock().await;
        let known = self.known(&mut book).await?;
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
    /// written down it holds until then, and the log says so.
    pub(super) async fn remember_release(&self, address: ContentAddress) {
        if let Err(error) = self.try_to_remember(address).await {
            let why = with_sources(&error);
            tracing::error!(%address, why, "its release is not kept: after a restart an older one would be taken");
        }
    }

    async fn try_to_remember(&self, address: ContentAddress) -> Result<(), ReleaseError> {
        let (bundle, keys) = self.signed(address).await?;
        let manifest = bundle.manifest();
        let mut book = self.inner.releases.lock().await;
        let known = self.known(&mut book).await?;
        if !known.ran(&manifest.name, &keys, manifest.release)? {
            return Ok(());
        }
        Ok(self.inner.store.put_own(FILE, known.write()).await?)
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

    async fn known<'b>(
        &self,
        book: &'b mut Option<Releases>,
    ) -> Result<&'b mut Releases, ReleaseError> {
        if book.is_none() {
            let store = &self.inner.store;
            *book = Some(match store.own(FILE, FILE_BYTES_MAX).await? {
                Some(file) => Releases::read(&file).map_err(|source| ReleaseError::Record {
                    path: store.own_path(FILE),
                    source,
                })?,
                None => Releases::default(),
            });
        }
        Ok(book.get_or_insert_default())
    }
}
