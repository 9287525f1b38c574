//! Code for a test from the file of a bundle.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use midflight_abi::table::TARGET;

use crate::bundle::{BUNDLE_BYTES_MAX, Bundle, BundleError};
use crate::code::{Code, Stays};
use crate::hash::CodeId;
use crate::library::{LoadError, load};
use crate::store::StoredLibrary;

/// Why a bundle's code cannot be tested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadBundleError {
    /// A file cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the disk says.
        #[source]
        source: std::io::Error,
    },
    /// The file is no bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It has nothing for this machine.
    #[error("the bundle has no library for {TARGET}")]
    NoTarget,
    /// The library cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Loads the library of a bundle, which stays in this program's memory. Nobody's signature is looked at: test what
/// you have built yourself, since it runs in here with all that this program may do.
///
/// # Errors
/// [`LoadBundleError`].
pub fn bundle(file: impl AsRef<Path>) -> Result<Arc<dyn Code>, LoadBundleError> {
    let path = file.as_ref();
    let io = |source| LoadBundleError::Io { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > BUNDLE_BYTES_MAX {
        let part = "the bundle".to_owned();
        return Err(BundleError::TooLarge { part, size, max: BUNDLE_BYTES_MAX }.into());
    }
    let bundle = Bundle::read(&std::fs::read(path).map_err(io)?)?;
    let (_, library) = bundle.library(TARGET).ok_or(LoadBundleError::NoTarget)?;
    // The system's loader takes files alone; it keeps what it has loaded when the file is gone.
    let folder = tempfile::tempdir().map_err(io)?;
    let id = CodeId::of(library);
    let stored = StoredLibrary { id, path: folder.path().join(format!("{id}.so")) };
    std::fs::write(&stored.path, library).map_err(io)?;
    Ok(Arc::new(load(&stored, Some(Stays::Untried))?))
}
