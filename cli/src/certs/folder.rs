//! The folder of certificates: held by one run at a time, with keys for the owner alone.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::CertsError;

/// The longest file that is read.
const BYTES_MAX: u64 = 64 * 1024;
/// The folder is its owner's.
const FOLDER_MODE: u32 = 0o700;
/// A key is its owner's.
const KEY_MODE: u32 = 0o600;
/// Anyone may read a certificate, where the folder lets them.
const CERTIFICATE_MODE: u32 = 0o644;
/// Others than the owner may change what is in it.
const WRITABLE_FOR_OTHERS: u32 = 0o022;

/// The folder, locked: whoever else would write to it is turned away.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The lock ends with it.
    lock: File,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Key,
}

/// Whether a file that is there already may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Kept,
    Replaced,
}

impl Folder {
    /// The folder, made if it is not there, and locked.
    pub(crate) fn prepared(path: &Path) -> Result<Self, CertsError> {
        let unusable = |source| CertsError::file("used", path, source);
        if !path.try_exists().map_err(unusable)? {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(FOLDER_MODE).create(path).map_err(unusable)?;
        }
        let path = path.canonicalize().map_err(unusable)?;
        let lock = File::open(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CertsError::Busy { folder: path }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let metadata = lock.metadata().map_err(unusable)?;
        if !metadata.is_dir() {
            return Err(unusable(io::ErrorKind::NotADirectory.into()));
        }
        if metadata.permissions().mode() & WRITABLE_FOR_OTHERS != 0 {
            tracing::warn!(
                "others on this machine can change what is in {path}: chmod go-w {path}",
                path = path.display()
            );
        }
        Ok(Self { path, lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.path.join(format!("{name}.{ending}"))
    }

    /// Writes a file whole or not at all: whoever reads meanwhile has the old one or the new one.
    pub(crate) fn write(
        &self,
        path: &Path,
        text: &str,
        kind: Kind,
        existing: Existing,
    ) -> Result<(), CertsError> {
        let mode = match kind {
            Kind::Certificate => CERTIFICATE_MODE,
            Kind::Key => KEY_MODE,
        };
        let written = (|| {
            // Made with the mode: at no time can others read a key.
            let mut file = tempfile::Builder::new()
                .prefix(".new-")
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            match existing {
                Existing::Kept => file.persist_noclobber(path)?,
                Existing::Replaced => file.persist(path)?,
            };
            self.lock.sync_all()
        })();
        written.map_err(|source| CertsError::file("written", path, source))
    }
}

/// Reads a file, where there is one.
pub(crate) fn read(path: &Path) -> Result<Option<String>, CertsError> {
    let read = File::open(path).and_then(|file| {
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    });
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CertsError::file("read", path, source)),
    }
}
