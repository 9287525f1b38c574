//! The ledger as what the log is applied to, and its snapshots (R4).

use std::sync::Arc;

use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::{
    EmptyNode, Entry, EntryPayload, ErrorSubject, ErrorVerb, LogId, StorageError, StoredMembership,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Types;
use super::store::{Folder, LogError, SNAPSHOT, io_error};
use crate::rollout::ledger::{Answer, Ledger};

/// Everything that was applied, and how far that is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Applied {
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, EmptyNode>,
    ledger: Ledger,
}

/// The ledger. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    folder: Folder,
    applied: Arc<Mutex<Applied>>,
}

impl Machine {
    /// Begins with the last snapshot; what came after it is in the log.
    pub(super) async fn read(folder: Folder) -> Result<Self, LogError> {
        let applied = folder.read("snapshot", SNAPSHOT).await?.unwrap_or_default();
        Ok(Self { folder, applied: Arc::new(Mutex::new(applied)) })
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.applied.lock().ledger.clone()
    }

    async fn keep(&self, applied: &Applied) -> Result<(), StorageError<u64>> {
        let written = self.folder.write("snapshot", SNAPSHOT, applied).await;
        written.map_err(io_error(ErrorSubject::Snapshot(None), ErrorVerb::Write))
    }
}

fn snapshot(applied: Applied) -> Snapshot<Types> {
    let index = applied.last.map_or(0, |last| last.index);
    let meta = SnapshotMeta {
        last_log_id: applied.last,
        last_membership: applied.membership.clone(),
        snapshot_id: format!("{index}"),
    };
    Snapshot { meta, snapshot: Box::new(applied) }
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError<u64>> {
        let applied = self.applied.lock().clone();
        self.keep(&applied).await?;
        Ok(snapshot(applied))
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, EmptyNode>), StorageError<u64>> {
        let applied = self.applied.lock();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answer>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let mut applied = self.applied.lock();
        let answers = entries.into_iter().map(|entry| {
            applied.last = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => Answer::Done,
                EntryPayload::Normal(command) => applied.ledger.apply(command),
                EntryPayload::Membership(membership) => {
                    applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Answer::Done
                }
            }
        });
        Ok(answers.collect())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Applied>, StorageError<u64>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, EmptyNode>,
        snapshot: Box<Applied>,
    ) -> Result<(), StorageError<u64>> {
        self.keep(&snapshot).await?;
        *self.applied.lock() = *snapshot;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError<u64>> {
        let read = self.folder.read("snapshot", SNAPSHOT).await;
        let read = read.map_err(|error| {
            let error = std::io::Error::other(error);
            io_error(ErrorSubject::Snapshot(None), ErrorVerb::Read)(error)
        })?;
        Ok(read.map(snapshot))
    }
}
