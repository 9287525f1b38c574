//! The decision log, kept by the cluster's declared voters: one, three or five nodes, of which a majority must live for
//! anything to be decided (R4). A cluster that declares none has a log for each node that drives rollouts: that node is its
//! one voter.
//!
//! The consensus is `openraft`'s. Here is what it leaves to its user: files (`store`), the state that the log is about
//! (`machine`), calls between voters (`network`), and tasks, time and chance (`runtime`).

mod machine;
mod network;
mod runtime;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use midflight_process::Node;
use midflight_runtime::timeout;
use openraft::error::{ClientWriteError, InitializeError, RaftError};
use openraft::storage::SnapshotMeta;
use openraft::{Config, EmptyNode, Raft, SnapshotPolicy, Vote};
use tokio::sync::watch;

use crate::code_server::with_sources;
use crate::control::others;
use crate::protocol::{Propose, Proposed, Voted, VoterCall, VoterSays, Wish, Wished, millis};
use crate::rollout::ledger::{Answer, Command, Ledger, Party};
use machine::{Applied, Machine};
use network::{Voters, ask, control_of};
pub use store::LogError;
use store::{Folder, LogStore};

openraft::declare_raft_types!(
    /// What the log is made of.
    pub(crate) Types:
        D = Command,
        R = Answer,
        NodeId = u64,
        Node = EmptyNode,
        SnapshotData = Applied,
        AsyncRuntime = runtime::Ours,
);

/// How often the voters' leader is heard of; an election follows when it was not for four to eight times as long.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// How long a voter waits for a majority before it says that there is none.
const MAJORITY_WITHIN: Duration = Duration::from_secs(4);
/// How long one voter may take to answer who proposes something.
const VOTER_WITHIN: Duration = Duration::from_secs(6);
/// Entries after which the log is cut behind a snapshot, and how many stay before it for voters that lag.
const SNAPSHOT_EVERY: u64 = 128;
const KEPT_BEFORE_SNAPSHOT: u64 = 32;
/// Rounds over all voters before who proposes is told that there is no majority.
const ROUNDS: u32 = 3;
/// The time between them.
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// The voters are not a set that can decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are 1, 3 or 5 voters, each named once; not `{}`", .0.join(","))]
pub struct BadVoters(Vec<String>);

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VoterNames(Vec<String>);

impl VoterNames {
    /// These nodes. All nodes of a cluster must name the same.
    ///
    /// # Errors
    /// [`BadVoters`].
    pub fn new(mut names: Vec<String>) -> Result<Self, BadVoters> {
        names.sort();
        let before = names.len();
        names.dedup();
        let are_some = matches!(names.len(), 1 | 3 | 5) && names.len() == before;
        if are_some { Ok(Self(names)) } else { Err(BadVoters(names)) }
    }
}

/// The log could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotDecided {
    /// No majority of the voters answers; whether it was taken in is not known.
    #[error("no majority of the voters {} answers: {why}", voters.join(", "))]
    NoMajority { voters: Vec<String>, why: String },
    /// It never will be.
    #[error("{0}")]
    Refused(String),
}

/// A node's part in the decision log. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Voting {
    node: Node,
    voters: Vec<String>,
    declared: bool,
    /// This node's log, if it is a voter and has begun.
    log: watch::Sender<Option<Log>>,
}

#[derive(Clone)]
struct Log {
    raft: Raft<Types>,
    machine: Machine,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Voting {
    /// The part of a node in the log of `names`; of one's own, where none are named.
    pub(crate) fn new(node: &Node, names: VoterNames) -> Self {
        let VoterNames(mut voters) = names;
        let declared = !voters.is_empty();
        if !declared {
            voters.push(node.name().to_owned());
        }
        Self { node: node.clone(), voters, declared, log: watch::Sender::new(None) }
    }

    /// The voters' names, sorted.
    pub(crate) fn voters(&self) -> &[String] {
        &self.voters
    }

    /// Whether the cluster has declared its voters.
    pub(crate) const fn is_declared(&self) -> bool {
        self.declared
    }

    /// Begins with what is on disk, if this node is a voter.
    pub(crate) async fn begin(&self, data: &Path) -> Result<(), LogError> {
        let Some(own) = self.voters.iter().position(|name| name == self.node.name()) else {
            return Ok(());
        };
        let folder = Folder::new(self.node.runtime().files(), data);
        let store = LogStore::read(folder.clone()).await?;
        let machine = Machine::read(folder).await?;
        let config = Config {
            cluster_name: "midflight".into(),
            heartbeat_interval: millis(HEARTBEAT),
            election_timeout_min: millis(4 * HEARTBEAT),
            election_timeout_max: millis(8 * HEARTBEAT),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
            max_in_snapshot_log_to_keep: KEPT_BEFORE_SNAPSHOT,
            ..Config::default()
        };
        let begin = |error: &dyn std::error::Error| LogError::Begin(error.to_string());
        let config = Arc::new(config.validate().map_err(|error| begin(&error))?);
        let voters = Voters { node: self.node.clone(), names: self.voters.clone() };
        let raft = Raft::new(own as u64, config, voters, store, machine.clone()).await;
        let raft = raft.map_err(|error| begin(&error))?;
        // All voters name the same set, so whoever is first is right; after that it is in the log.
        let all: BTreeMap<u64, EmptyNode> =
            (0..self.voters.len() as u64).map(|voter| (voter, EmptyNode::new())).collect();
        match raft.initialize(all).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(begin(&error)),
        }
        self.log.send_replace(Some(Log { raft, machine }));
        Ok(())
    }

    /// What the log said last here: all that was decided long ago, maybe not what was decided just now.
    pub(crate) fn ledger(&self) -> Ledger {
        self.log.borrow().as_ref().map(|log| log.machine.ledger()).unwrap_or_default()
    }

    /// Whether this node leads the voters, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        let log = self.log.borrow();
        let metrics = log.as_ref().map(|log| log.raft.metrics().borrow().clone());
        metrics.is_some_and(|metrics| metrics.current_leader == Some(metrics.id))
    }

    /// Has the log take in a command, wherever its leader is.
    pub(crate) async fn propose(&self, command: &Command) -> Result<Answer, NotDecided> {
        self.propose_to(&self.voters, command).await
    }

    /// The same with the log of others: of the one node that drives a rollout, where no voters are declared.
    pub(crate) async fn propose_to(
        &self,
        voters: &[String],
        command: &Command,
    ) -> Result<Answer, NotDecided> {
        let mut last = String::from("none was asked");
        for round in 0..ROUNDS {
            if round > 0 {
                self.node.runtime().sleep(ROUND_PAUSE).await;
            }
            let mut order: Vec<_> = voters.to_vec();
            // The nearest first, then whom that one takes for the leader.
            order.sort_by_key(|name| name != self.node.name());
            let mut at = 0;
            while let Some(voter) = order.get(at).cloned() {
                at += 1;
                match self.propose_at(&voter, voters, command).await {
                    Ok(Proposed::Answer(answer)) => return Ok(answer),
                    Ok(Proposed::Refused(why)) => return Err(NotDecided::Refused(why)),
                    Ok(Proposed::NotLeader(leader)) => {
                        last = format!("{voter} does not lead");
                        let asked = |name: &String| order[..at].contains(name);
                        if let Some(leader) = leader.filter(|leader| !asked(leader)) {
                            order.retain(|name| *name != leader);
                            order.insert(at, leader);
                        }
                    }
                    Ok(Proposed::NoMajority(why)) => last = format!("{voter}: {why}"),
                    Err(why) => last = format!("{voter}: {why}"),
                }
            }
        }
        Err(NotDecided::NoMajority { voters: voters.to_vec(), why: last })
    }

    async fn propose_at(
        &self,
        voter: &str,
        voters: &[String],
        command: &Command,
    ) -> Result<Proposed, String> {
        let propose = Propose { voters: voters.to_vec(), command: command.clone() };
        if voter == self.node.name() {
            return Ok(self.proposed(propose).await);
        }
        let control = control_of(&self.node, voter).await?;
        ask(&self.node, control, propose, VOTER_WITHIN).await
    }

    fn named_others(&self, voters: &[String]) -> Option<String> {
        (voters != self.voters).then(|| {
            let (theirs, ours) = (voters.join(","), self.voters.join(","));
            format!("you name the voters {theirs}, and {} names {ours}: all nodes of a cluster name the same", self.node.name())
        })
    }

    /// Somebody proposes a command to this node.
    pub(crate) async fn proposed(&self, propose: Propose) -> Proposed {
        let Propose { voters, command } = propose;
        if let Some(no) = self.named_others(&voters) {
            return Proposed::Refused(no);
        }
        let mut begun = self.log.subscribe();
        let runtime = self.node.runtime();
        let work = async {
            let Ok(log) = begun.wait_for(Option::is_some).await.map(|log| log.clone()) else {
                return Proposed::NoMajority("the log has ended".into());
            };
            let Some(log) = log else { return Proposed::NotLeader(None) };
            match log.raft.client_write(command).await {
                Ok(written) => Proposed::Answer(written.data),
                Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                    let leader = to.leader_id.and_then(|id| usize::try_from(id).ok());
                    Proposed::NotLeader(leader.and_then(|at| self.voters.get(at).cloned()))
                }
                Err(error) => Proposed::NoMajority(with_sources(&error)),
            }
        };
        let late =
            || Proposed::NoMajority("a majority of the voters does not answer in time".into());
        timeout(&**runtime, MAJORITY_WITHIN, work).await.unwrap_or_else(|_elapsed| late())
    }

    /// A voter says something to this one. `from` is the name of its node.
    pub(crate) async fn voter_says(&self, from: Option<&str>, call: VoterCall) -> Voted {
        let VoterCall { voters, says, bytes } = call;
        let no = |why: String| Voted { answer: Vec::new(), no: Some(why) };
        if let Some(why) = self.named_others(&voters) {
            return no(why);
        }
        if !from.is_some_and(|from| self.voters.iter().any(|voter| voter == from)) {
            return no("you are no voter".into());
        }
        let Some(log) = self.log.borrow().clone() else { return no("no voter yet".into()) };
        let answer = match says {
            VoterSays::Append => match postcard::from_bytes(&bytes) {
                Ok(request) => encoded(log.raft.append_entries(request).await),
                Err(error) => Err(error.to_string()),
            },
            VoterSays::Vote => match postcard::from_bytes(&bytes) {
                Ok(request) => encoded(log.raft.vote(request).await),
                Err(error) => Err(error.to_string()),
            },
            VoterSays::Snapshot => match postcard::from_bytes(&bytes) {
                Ok(request) => log.install(request).await,
                Err(error) => Err(error.to_string()),
            },
        };
        answer.map_or_else(no, |answer| Voted { answer, no: None })
    }

    /// Passes on to whoever drives a rollout what an operator wants of it.
    pub(crate) async fn tell(&self, by: &Party, wish: Wish) -> Result<Wished, String> {
        let control = others::control_of(&self.node, by.id).await?;
        ask(&self.node, control, wish, VOTER_WITHIN).await
    }
}

impl Log {
    async fn install(
        &self,
        (vote, meta, snapshot): (Vote<u64>, SnapshotMeta<u64, EmptyNode>, Box<Applied>),
    ) -> Result<Vec<u8>, String> {
        let snapshot = openraft::Snapshot { meta, snapshot };
        encoded(self.raft.install_full_snapshot(vote, snapshot).await)
    }
}

fn encoded<T: serde::Serialize, E: std::error::Error>(
    answer: Result<T, E>,
) -> Result<Vec<u8>, String> {
    let answer = answer.map_err(|error| error.to_string())?;
    postcard::to_stdvec(&answer).map_err(|error| error.to_string())
}
