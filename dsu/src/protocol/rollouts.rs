//! Rollouts: what nodes say to the voters, voters to each other, and operators to both.

use midflight_message::{Message, Schema};
use serde::{Deserialize, Serialize};

use super::GateStatus;
use crate::rollout::ledger::{Answer, Command, Name};

/// Has the decision log take in a command. The reply is [`Proposed`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Propose", version = 1)]
pub struct Propose {
    /// The voters' names, sorted: whoever names others is refused.
    pub voters: Vec<String>,
    /// The command.
    pub command: Command,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Proposed", version = 1)]
pub enum Proposed {
    /// It was taken in, and answered.
    Answer(Answer),
    /// This node does not lead the voters; who does, as far as it knows.
    NotLeader(Option<String>),
    /// No majority of the voters answers; whether it was taken in is not known.
    NoMajority(String),
    /// It never will be.
    Refused(String),
}

/// What a voter says to another. The reply is [`Voted`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.VoterCall", version = 1)]
pub struct VoterCall {
    /// The voters' names, sorted.
    pub voters: Vec<String>,
    /// Which of the consensus' requests it is.
    pub says: VoterSays,
    /// The request, as `openraft` 0.9 has it, in postcard.
    pub bytes: Vec<u8>,
}

/// The requests of the consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum VoterSays {
    /// Entries for the log, or a heartbeat.
    Append,
    /// Asks for a vote.
    Vote,
    /// A snapshot, whole.
    Snapshot,
}

/// A voter's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Voted", version = 1)]
pub struct Voted {
    /// The consensus' answer, in postcard.
    pub answer: Vec<u8>,
    /// Why there is none.
    pub no: Option<String>,
}

/// Asks about rollouts. The reply is [`Rollouts`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.RolloutsRequest", version = 1)]
pub struct RolloutsRequest {
    /// Of this bundle alone.
    pub bundle: Option<String>,
}

/// Rollouts that are open, and those that were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Rollouts", version = 1)]
pub struct Rollouts {
    /// The voters; one that is the node itself where none were declared.
    pub voters: Vec<String>,
    /// What their log says, by the bundles' names.
    pub names: Vec<(String, Name)>,
    /// What this node drives.
    pub driven: Vec<Driven>,
    /// Rollouts in whose middle this node waits for a decision: bundle and number.
    pub waiting: Vec<(String, u64)>,
}

/// A rollout as the node that drives it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Driven {
    /// The bundle's name.
    pub bundle: String,
    /// The rollout's number.
    pub number: u64,
    /// `claim`, `stage`, `wave 1`, `gate of wave 1`, `held after wave 1`, `paused before wave 2`, `decide`, `back`, `settle` or
    /// `close`.
    pub step: String,
    /// How long it has been in that step, in milliseconds.
    pub millis: u64,
    /// The nodes it waits for.
    pub waits_for: Vec<String>,
    /// Why the log does not decide, while it does not; or what a person is to decide.
    pub blocked: Option<String>,
    /// What the gates have said last.
    #[serde(default)]
    pub gates: Vec<GateStatus>,
}

/// An operator wants a rollout to stop before its next wave, to go on, or to be aborted. The reply is [`Wished`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Wish", version = 1)]
pub struct Wish {
    /// The bundle's name.
    pub bundle: String,
    /// What.
    pub wish: Wanting,
    /// Whether the log has it already: then it is passed on to whoever drives the rollout.
    pub is_written: bool,
    /// Why, where it is no operator who wants it.
    #[serde(default)]
    pub why: Option<String>,
}

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum Wanting {
    /// Stop before the next wave.
    Pause,
    /// Go on.
    Resume,
    /// Go back.
    Abort,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Wished", version = 1)]
pub enum Wished {
    /// It is written down; whoever drives it does so.
    Done,
    /// No rollout of the name is open.
    NoRollout,
    /// It is decided already.
    Decided {
        /// Whether it was committed.
        commit: bool,
    },
    /// The log cannot be asked.
    NotAsked(String),
}
