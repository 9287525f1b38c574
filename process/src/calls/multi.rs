//! One call to a name on several nodes.

use std::task::Poll;
use std::time::Duration;

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
        let call = |node| {
            let call = self.call((name, node), message.clone(), timeout);
            (node, Box::pin(call), None)
        };
        let mut calls: Vec<_> = nodes.into_iter().map(call).collect();
        // All by the process's own waker, by which it is polled anyway: `join_all` would have one for each
        // of many, and everything that comes would wake them all.
        std::future::poll_fn(|cx| {
            let mut all = Poll::Ready(());
            for (_, call, result) in calls.iter_mut().filter(|(_, _, result)| result.is_none()) {
                match call.as_mut().poll(cx) {
                    Poll::Ready(replied) => *result = Some(replied),
                    Poll::Pending => all = Poll::Pending,
                }
            }
            all
        })
        .await;
        let mut all = MultiReply { replies: Vec::new(), failures: Vec::new() };
        for (node, _, result) in calls {
            match result {
                Some(Ok(reply)) => all.replies.push((node, reply)),
                Some(Err(error)) => all.failures.push((node, error)),
                None => unreachable!("all have been waited for"),
            }
        }
        all
    }
}
