//! Several replies that are waited for together.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::Message;

use super::PendingReply;
use crate::error::CallError;
use crate::timers::deadline::Deadline;

/// What became of a request, with the label it was added under.
pub type Labelled<L, R> = (L, Result<R, CallError>);

/// Replies that are to come, each with a label by which whoever waits tells them apart (Erlang's request
/// identifier collections). Each has its own deadline; dropped, all calls are forgotten.
///
/// ```
/// # use midflight_process::{CallError, Context, PendingReplies, Pid};
/// # use std::time::Duration;
/// /// Asks all, and answers what the first says that does answer.
/// async fn first(cx: &Context, servers: Vec<Pid>) -> Option<(Pid, u64)> {
///     let mut asked = PendingReplies::new();
///     for server in servers {
///         if let Ok(reply) = cx.send_request(server, 1_u64, Duration::from_secs(1)).await {
///             asked.add(server, reply);
///         }
///     }
///     while let Some((server, reply)) = asked.receive().await {
///         if let Ok(answer) = reply {
///             return Some((server, answer));
///         }
///     }
///     None
/// }
/// ```
#[must_use = "replies that nobody waits for are dropped"]
pub struct PendingReplies<L, R> {
    waiting: Vec<(L, PendingReply<R>)>,
}

impl<L, R: Message> PendingReplies<L, R> {
    /// None yet.
    pub const fn new() -> Self {
        Self { waiting: Vec::new() }
    }

    /// Adds one.
    pub fn add(&mut self, label: L, reply: PendingReply<R>) {
        self.waiting.push((label, reply));
    }

    /// How many have not answered.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all have answered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for the next that answers, whichever it is; of several that have, the one that was added first.
    /// `None`: all have.
    ///
    /// # Cancel safety
    /// A dropped future has taken nothing.
    pub fn receive(&mut self) -> impl Future<Output = Option<Labelled<L, R>>> {
        std::future::poll_fn(|cx| self.poll_receive(cx))
    }

    /// As [`PendingReplies::receive`], for `timeout` at the most; zero takes what is there. `None` also when none
    /// has answered by then: they can be waited for again.
    ///
    /// # Cancel safety
    /// A dropped future has taken nothing.
    pub async fn receive_timeout(&mut self, timeout: Duration) -> Option<Labelled<L, R>> {
        let (_, first) = self.waiting.first()?;
        let cx = first.context().again();
        let deadline = Deadline::after(&cx.node.inner, timeout);
        let answered = cx.waits().within(deadline, self.receive()).await;
        if answered.is_none() {
            self.waiting.iter().for_each(|(_, reply)| reply.is_left());
        }
        answered.flatten()
    }

    /// Waits for all, in the order in which they answer.
    ///
    /// # Cancel safety
    /// A dropped future drops the replies.
    pub async fn all(mut self) -> Vec<Labelled<L, R>> {
        let mut all = Vec::with_capacity(self.len());
        while let Some(answered) = self.receive().await {
            all.push(answered);
        }
        all
    }

    fn poll_receive(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Labelled<L, R>>> {
        for at in 0..self.waiting.len() {
            if let Poll::Ready(result) = Pin::new(&mut self.waiting[at].1).poll(cx) {
                let (label, _) = self.waiting.remove(at);
                return Poll::Ready(Some((label, result)));
            }
        }
        if self.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<L, R: Message> Default for PendingReplies<L, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L, R: Message> Extend<(L, PendingReply<R>)> for PendingReplies<L, R> {
    fn extend<I: IntoIterator<Item = (L, PendingReply<R>)>>(&mut self, replies: I) {
        self.waiting.extend(replies);
    }
}

impl<L: std::fmt::Debug, R> std::fmt::Debug for PendingReplies<L, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.waiting.iter().map(|(label, reply)| (label, reply))).finish()
    }
}
