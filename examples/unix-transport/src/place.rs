//! A path at which one process listens, and what others have left there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use midflight_transport_api::{OpenError, OpenErrorKind};
use tokio::net::{UnixListener, UnixStream};

/// A socket that listens. Its file goes when it does.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Device and number of our file, in whose place another may have been put.
    file: (u64, u64),
    /// Let go last.
    _lock: File,
}

impl Listening {
    /// Listens at `path`. A socket file there is replaced when nobody listens at it.
    ///
    /// Whoever listens holds the lock on the file `path` + `.lock`, so that of two who find the same
    /// stale socket one does not remove what the other has just made. The lock's file stays: were
    /// it removed, one could lock the old file and another a new one.
    pub(crate) async fn at(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => remove_stale(path).await?,
            Ok(_) => return Err(in_use("there is a file that is no socket")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(system(error)),
        }
        let listener = UnixListener::bind(path).map_err(system)?;
        let file = number(path).map_err(system)?;
        Ok(Self { listener, path: path.to_owned(), file, _lock: lock })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if number(&self.path).is_ok_and(|there| there == self.file) {
            // What cannot be removed is stale from now on, and is found so.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let path = path.with_added_extension("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(path);
    let lock = lock.map_err(system)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(in_use("another endpoint listens there")),
        Err(TryLockError::Error(error)) => Err(system(error)),
    }
}

/// Removes a socket file that nobody listens at. One who listens need not know of our lock.
async fn remove_stale(path: &Path) -> Result<(), OpenError> {
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(system)
        }
        Err(error) => Err(OpenError::because(OpenErrorKind::InUse, error)),
        Ok(_) => Err(in_use("another program listens there")),
    }
}

fn number(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn in_use(why: &str) -> OpenError {
    OpenError::because(OpenErrorKind::InUse, why)
}

fn system(error: io::Error) -> OpenError {
    let kind = match error.kind() {
        io::ErrorKind::AddrInUse => OpenErrorKind::InUse,
        _ => OpenErrorKind::System,
    };
    OpenError::because(kind, error)
}
