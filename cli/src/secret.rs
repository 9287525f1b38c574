//! The cluster's secret, from a file.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use midflight_process::Secret;

use crate::error::Error;

/// The longest file that is read.
const BYTES_MAX: u64 = 64 * 1024;
/// Others than the owner may read or write.
pub(crate) const FOR_OTHERS: u32 = 0o077;

/// Reads the secret; warns when others can read it too.
pub(crate) fn read(path: &Path) -> Result<Secret, Error> {
    let unreadable = |source| Error::SecretFile { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    if mode & FOR_OTHERS != 0 {
        tracing::warn!(
            "others on this machine can read the secret file {path}: chmod 600 {path}",
            path = path.display()
        );
    }
    Secret::new(&bytes).map_err(|source| Error::WeakSecret { path: path.to_owned(), source })
}

/// Reads the secret, where there is one.
pub(crate) fn read_if_named(path: Option<&Path>) -> Result<Option<Secret>, Error> {
    path.map(read).transpose()
}
