//! Questions that nodes ask each other, and their answers.
//!
//! A question is answered where it is read: it may take short locks and no time. One that nobody waits for
//! any more is forgotten, and its answer is dropped.

use std::sync::Arc;

use midflight_message::{NodeId, Pid};
use midflight_runtime::timeout;
use serde::{Deserialize, Serialize};

use crate::info::{NodeStats, ProcessInfo};
use crate::names::registry::RegisterError;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::connect::JoinError;
use crate::peer::wire::{Place, Signal};
use crate::roles::NotAllowed;

/// What a node may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    Whereis(String),
    /// With `again`, another process must have the name.
    Register {
        name: String,
        process: Pid,
        again: bool,
    },
    Unregister(String),
    Process(Place),
    Stats,
}

/// The answers, in the order of the questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Whereis(Option<Pid>),
    Register(Result<(), RegisterError>),
    Unregister(bool),
    Process(Option<Box<ProcessInfo>>),
    Stats(NodeStats),
    NotAllowed(NotAllowed),
}

/// A question to another node has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No link to the node could be made.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The link was lost, or no answer came in time.
    #[error("no answer from node {0}")]
    NoAnswer(NodeId),
    /// This node may not ask that there.
    #[error("node {node}: {source}")]
    NotAllowed {
        /// The node.
        node: NodeId,
        /// Why.
        source: NotAllowed,
    },
}

impl Inner {
    /// Answers a question of a peer's, or one that this node asks itself.
    pub(crate) fn answer(self: &Arc<Self>, question: Question) -> Answer {
        match question {
            Question::Whereis(name) => Answer::Whereis(self.registry.whereis(&name)),
            Question::Register { name, process, again } => {
                Answer::Register(self.register(&name, process, again))
            }
            Question::Unregister(name) => Answer::Unregister(self.unregister(&name)),
            Question::Process(place) => {
                let info = self.info(place, ProcessInfo::LISTED_MAX);
                Answer::Process(info.map(|info| Box::new(info.cut())))
            }
            Question::Stats => Answer::Stats(self.stats()),
        }
    }
}

impl Node {
    /// Asks a node, which may be this one; makes a link where there is none.
    pub(crate) async fn ask(&self, node: NodeId, question: Question) -> Result<Answer, AskError> {
        if node == self.inner.id {
            return Ok(self.inner.answer(question));
        }
        self.connect_node(node).await?;
        let no_answer = || AskError::NoAnswer(node);
        let peer = self.inner.peer(node).ok_or_else(no_answer)?;
        let request = self.inner.next();
        let told = peer.pending.add_question(request).ok_or_else(no_answer)?;
        let _given_up = GivenUp { peer: &peer, request };
        self.inner.signal(&peer, &Signal::Ask { request, question });
        let answer = timeout(&*self.inner.runtime, self.inner.limits.connect_timeout, told).await;
        match answer.map_err(|_elapsed| no_answer())?.map_err(|_lost| no_answer())? {
            Answer::NotAllowed(source) => Err(AskError::NotAllowed { node, source }),
            answer => Ok(answer),
        }
    }
}

/// Takes a question back when nobody waits for its answer any more.
struct GivenUp<'a> {
    peer: &'a Peer,
    request: u64,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        drop(self.peer.pending.take_question(self.request));
    }
}
