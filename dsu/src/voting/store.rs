//! The log on disk: `<data>/log/vote`, a file for each entry, `purged` and `snapshot` (R4).
//!
//! Every file is written beside its place, synced and renamed; so each is there whole or not at all, in the order in which
//! they were written. A log has some entries for a rollout and is cut behind a snapshot: it stays small.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use midflight_runtime::Files;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    Entry, ErrorSubject, ErrorVerb, LogId, LogState, RaftLogReader, StorageError, StorageIOError,
    Vote,
};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Types;
use crate::sealed::{SealError, open, seal};

/// What the files are for, each with its form.
pub(super) const VOTE: &[u8; 9] = b"MFLOGVOT\x01";
pub(super) const ENTRY: &[u8; 9] = b"MFLOGENT\x01";
pub(super) const PURGED: &[u8; 9] = b"MFLOGPRG\x01";
pub(super) const SNAPSHOT: &[u8; 9] = b"MFLOGSNP\x01";
/// The longest file, in bytes: a rollout of a thousand nodes has a hundredth of it.
const FILE_BYTES_MAX: u64 = 64 * 1_024 * 1_024;

/// The log cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk says no.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        #[source]
        source: std::io::Error,
    },
    /// A file is not as it was written.
    #[error("{}", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: SealError,
    },
    /// Entries are missing in the middle.
    #[error("the log in {} lacks an entry in its middle", path.display())]
    Hole {
        /// The folder.
        path: PathBuf,
    },
    /// The log does not begin.
    #[error("the log does not begin: {0}")]
    Begin(String),
}

/// The folder of a log.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    files: Arc<dyn Files>,
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(files: Arc<dyn Files>, data: &Path) -> Self {
        Self { files, path: data.join("log") }
    }

    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        kind: &[u8; 9],
    ) -> Result<Option<T>, LogError> {
        let path = self.path.join(name);
        let file = match self.files.read(path.clone(), FILE_BYTES_MAX).await {
            Ok(file) => file,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LogError::Io { path, source }),
        };
        open(kind, &file).map(Some).map_err(|source| LogError::Sealed { path, source })
    }

    pub(super) async fn write<T: Serialize + Sync>(
        &self,
        name: &str,
        kind: &[u8; 9],
        content: &T,
    ) -> std::io::Result<()> {
        let file = seal(kind, content);
        self.files.write(self.path.join(name), file).await
    }

    async fn remove(&self, name: &str) -> std::io::Result<()> {
        self.files.remove(self.path.join(name)).await
    }

    /// The numbers of the entries that are there, in their order.
    async fn entries(&self) -> Result<Vec<u64>, LogError> {
        let names = self.files.list(self.path.clone()).await;
        let names = names.map_err(|source| LogError::Io { path: self.path.clone(), source })?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".entry")?.parse().ok()).collect())
    }
}

fn entry_name(index: u64) -> String {
    format!("{index:020}.entry")
}

/// The log. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct LogStore {
    folder: Folder,
    kept: Arc<Mutex<Kept>>,
}

/// What is on disk, as it is.
#[derive(Debug, Default)]
struct Kept {
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    entries: BTreeMap<u64, Entry<Types>>,
}

impl LogStore {
    /// Reads the log, and removes what a kill has left of what was cut off.
    pub(super) async fn read(folder: Folder) -> Result<Self, LogError> {
        let vote = folder.read("vote", VOTE).await?;
        let purged: Option<LogId<u64>> = folder.read("purged", PURGED).await?;
        let first = purged.map_or(0, |purged| purged.index + 1);
        let mut entries = BTreeMap::new();
        for index in folder.entries().await? {
            if index < first {
                let removed = folder.remove(&entry_name(index)).await;
                removed.map_err(|source| LogError::Io { path: folder.path.clone(), source })?;
            } else if let Some(entry) = folder.read(&entry_name(index), ENTRY).await? {
                if index != first + entries.len() as u64 {
                    return Err(LogError::Hole { path: folder.path.clone() });
                }
                entries.insert(index, entry);
            }
        }
        let kept = Arc::new(Mutex::new(Kept { vote, purged, entries }));
        Ok(Self { folder, kept })
    }
}

pub(super) fn io_error(
    subject: ErrorSubject<u64>,
    verb: ErrorVerb,
) -> impl FnOnce(std::io::Error) -> StorageError<u64> {
    move |error| StorageIOError::new(subject, verb, openraft::AnyError::new(&error)).into()
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>, StorageError<u64>> {
        Ok(self.kept.lock().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        let kept = self.kept.lock();
        let last = kept.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id: last.or(kept.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let written = self.folder.write("vote", VOTE, vote).await;
        written.map_err(io_error(ErrorSubject::Vote, ErrorVerb::Write))?;
        self.kept.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        Ok(self.kept.lock().vote)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        for entry in entries {
            let (index, log_id) = (entry.log_id.index, entry.log_id);
            let written = self.folder.write(&entry_name(index), ENTRY, &entry).await;
            written.map_err(io_error(ErrorSubject::Log(log_id), ErrorVerb::Write))?;
            self.kept.lock().entries.insert(index, entry);
        }
        flushed.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        // From the end, so that a kill in between leaves no hole.
        loop {
            let last = self.kept.lock().entries.keys().next_back().copied();
            let Some(last) = last.filter(|last| *last >= log_id.index) else { return Ok(()) };
            let removed = self.folder.remove(&entry_name(last)).await;
            removed.map_err(io_error(ErrorSubject::Log(log_id), ErrorVerb::Delete))?;
            self.kept.lock().entries.remove(&last);
        }
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let written = self.folder.write("purged", PURGED, &log_id).await;
        written.map_err(io_error(ErrorSubject::Log(log_id), ErrorVerb::Write))?;
        self.kept.lock().purged = Some(log_id);
        loop {
            let first = self.kept.lock().entries.keys().next().copied();
            let Some(first) = first.filter(|first| *first <= log_id.index) else { return Ok(()) };
            let removed = self.folder.remove(&entry_name(first)).await;
            removed.map_err(io_error(ErrorSubject::Log(log_id), ErrorVerb::Delete))?;
            self.kept.lock().entries.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, EntryPayload};

    use super::*;
    use crate::rollout::ledger::Command;
    use crate::sealed::HASH_BYTES;

    /// Voters that were stopped have such files.
    #[test]
    fn golden() {
        let log_id = LogId::new(CommittedLeaderId::new(2, 1), 3);
        let look = Command::Look { bundle: "x".into(), number: 4 };
        let entry = Entry::<Types> { log_id, payload: EntryPayload::Normal(look) };
        let bytes = |file: Vec<u8>| hex::encode(&file[9..file.len() - HASH_BYTES]);
        assert_eq!(bytes(seal(ENTRY, &entry)), "02010301".to_owned() + "05" + "0178" + "04");
        assert_eq!(bytes(seal(PURGED, &log_id)), "020103");
        assert_eq!(bytes(seal(VOTE, &Vote::new_committed(2, 1_u64))), "020101");
        let read: Entry<Types> = open(ENTRY, &seal(ENTRY, &entry)).unwrap();
        assert_eq!(read, entry);
        assert!(open::<LogId<u64>>(PURGED, &seal(VOTE, &log_id)).is_err(), "of another kind");
    }
}
