//! Calling a registered function: a worker runs it, here or on another node, and its result comes back.

use std::time::Duration;

use midflight_message::{Message, NodeId, Pid};

use crate::calls::CallGuard;
use crate::context::Context;
use crate::error::CallError;
use crate::functions::Function;
use crate::functions::spawn_error::SpawnOnError;
use crate::functions::spawn_on::{Order, SpawnOptions};
use crate::mailbox::envelope::Refusal;
use crate::peer::wire::Place;
use crate::send::reply_to::read_reply;

/// A called function has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallOnError {
    /// The worker was not started.
    #[error(transparent)]
    NotSpawned(#[from] SpawnOnError),
    /// The result did not come in time. The worker was ended.
    #[error("no result from node {node} within {after:?}")]
    TimedOut {
        /// The node.
        node: NodeId,
        /// The caller's limit.
        after: Duration,
    },
    /// The worker panicked or was ended, or the link to it was lost.
    #[error("the worker on node {node} failed: {reason}")]
    Failed {
        /// The node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// The result cannot be read as the type the caller wants.
    #[error("the result of node {node} cannot be read: {refusal}")]
    Unreadable {
        /// The node.
        node: NodeId,
        /// Why.
        refusal: Refusal,
    },
}

impl Context {
    /// Runs a registered function on `node`, which may be this one, in a process of its own, and answers
    /// its result; waits for `timeout` at the most. A panic there is an error here and ends nobody else.
    ///
    /// # Errors
    /// See [`CallOnError`].
    ///
    /// # Cancel safety
    /// A dropped future ends the worker, as does the end of this process or of the link to `node`.
    pub async fn call_on<A: Message, R: Message>(
        &self,
        node: NodeId,
        function: Function<A, R>,
        argument: A,
        timeout: Duration,
    ) -> Result<R, CallOnError> {
        Box::pin(self.call_worker(node, function, argument, timeout)).await
    }

    async fn call_worker<A: Message, R: Message>(
        &self,
        node: NodeId,
        function: Function<A, R>,
        argument: A,
        timeout: Duration,
    ) -> Result<R, CallOnError> {
        let Place { index, generation } = Place::NOBODY;
        let to = Pid { node, index, generation };
        let guard = CallGuard::new(self, to, self.now());
        let options = SpawnOptions::new().timeout(timeout);
        let order = Order::new(&self.node, self.place, node, function.name(), options);
        let order = order.answering(guard.call);
        let deadline = order.deadline;
        let (spawned, _no_port) = order.carry_out(Box::new(argument)).await?;
        let mut worker = Worker { context: self, pid: spawned.pid, is_done: false };
        let reply = guard.reply(deadline).await;
        worker.is_done = reply.is_some();
        let content = match reply.ok_or(CallOnError::TimedOut { node, after: timeout })? {
            Ok(content) => content,
            Err(refusal) => {
                let reason = match refusal {
                    Refusal::Aborted { reason } => reason,
                    other => other.to_string(),
                };
                return Err(CallOnError::Failed { node, reason });
            }
        };
        read_reply(self.node.inner.clone(), worker.pid, content).await.map_err(
            |error| match error {
                CallError::Unreadable { refusal, .. } => CallOnError::Unreadable { node, refusal },
                other => CallOnError::Failed { node, reason: other.to_string() },
            },
        )
    }
}

/// A worker that is ended when nobody waits for its result any more.
struct Worker<'a> {
    context: &'a Context,
    pid: Pid,
    is_done: bool,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let why = "nobody waits for its result any more".into();
            self.context.node.inner.kill(self.context.place, self.pid, why);
        }
    }
}
