//! One call to a name on several nodes.

use std::time::Duration;

use futures_util::future::join_all;
use midflight_message::{Message, NodeId};

use crate::context::Context;
use crate::error::CallError;

/// What became of a [`Context::multi_call`]: every node that was named is in one of the two, in the order
/// in which they were named.
#[derive(Debug)]
#[non_exhaustive]
pub struct MultiReply<R> {
    /// The nodes whose process replied, with its reply.
    pub replies: Vec<(NodeId, R)>,
    /// The others, with the reason.
    pub failures: Vec<(NodeId, CallError)>,
}

impl Context {
    /// Calls the process with this name on each of the nodes at once, this one perhaps among them, and waits
    /// for `timeout` at the most for all of them together (Erlang's `gen_server:multi_call`). A node that
    /// is out of reach, has no such process or does not reply in time fails alone.
    ///
    /// # Cancel safety
    /// A dropped future drops the replies. The requests may be handled all the same.
    pub async fn multi_call<M: Message + Clone, R: Message>(
        &self,
        nodes: impl IntoIterator<Item = NodeId>,
        name: &str,
        message: M,
        timeout: Duration,
    ) -> MultiReply<R> {
        let calls = nodes.into_iter().map(|node| {
            let call = self.call((name, node), message.clone(), timeout);
            async move { (node, call.await) }
        });
        let mut all = MultiReply { replies: Vec::new(), failures: Vec::new() };
        for (node, result) in join_all(calls).await {
            match result {
                Ok(reply) => all.replies.push((node, reply)),
                Err(error) => all.failures.push((node, error)),
            }
        }
        all
    }
}
