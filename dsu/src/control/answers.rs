//! Answers about the node, and starting processes.

use std::collections::BTreeMap;

use super::Control;
use super::drain::DRAINED;
use crate::code_server::with_sources;
use crate::protocol::{CatchingUp, Start, Started, Status};
use crate::versions::Behind;

/// Processes started or listed by one request.
pub(super) const AT_ONCE_MAX: u32 = 100_000;

impl Control {
    pub(super) fn start(&self, request: &Start) -> Started {
        let mut pids = Vec::new();
        if self.is_drained() {
            return Started { pids, refused: Some(DRAINED.into()) };
        }
        if request.count > AT_ONCE_MAX {
            let refused = format!("one request starts at most {AT_ONCE_MAX} processes");
            return Started { pids, refused: Some(refused) };
        }
        for _ in 0..request.count {
            match self.server.start(&request.behaviour, &request.start) {
                Ok(pid) => pids.push(pid),
                Err(error) => {
                    let error = with_sources(&error);
                    tracing::warn!(behaviour = request.behaviour, error, "not started");
                    return Started { pids, refused: Some(error) };
                }
            }
        }
        Started { pids, refused: None }
    }

    pub(super) fn status(&self) -> Status {
        let node = self.server.node();
        let mut refused = BTreeMap::<_, u64>::new();
        for count in node.refused().into_iter().filter(|count| !count.at_send) {
            *refused.entry((count.type_name, count.from_version)).or_default() += count.times;
        }
        let refused = refused.into_iter();
        let committed = self.server.versions().committed();
        let committed = committed.all().map(|(name, it)| (name.to_owned(), it.version, it.number));
        Status {
            node: node.name().to_owned(),
            id: node.id().to_string(),
            address: node.address().map(|address| address.to_string()),
            processes: node.process_count() as u64,
            peers: node.peers().into_iter().map(|peer| peer.name).collect(),
            members: node.members().into_iter().map(|m| (m.name, m.address)).collect(),
            versions: self.version_statuses(),
            refused: refused.map(|((name, version), times)| (name, version, times)).collect(),
            differences: self.server.differences(),
            catching_up: self.server.versions().behind().into_iter().map(catching_up).collect(),
            committed: committed.collect(),
            not_kept: self.server.recording_fault(),
            held_up: self.server.held_up(),
        }
    }
}

fn catching_up((bundle, behind): (String, Behind)) -> CatchingUp {
    let Behind { standing, at_name, why, .. } = behind;
    CatchingUp { bundle, version: standing.version, number: standing.number, from: at_name, why }
}
