//! What nodes say to each other about processes that move, and how a frame says for whom it is handed on.

use midflight_message::{NodeId, Pid};
use midflight_transport_api::frame;
use serde::{Deserialize, Serialize};

use super::directory::Location;
use crate::{Disconnected, Down, ExitReason, Exited, NodeDown, Undelivered};

/// How often a message is handed on: a process that moves faster than what is sent to it is not followed for
/// ever.
pub(crate) const HOPS_MAX: u8 = 16;

/// Says something between the cells that a process has lived in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The sender has given `process` up: it begins in this epoch.
    Begin { process: Pid, epoch: u64 },
    /// The process that the receiver has given up has begun in this epoch.
    Begun { epoch: u64 },
    /// The process lives there, says who has given it up.
    Lives { process: Pid, at: Location },
    /// Somebody has ended the process.
    End { reason: ExitReason },
    /// What the node tells the process.
    Told { notice: Notice },
}

/// What nodes tell their processes, which no schema is needed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Notice {
    Down(Down),
    Exited(Exited),
    NodeDown(NodeDown),
    Undelivered(Undelivered),
    Disconnected(Disconnected),
}

/// The extension of a message's frame that is handed on: who has sent it first, and how often it has been handed
/// on. Critical: who does not know it would take the cell that hands it on for its sender.
const EXTENSION: u8 = 2 | frame::CRITICAL;
const VALUE_LEN: usize = 17;

/// For whom a message is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behalf {
    /// Its sender; `None`: it was sent from outside any process.
    pub(crate) origin: Option<Pid>,
    /// How often it has been handed on, this time included.
    pub(crate) hops: u8,
}

impl Behalf {
    /// Whether a receiver must know extensions of this kind, and this one does.
    pub(crate) const fn is_known(kind: u8) -> bool {
        kind == EXTENSION
    }

    pub(crate) fn put(self, extensions: &mut Vec<u8>) {
        let nobody = Pid { node: NodeId(0), index: u32::MAX, generation: u32::MAX };
        let origin = self.origin.unwrap_or(nobody);
        let mut value = [0; VALUE_LEN];
        value[..8].copy_from_slice(&origin.node.0.to_le_bytes());
        value[8..12].copy_from_slice(&origin.index.to_le_bytes());
        value[12..16].copy_from_slice(&origin.generation.to_le_bytes());
        value[16] = self.hops;
        frame::push_extension(extensions, EXTENSION, &value);
    }

    /// Finds it among a frame's extensions. `Err`: it is not what it should be.
    pub(crate) fn find(extensions: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some(found) = frame::extensions(extensions).find(|entry| entry.kind == EXTENSION)
        else {
            return Ok(None);
        };
        Self::read(found.value).map(Some).ok_or("a message that is handed on for nobody")
    }

    fn read(value: &[u8]) -> Option<Self> {
        let (node, rest) = value.split_first_chunk::<8>()?;
        let (index, rest) = rest.split_first_chunk::<4>()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        let &[hops] = rest else { return None };
        let origin = Pid {
            node: NodeId(u64::from_le_bytes(*node)),
            index: u32::from_le_bytes(*index),
            generation: u32::from_le_bytes(*generation),
        };
        let origin = (origin.index != u32::MAX).then_some(origin);
        (1..=HOPS_MAX).contains(&hops).then_some(Self { origin, hops })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_whom_a_message_is_handed_on_is_read_as_it_was_written() {
        let pid = Pid { node: NodeId(0x0102), index: 3, generation: 4 };
        for origin in [Some(pid), None] {
            let behalf = Behalf { origin, hops: 5 };
            let mut bytes = Vec::new();
            behalf.put(&mut bytes);
            assert_eq!(Behalf::find(&bytes), Ok(Some(behalf)));
        }
        let mut bytes = Vec::new();
        Behalf { origin: Some(pid), hops: 5 }.put(&mut bytes);
        assert_eq!(bytes, [130, 17, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]);
        assert_eq!(Behalf::find(&[]), Ok(None));
    }

    #[test]
    fn one_that_was_handed_on_too_often_or_is_cut_short_is_refused() {
        let mut bytes = Vec::new();
        Behalf { origin: None, hops: HOPS_MAX + 1 }.put(&mut bytes);
        assert!(Behalf::find(&bytes).is_err());
        let mut short = Vec::new();
        frame::push_extension(&mut short, EXTENSION, &[0; 16]);
        assert!(Behalf::find(&short).is_err());
    }
}
