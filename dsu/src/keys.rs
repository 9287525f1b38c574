//! The development key: made on first use, so that the first build needs no ceremony.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use midflight_runtime::Runtime;

use crate::signature::{KeyError, SigningKey};

const FILE_BYTES_MAX: u64 = 1024;

/// The key in `<data>/keys/development.key` (mode 0600, the public one in `development.pub` beside
/// it); made if it is not there. It is one person's key on one machine: fit for trying, not for
/// production.
///
/// # Errors
/// [`KeyFileError`].
pub fn development_key(runtime: &dyn Runtime, data: &Path) -> Result<SigningKey, KeyFileError> {
    let path = data.join("keys").join("development.key");
    if let Some(key) = read(&path)? {
        return Ok(key);
    }
    let key = SigningKey::generate(runtime);
    let text = key.to_text();
    if !place(runtime, &path, &text, 0o600)? {
        // Another build was quicker.
        return read(&path)?.ok_or(KeyFileError::Gone { path });
    }
    place(runtime, &path.with_extension("pub"), &key.public().to_string(), 0o644)?;
    Ok(key)
}

/// Reads a key file.
///
/// # Errors
/// [`KeyFileError`].
pub fn signing_key(path: &Path) -> Result<SigningKey, KeyFileError> {
    read(path)?.ok_or_else(|| KeyFileError::Gone { path: path.to_owned() })
}

fn read(path: &Path) -> Result<Option<SigningKey>, KeyFileError> {
    use std::io::Read as _;
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(io)?,
    };
    let key = text.parse();
    key.map(Some).map_err(|source| KeyFileError::NoKey { path: path.to_owned(), source })
}

/// Puts a whole file there, unless there is one: then false.
fn place(runtime: &dyn Runtime, path: &Path, text: &str, mode: u32) -> Result<bool, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let mut unique = [0; 8];
    runtime.fill_random(&mut unique);
    let part = path.with_extension(format!("{}.part", hex::encode(unique)));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(&part).map_err(io)?;
    let placed = writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&part, path));
    // The file has its name by now, or none.
    let _ = std::fs::remove_file(&part);
    match placed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io(error)),
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The disk says no.
    #[error("the key file {} cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        #[source]
        source: KeyError,
    },
    /// There is no such file.
    #[error("the key file {} is not there", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
}
