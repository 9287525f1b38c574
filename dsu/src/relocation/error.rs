//! Why a process does not move.

use std::time::Duration;

use midflight_message::{NodeId, Pid};
use midflight_process::{FreezeError, NotPacked};

use super::STATE_MAX;
use crate::code::CodeError;

/// A process does not move; it goes on where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelocateError {
    /// Nobody has it.
    #[error("{0} does not live")]
    NoProcess(Pid),
    /// Another node has it, or may know who has.
    #[error("{pid} does not live on this node: ask node {node}")]
    Elsewhere {
        /// The process.
        pid: Pid,
        /// Where to ask.
        node: NodeId,
    },
    /// It is there already.
    #[error("{0} lives there already")]
    Here(Pid),
    /// Only behaviours move: the state of a function lies in its future.
    #[error("{pid} is no process of a bundle's behaviour and cannot move: it runs `{what}`")]
    NoBehaviour {
        /// The process.
        pid: Pid,
        /// What it runs.
        what: String,
    },
    /// Its new code is on probation here, with the way back.
    #[error("{0} is on probation after an update: it can move when that is over")]
    Probation(Pid),
    /// It was switched to another version in the middle.
    #[error("{0} was switched to another version meanwhile: try again")]
    Changed(Pid),
    /// It does not come to rest: it is in a suspended handler, for one.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// Its state cannot be saved.
    #[error("the state of {pid} cannot be saved")]
    Save {
        /// The process.
        pid: Pid,
        /// Why.
        #[source]
        source: CodeError,
    },
    /// Saving its state took too long: it stands still until that ends.
    #[error("the state of {pid} was not saved within {after:?}; it stands still until it is")]
    Saving {
        /// The process.
        pid: Pid,
        /// The limit.
        after: Duration,
    },
    /// Its state is too large to move.
    #[error("the state of {pid} has {bytes} bytes; {STATE_MAX} move at the most")]
    TooLarge {
        /// The process.
        pid: Pid,
        /// How many it has.
        bytes: usize,
    },
    /// Something it has set for later cannot move.
    #[error("{pid} cannot move")]
    Pack {
        /// The process.
        pid: Pid,
        /// Why.
        #[source]
        source: NotPacked,
    },
    /// The target does not answer.
    #[error("node {node} cannot take it: {why}")]
    Unreachable {
        /// The target.
        node: NodeId,
        /// Why.
        why: String,
    },
    /// It was given up, and the target has not said that it has begun there: it lives there, or is lost. Those who
    /// watch it are told which.
    #[error("{pid} was given up for node {node}, which has not said that it has begun there")]
    Unknown {
        /// The process.
        pid: Pid,
        /// The target.
        node: NodeId,
    },
    /// The target does not take it.
    #[error("node {node} does not take it: {why}")]
    Refused {
        /// The target.
        node: NodeId,
        /// Why.
        why: String,
    },
}
