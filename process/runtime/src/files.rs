//! Files: on disk, or in memory for tests.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::BoxFuture;

/// What Midflight does with files. Each operation is whole or not at all.
pub trait Files: Debug + Send + Sync + 'static {
    /// Reads a file of at most `size_max` bytes; a longer one is an error of kind `FileTooLarge`.
    fn read(&self, path: PathBuf, size_max: u64) -> BoxFuture<io::Result<Vec<u8>>>;

    /// Makes `path` hold `bytes`, durably: written beside it, synced, renamed over it, and the
    /// folder synced. Makes the folders above it. After a crash the old content or the new one is
    /// there, never a part.
    fn write(&self, path: PathBuf, bytes: Vec<u8>) -> BoxFuture<io::Result<()>>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, path: PathBuf) -> BoxFuture<io::Result<()>>;

    /// The names in a folder, sorted; none for a folder that is not there.
    fn list(&self, folder: PathBuf) -> BoxFuture<io::Result<Vec<String>>>;
}

/// The disk.
#[derive(Debug)]
pub struct DiskFiles {
    handle: tokio::runtime::Handle,
}

impl DiskFiles {
    pub(crate) const fn new(handle: tokio::runtime::Handle) -> Self {
        Self { handle }
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let running = self.handle.spawn_blocking(work);
        Box::pin(async move { running.await.unwrap_or_else(|e| Err(io::Error::other(e))) })
    }
}

impl Files for DiskFiles {
    fn read(&self, path: PathBuf, size_max: u64) -> BoxFuture<io::Result<Vec<u8>>> {
        self.run(move || {
            use std::io::Read as _;
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(size_max.saturating_add(1)).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > size_max {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(bytes)
        })
    }

    fn write(&self, path: PathBuf, bytes: Vec<u8>) -> BoxFuture<io::Result<()>> {
        self.run(move || write_durably(&path, &bytes))
    }

    fn remove(&self, path: PathBuf) -> BoxFuture<io::Result<()>> {
        self.run(move || match std::fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    fn list(&self, folder: PathBuf) -> BoxFuture<io::Result<Vec<String>>> {
        self.run(move || {
            let entries = match std::fs::read_dir(folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut names = Vec::new();
            for entry in entries {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names)
        })
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    // A bare file name has the empty path for its folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(io::Error::other)?;
    let part = folder.join(format!(".{:016x}.part", u64::from_le_bytes(unique)));
    let result = (|| {
        let mut file = std::fs::File::create_new(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        std::fs::File::open(folder)?.sync_all()
    })();
    if result.is_err() {
        // The first error is the one to report; a part that cannot be removed is only litter.
        let _ = std::fs::remove_file(&part);
    }
    result
}

/// Files in memory, for the simulator.
#[derive(Debug, Default, Clone)]
pub struct MemoryFiles {
    files: Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>,
    no_room_for: Arc<Mutex<Vec<String>>>,
}

impl MemoryFiles {
    /// From now on there is no room for files of these names, whatever their folders, and for all others there is.
    pub fn no_room_for(&self, names: &[&str]) {
        *self.no_room_for.lock() = names.iter().map(|&name| name.to_owned()).collect();
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: PathBuf, size_max: u64) -> BoxFuture<io::Result<Vec<u8>>> {
        let found = self.files.lock().get(&path).cloned();
        Box::pin(std::future::ready(match found {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(bytes) if bytes.len() as u64 > size_max => Err(io::ErrorKind::FileTooLarge.into()),
            Some(bytes) => Ok(bytes),
        }))
    }

    fn write(&self, path: PathBuf, bytes: Vec<u8>) -> BoxFuture<io::Result<()>> {
        let name = path.file_name().unwrap_or_default();
        if self.no_room_for.lock().iter().any(|no_room| **no_room == *name) {
            return Box::pin(std::future::ready(Err(io::ErrorKind::StorageFull.into())));
        }
        self.files.lock().insert(path, bytes);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove(&self, path: PathBuf) -> BoxFuture<io::Result<()>> {
        self.files.lock().remove(&path);
        Box::pin(std::future::ready(Ok(())))
    }

    fn list(&self, folder: PathBuf) -> BoxFuture<io::Result<Vec<String>>> {
        let names = self
            .files
            .lock()
            .keys()
            .filter(|path| path.parent() == Some(&folder))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        Box::pin(std::future::ready(Ok(names)))
    }
}
