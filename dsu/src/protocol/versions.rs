//! What a node says of its versions of code.

use midflight_message::{Pid, Schema};
use serde::{Deserialize, Serialize};

use super::Address;

/// Another node runs another version of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct VersionDifference {
    /// The bundle's name.
    pub bundle: String,
    /// The other node's name.
    pub node: String,
    /// The version here; `None`: the bundle is not here.
    pub here: Option<u32>,
    /// The version there.
    pub there: Option<u32>,
}

/// A version of a bundle on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct VersionStatus {
    /// The bundle's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its content address.
    pub address: Address,
    /// Whether new processes start in it.
    pub current: bool,
    /// Processes that run in it.
    pub processes: u64,
    /// How many processes its code has failed while they were on probation, so that they went back.
    #[serde(default)]
    pub returns: u64,
    /// Messages and processes that it has failed while it was on probation as a whole.
    #[serde(default)]
    pub failures: u64,
    /// Whether it is on probation: it goes back by itself when too much fails.
    #[serde(default)]
    pub on_probation: bool,
    /// Why it goes back by itself, or should have and could not.
    #[serde(default)]
    pub fault: Option<String>,
    /// Whether its library is in memory.
    pub mapped: bool,
    /// `current`, `staged`, `kept`, `retiring` (when nothing in `holders` is left it is retired) or `retired`.
    #[serde(default)]
    pub state: String,
    /// The first of what keeps it.
    #[serde(default)]
    pub holders: Vec<HolderStatus>,
    /// How many things keep it.
    #[serde(default)]
    pub held: u64,
    /// Why its library stays in memory, where it is never unloaded.
    #[serde(default)]
    pub stays: Option<String>,
}

/// Something that keeps a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct HolderStatus {
    /// The process whose it is, if it is one's.
    pub pid: Option<Pid>,
    /// `process`, `running`, `suspended`, `frozen`, `probation`, `undo`, `staged`, `kept` or `in use`.
    pub cause: String,
}

/// Something that was decided and that a node has yet to follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct CatchingUp {
    /// The bundle's name.
    pub bundle: String,
    /// The version that was decided.
    pub version: u32,
    /// The number of the decision.
    pub number: u64,
    /// The node from which it is fetched.
    pub from: String,
    /// Why that did not work so far, if it has been tried.
    pub why: Option<String>,
}
