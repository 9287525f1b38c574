//! What a node keeps: bundles and libraries in its data folder, under their hashes.
//!
//! `<data>/bundles/<content address>.mfb` and `<data>/code/<hash>.so`. A file under a hash is never
//! replaced by other content, so that what is loaded from it stays as it was. Beside them lie the files that the
//! node keeps about itself: `<data>/committed`, what is to run, and `<data>/releases`, what has run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use midflight_runtime::{Files, Handle};

use crate::bundle::{BUNDLE_BYTES_MAX, Bundle, BundleError, LIBRARY_BYTES_MAX};
use crate::hash::{CodeId, ContentAddress};

/// The store of one node.
#[derive(Debug, Clone)]
pub struct Store {
    files: Arc<dyn Files>,
    data: PathBuf,
}

/// A library in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLibrary {
    /// Its hash.
    pub id: CodeId,
    /// Where it lies. Absolute when the store's folder is.
    pub path: PathBuf,
}

/// Why the store cannot keep or give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It was never kept here, or was removed.
    #[error("{} is not here", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The disk says no.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        #[source]
        source: std::io::Error,
    },
    /// What lies there is not what its name says.
    #[error("{} is damaged: its content has the hash {found}", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// The hash of what is there.
        found: String,
    },
    /// The bytes are not a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Store {
    /// The store in the folder `data`, which need not exist yet.
    #[must_use]
    pub fn new(runtime: &Handle, data: impl Into<PathBuf>) -> Self {
        Self { files: runtime.files(), data: data.into() }
    }

    /// The folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Keeps a bundle.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_bundle(&self, bundle: &Bundle) -> Result<(), StoreError> {
        let path = self.bundle_path(bundle.address());
        let bytes = bundle.write()?;
        self.write(path, bytes).await
    }

    /// The bundle of that address, read and checked anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bundle(&self, address: ContentAddress) -> Result<Bundle, StoreError> {
        let path = self.bundle_path(address);
        let bundle = Bundle::read(&self.read(&path, BUNDLE_BYTES_MAX).await?)?;
        if bundle.address() == address {
            Ok(bundle)
        } else {
            Err(StoreError::Damaged { path, found: bundle.address().to_string() })
        }
    }

    /// The addresses of all bundles kept, sorted.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub async fn bundles(&self) -> Result<Vec<ContentAddress>, StoreError> {
        let names = self.names("bundles").await?;
        let address = |name: &String| name.strip_suffix(".mfb")?.parse().ok();
        Ok(names.iter().filter_map(address).collect())
    }

    /// The hashes of all libraries kept, sorted.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub async fn libraries(&self) -> Result<Vec<CodeId>, StoreError> {
        let names = self.names("code").await?;
        let id = |name: &String| name.strip_suffix(".so")?.parse().ok();
        Ok(names.iter().filter_map(id).collect())
    }

    async fn names(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let folder = self.data.join(folder);
        let names = self.files.list(folder.clone()).await;
        names.map_err(|source| StoreError::Io { path: folder, source })
    }

    /// Forgets a bundle; its library stays.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub async fn remove_bundle(&self, address: ContentAddress) -> Result<(), StoreError> {
        self.remove(self.bundle_path(address)).await
    }

    /// Forgets a library. Where it is loaded it stays in memory.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub async fn remove_library(&self, id: CodeId) -> Result<(), StoreError> {
        self.remove(self.library_path(id)).await
    }

    async fn remove(&self, path: PathBuf) -> Result<(), StoreError> {
        let removed = self.files.remove(path.clone()).await;
        removed.map_err(|source| StoreError::Io { path, source })
    }

    /// Keeps a library. One that is there and whole is left alone: it may be loaded.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_library(&self, library: &[u8]) -> Result<StoredLibrary, StoreError> {
        let id = CodeId::of(library);
        match self.library(id).await {
            Err(StoreError::Missing { path }) | Err(StoreError::Damaged { path, .. }) => {
                // Renamed over what is there: who has the damaged file open keeps its own.
                self.write(path.clone(), library.to_vec()).await?;
                Ok(StoredLibrary { id, path })
            }
            other => other,
        }
    }

    /// The library of that hash, hashed anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn library(&self, id: CodeId) -> Result<StoredLibrary, StoreError> {
        let path = self.library_path(id);
        let found = CodeId::of(&self.read(&path, LIBRARY_BYTES_MAX).await?);
        if found == id {
            Ok(StoredLibrary { id, path })
        } else {
            Err(StoreError::Damaged { path, found: found.to_string() })
        }
    }

    /// A file that the node keeps about itself; `None`: there was never one.
    pub(crate) async fn own(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self.read(&self.own_path(name), max).await {
            Err(StoreError::Missing { .. }) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Keeps such a file, in the place of the one before.
    pub(crate) async fn put_own(&self, name: &str, file: Vec<u8>) -> Result<(), StoreError> {
        self.write(self.own_path(name), file).await
    }

    pub(crate) fn own_path(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn bundle_path(&self, address: ContentAddress) -> PathBuf {
        self.data.join("bundles").join(format!("{address}.mfb"))
    }

    fn library_path(&self, id: CodeId) -> PathBuf {
        self.data.join("code").join(format!("{id}.so"))
    }

    async fn read(&self, path: &Path, max: u64) -> Result<Vec<u8>, StoreError> {
        self.files.read(path.to_owned(), max).await.map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
            _ => StoreError::Io { path: path.to_owned(), source },
        })
    }

    async fn write(&self, path: PathBuf, bytes: Vec<u8>) -> Result<(), StoreError> {
        let written = self.files.write(path.clone(), bytes).await;
        written.map_err(|source| StoreError::Io { path, source })
    }
}
