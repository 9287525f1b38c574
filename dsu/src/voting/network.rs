//! What voters say to each other: ordinary typed messages to each other's control processes (R4).

use std::future::Future;
use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Node, NodeId, Pid};
use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;
use openraft::{EmptyNode, RaftNetwork, RaftNetworkFactory, Vote};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Types;
use crate::control::others;
use crate::protocol::{Voted, VoterCall, VoterSays};

/// Calls to voters, by their numbers.
#[derive(Debug, Clone)]
pub(super) struct Voters {
    pub(super) node: Node,
    /// Sorted: a voter's number is its place.
    pub(super) names: Vec<String>,
}

/// Calls to one voter.
#[derive(Debug)]
pub(super) struct Voter {
    voters: Voters,
    name: String,
    /// Where it was last.
    control: Mutex<Option<Pid>>,
}

/// A voter does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{node}: {why}")]
pub(super) struct Silent {
    node: String,
    why: String,
}

impl RaftNetworkFactory<Types> for Voters {
    type Network = Voter;

    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Voter {
        let name = usize::try_from(target).ok().and_then(|at| self.names.get(at));
        Voter {
            voters: self.clone(),
            name: name.cloned().unwrap_or_default(),
            control: Mutex::default(),
        }
    }
}

/// The living node of that name that this one knows.
pub(super) fn member(node: &Node, name: &str) -> Option<NodeId> {
    if node.name() == name {
        return Some(node.id());
    }
    let mut members = node.members().into_iter().filter(|member| member.name == name);
    members.next_back().map(|member| member.id)
}

/// The control process of the node of that name.
pub(super) async fn control_of(node: &Node, name: &str) -> Result<Pid, String> {
    let id = member(node, name).ok_or("it is no member that this node knows")?;
    others::control_of(node, id).await
}

impl Voter {
    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        says: VoterSays,
        request: &Q,
        within: Duration,
    ) -> Result<A, Silent> {
        let silent = |why: String| Silent { node: self.name.clone(), why };
        let bytes = postcard::to_stdvec(request).map_err(|error| silent(error.to_string()))?;
        let call = VoterCall { voters: self.voters.names.clone(), says, bytes };
        let known = *self.control.lock();
        let control = match known {
            Some(control) => control,
            None => control_of(&self.voters.node, &self.name).await.map_err(silent)?,
        };
        let voted = ask(&self.voters.node, control, call, within).await;
        *self.control.lock() = voted.is_ok().then_some(control);
        let Voted { answer, no } = voted.map_err(silent)?;
        match no {
            Some(no) => Err(silent(no)),
            None => postcard::from_bytes(&answer).map_err(|error| silent(error.to_string())),
        }
    }
}

/// Calls a process of whatever node, from a process of its own.
pub(super) async fn ask<M: Message, R: Message>(
    node: &Node,
    to: Pid,
    message: M,
    within: Duration,
) -> Result<R, String> {
    let asked = node.run("midflight.log-call", move |cx| async move {
        cx.call::<M, R>(to, message, within).await.map_err(|error| error.to_string())
    });
    asked.await.unwrap_or_else(|| Err("this node has closed".into()))
}

fn unreachable<E: std::error::Error>(
    silent: Silent,
) -> RPCError<u64, EmptyNode, RaftError<u64, E>> {
    RPCError::Unreachable(Unreachable::new(&silent))
}

impl RaftNetwork<Types> for Voter {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, EmptyNode, RaftError<u64>>> {
        self.call(VoterSays::Append, &request, option.hard_ttl()).await.map_err(unreachable)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, EmptyNode, RaftError<u64>>> {
        self.call(VoterSays::Vote, &request, option.hard_ttl()).await.map_err(unreachable)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<Types>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let request = (vote, snapshot.meta, snapshot.snapshot);
        let sent = self.call(VoterSays::Snapshot, &request, option.hard_ttl()).await;
        sent.map_err(|silent| StreamingError::Unreachable(Unreachable::new(&silent)))
    }
}
