//! What there is of each version, and letting go of what nothing keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Control;
use crate::code::Mapped;
use crate::code_server::with_sources;
use crate::hash::CodeId;
use crate::protocol::{HolderStatus, VersionStatus};
use crate::versions::{Cause, Holder, Retired, Version};

/// Holders of one version that are listed.
const LISTED_MAX: usize = 16;

impl Control {
    /// Ends the probations whose time is over, and retires what nothing keeps.
    pub(super) fn let_go(&self) {
        let now = self.server.node().runtime().now();
        self.server.versions().look_at_probations(now);
        self.server.versions().look_at_measuring(now);
        self.server.retire();
    }

    /// Removes from the disk what nothing needs, when it is time to.
    pub(super) async fn sweep(&self) {
        if let Err(error) = self.server.sweep().await {
            let error = with_sources(&error);
            tracing::warn!(error, "what nothing needs could not be removed from the disk");
        }
    }

    /// Every version, those that were retired last included.
    pub(super) fn version_statuses(&self) -> Vec<VersionStatus> {
        let mapped: BTreeMap<_, _> =
            self.server.mapped().into_iter().map(|mapped| (mapped.code, mapped)).collect();
        let versions = self.server.versions();
        let all = versions.all();
        let loaded = all.iter().map(|(version, current)| self.loaded(version, *current, &mapped));
        let retired = versions.retired();
        let retired = retired.iter().map(|retired| of_retired(retired, &mapped));
        let mut all: Vec<_> = loaded.chain(retired).collect();
        all.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
        all
    }

    fn loaded(
        &self,
        version: &Arc<Version>,
        current: bool,
        mapped: &BTreeMap<CodeId, Mapped>,
    ) -> VersionStatus {
        let (holders, held) = version.holders(self.server.node(), LISTED_MAX);
        let state = match current {
            true => "current",
            false if version.is_held_by(Cause::Staged) => "staged",
            false if version.is_held_by(Cause::Kept) => "kept",
            false => "retiring",
        };
        let mut holders: Vec<_> = holders.into_iter().map(holder).collect();
        // Nothing that has a name keeps it, and yet it was not retired.
        if held == 0 && !current {
            holders.push(holder(Holder { pid: None, cause: Cause::InUse }));
        }
        VersionStatus {
            name: version.name.clone(),
            version: version.version,
            address: version.address.to_string(),
            current,
            processes: version.process_count() as u64,
            returns: version.returns(),
            failures: version.failures(),
            on_probation: version.is_on_probation(),
            fault: version.fault(),
            mapped: true,
            state: state.to_owned(),
            held: held.max(holders.len()) as u64,
            holders,
            stays: stays(version.code.id(), mapped),
        }
    }
}

fn of_retired(retired: &Retired, mapped: &BTreeMap<CodeId, Mapped>) -> VersionStatus {
    VersionStatus {
        name: retired.name.clone(),
        version: retired.version,
        address: retired.address.to_string(),
        current: false,
        processes: 0,
        returns: 0,
        failures: 0,
        on_probation: false,
        fault: None,
        mapped: mapped.contains_key(&retired.code),
        state: "retired".to_owned(),
        holders: Vec::new(),
        held: 0,
        stays: stays(retired.code, mapped),
    }
}

fn stays(code: CodeId, mapped: &BTreeMap<CodeId, Mapped>) -> Option<String> {
    mapped.get(&code)?.stays.as_ref().map(ToString::to_string)
}

fn holder(holder: Holder) -> HolderStatus {
    HolderStatus { pid: holder.pid, cause: holder.cause.name().to_owned() }
}
