//! What nodes and operators say to a node's control process: code travels as typed messages, like
//! everything else.
//!
//! The control process is registered as [`CONTROL`]. All requests are calls.

mod gates;
mod history;
mod letters;
mod numbers;
mod processes;
mod relocation;
mod rollouts;
mod takes;
mod trace;
mod versions;

use std::time::Duration;

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::rollout::gates::Gates;
use crate::rollout::ledger::Ticket;
use crate::rollout::waves::Step;

pub use gates::{GateStatus, Measure, Measured, Sides};
pub use history::{ChangeStatus, Changes, HistoryRequest, Rollback};
pub use letters::{LetterStatus, Letters, LettersReply, LettersRequest, RefusedStatus, Shown};
pub use numbers::{Numbers, NumbersRequest, PeerNumbers};
pub use processes::{ProcessStatus, Processes, ProcessesRequest, Unreceived, Wait};
pub use relocation::{
    Answer, Came, Come, Drain, Drained, Left, MayCome, Relocate, Relocated, Stays,
};
pub use rollouts::{
    Driven, Propose, Proposed, Rollouts, RolloutsRequest, Voted, VoterCall, VoterSays, Wanting,
    Wish, Wished,
};
pub use takes::{Takes, TakesReply};
pub use trace::{TraceReply, TraceRequest};
pub use versions::{CatchingUp, HolderStatus, VersionDifference, VersionStatus};

/// The name of every node's control process.
pub const CONTROL: &str = "midflight.control";

/// Bytes of a bundle in one message: small enough to let other messages through, large enough that
/// the messages themselves cost nothing.
pub const CHUNK_BYTES: usize = 64 * 1_024;

/// A bundle's content address, in hexadecimal.
pub type Address = String;

/// A duration as messages say it, in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Announces a bundle that the sender is going to send in chunks. The reply is [`Wanted`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Offer", version = 1)]
pub struct Offer {
    /// The bundle.
    pub address: Address,
    /// The whole file's size, in bytes.
    pub size: u64,
}

/// Whether a bundle is wanted, and from where on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Wanted", version = 1)]
pub enum Wanted {
    /// It is here already.
    No,
    /// Send from this byte on.
    From(u64),
    /// It is refused, with the reason.
    Refused(String),
}

/// A part of an offered bundle. The reply is [`Wanted`]: the next byte wanted, or `No` when the
/// bundle is whole and has been verified.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Chunk", version = 1)]
pub struct Chunk {
    /// The bundle.
    pub address: Address,
    /// Where in the file it begins.
    pub offset: u64,
    /// At most [`CHUNK_BYTES`].
    pub bytes: Vec<u8>,
}

/// Asks a node for a part of a bundle it has. The reply is [`Part`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Fetch", version = 1)]
pub struct Fetch {
    /// The bundle.
    pub address: Address,
    /// Where in the file to begin.
    pub offset: u64,
}

/// A part of a bundle.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Part", version = 1)]
pub struct Part {
    /// The whole file's size, in bytes; 0 when the bundle is not here.
    pub size: u64,
    /// At most [`CHUNK_BYTES`]; none at the end.
    pub bytes: Vec<u8>,
}

/// Asks a node to fetch a bundle from another, to check, probe and load it, and to say whether it
/// could run it. Nothing runs in it yet. The reply is [`Vote`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Stage", version = 1)]
pub struct Stage {
    /// The bundle.
    pub address: Address,
    /// The control process of a node that has it.
    pub from: Pid,
    /// Whether it is to go back to what was current before: then it may be an older release than one that has run.
    #[serde(default)]
    pub goes_back: bool,
}

/// Whether a node could run a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Vote", version = 1)]
pub enum Vote {
    /// It could.
    Yes {
        /// Milliseconds each step took: fetch, check, probe, load.
        millis: [u64; 4],
    },
    /// It could not.
    No(Objection),
}

/// Why a node does not take a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Objection {
    /// The node.
    pub node: String,
    /// At which step: fetch, check, schemas, probe, load, switch.
    pub step: String,
    /// The reason, in words.
    pub reason: String,
    /// The message or state at which versions are incompatible, where that is the reason.
    pub type_name: Option<String>,
    /// Its field, likewise.
    pub field: Option<String>,
}

/// Claims a bundle's name on a node for a rollout: until that is over nobody else's may touch it there. The reply is
/// [`Claimed`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Claim", version = 2)]
pub struct Claim {
    /// Which rollout.
    pub ticket: Ticket,
    /// The name of the node that drives it.
    pub by: String,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Claimed", version = 2)]
pub struct Claimed {
    /// Why it was not granted.
    pub no: Option<String>,
    /// Where it was not granted because the rollout's number is not new to the node: the highest that it knows of.
    pub number: u64,
}

/// Tells a node that a rollout is over. The reply is [`Released`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Release", version = 2)]
pub struct Release {
    /// Which rollout.
    pub ticket: Ticket,
    /// Whether it was committed: then there is no way back from it any more.
    pub done: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Released", version = 1)]
pub struct Released {
    /// Why it has not taken it in yet.
    pub no: Option<String>,
}

/// Asks a node to run a staged bundle: new processes start in it, and the policy says what becomes of
/// those of other versions. The reply is [`Activated`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Activate", version = 2)]
pub struct Activate {
    /// The bundle.
    pub address: Address,
    /// Which rollout it is part of; it has claimed the bundle's name.
    pub ticket: Ticket,
    /// What becomes of the processes of other versions.
    #[serde(default)]
    pub policy: Policy,
    /// Where it is a way back that a node has taken by itself.
    #[serde(default)]
    pub back: Option<Back>,
}

/// That a version has failed on probation, and that all go back from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Back {
    /// The bundle that failed.
    pub from: Address,
    /// Why.
    pub why: String,
}

/// Asks a node to take back what a deployment has activated, if it has: every process goes back to
/// where it came from, new ones start in what was current before. The reply is [`Deactivated`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Deactivate", version = 2)]
pub struct Deactivate {
    /// The bundle.
    pub address: Address,
    /// Which rollout.
    pub ticket: Ticket,
    /// Why.
    #[serde(default)]
    pub why: Option<String>,
}

/// What came of taking an activation back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Deactivated", version = 2)]
pub struct Deactivated {
    /// Why not everything is as it was before, if it is not.
    pub objection: Option<Objection>,
    /// Whether that may be over in a moment.
    pub again: bool,
}

/// What came of an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Activated", version = 1)]
pub struct Activated {
    /// Processes that run in the bundle now.
    pub switched: u64,
    /// Why it was undone, if it was: then everything runs as before, where it says nothing else.
    pub undone: Option<Objection>,
    /// Processes that run in it although it was undone: they could not go back.
    pub left: u64,
    /// Milliseconds it took.
    pub millis: u64,
}

/// Asks a node that has a bundle to bring it to every member: all stage it, and when every one
/// could run it, all activate it. The reply is [`Deployed`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Deploy", version = 1)]
pub struct Deploy {
    /// The bundle.
    pub address: Address,
    /// Who wants to be told of each step, by [`Progress`] messages.
    pub watcher: Option<Pid>,
    /// What becomes of the processes of other versions.
    #[serde(default)]
    pub policy: Policy,
    /// In which order, and what stands in between.
    #[serde(default)]
    pub course: Course,
}

/// The order in which a deployment reaches the nodes, and what stands between two waves of them. Unless said otherwise it is
/// one wave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Course {
    /// How far it is after each wave; what is left is the last.
    pub steps: Vec<Step>,
    /// What a wave must show before the next one follows.
    pub gates: Option<Gates>,
}

/// A step of a deployment is done on a node.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Progress", version = 1)]
pub struct Progress {
    /// The node.
    pub node: String,
    /// `staged`, `activated` or, of a wave, `gate`.
    pub step: String,
    /// More, in words.
    pub detail: String,
}

/// What came of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Deployed", version = 1)]
pub enum Deployed {
    /// Every member runs it.
    Everywhere {
        /// The bundle's name.
        name: String,
        /// Its version.
        version: u32,
        /// Processes switched on all nodes.
        switched: u64,
        /// The nodes.
        nodes: Vec<String>,
    },
    /// Nobody runs it; everything is as it was.
    Refused(Vec<Objection>),
    /// The nodes are not all as one: some could not be reached in the middle of the switch, or could
    /// not wholly go back after another one's no.
    Partly {
        /// Nodes that run it, or part of whose processes may.
        nodes: Vec<String>,
        /// What went wrong, and on which node.
        missing: Vec<Objection>,
    },
}

/// Asks a node to start processes of a behaviour. The reply is [`Started`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Start", version = 1)]
pub struct Start {
    /// The behaviour.
    pub behaviour: String,
    /// How many.
    pub count: u32,
    /// The encoded message from which each starts.
    pub start: Vec<u8>,
}

/// Processes that were started.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Started", version = 1)]
pub struct Started {
    /// The processes.
    pub pids: Vec<Pid>,
    /// Why there are not as many as asked for.
    pub refused: Option<String>,
}

/// Asks how a node is. The reply is [`Status`].
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.StatusRequest", version = 1)]
pub struct StatusRequest;

/// How a node is.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.Status", version = 1)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// Its incarnation.
    pub id: String,
    /// Its address.
    pub address: Option<String>,
    /// Its processes, all kinds.
    pub processes: u64,
    /// Nodes it has a link to, by name.
    pub peers: Vec<String>,
    /// Members it knows, by name, with their address.
    pub members: Vec<(String, Option<String>)>,
    /// Versions that are loaded.
    pub versions: Vec<VersionStatus>,
    /// Messages that were not taken: type, sender's version, how often.
    pub refused: Vec<(String, u32, u64)>,
    /// Where nodes that this one has a link to run other versions than it does.
    #[serde(default)]
    pub differences: Vec<VersionDifference>,
    /// What the cluster has decided to run and this node has yet to follow.
    #[serde(default)]
    pub catching_up: Vec<CatchingUp>,
    /// What was decided, as far as this node knows: bundle, version, number of the decision.
    #[serde(default)]
    pub committed: Vec<(String, u32, u64)>,
    /// Why the node does not keep what is committed, if it does not.
    #[serde(default)]
    pub not_kept: Option<String>,
    /// Who holds up processes that are to change together.
    #[serde(default)]
    pub held_up: Vec<String>,
}
