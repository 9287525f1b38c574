//! Traces, as operators switch them on and off.

use midflight_process::trace::TraceFlags;
use midflight_process::{Context, Down, Pid};

use super::Control;
use crate::protocol::{TraceReply, TraceRequest};

impl Control {
    /// Does what `request` says, which `from` has sent.
    pub(super) fn trace(&self, request: &TraceRequest, from: Option<Pid>) -> TraceReply {
        let node = self.server.node();
        let TraceRequest { pid, send, receive, procs, follow } = *request;
        let wanted =
            [(send, TraceFlags::SEND), (receive, TraceFlags::RECEIVE), (procs, TraceFlags::PROCS)];
        let wanted = wanted.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let flags = wanted.fold(TraceFlags::NONE, |all, (_, flag)| all | flag);
        let follower = from.filter(|_| follow && !flags.is_none());
        if let Err(error) = node.trace(pid, flags, follower) {
            return TraceReply::Refused(error.to_string());
        }
        if let Some(follower) = follower
            && let Err(error) = node.spawn("midflight.trace", move |cx| watch(cx, pid, follower))
        {
            node.end_trace(pid, follower);
            return TraceReply::Refused(error.to_string());
        }
        TraceReply::Set
    }
}

/// Ends a trace with its follower; what nobody reads costs nothing.
async fn watch(cx: Context, pid: Pid, follower: Pid) {
    cx.monitor(follower).await;
    cx.monitor(pid).await;
    // Either: with the process, its trace is over anyway.
    cx.expect::<Down>().await;
    cx.node().end_trace(pid, follower);
}
