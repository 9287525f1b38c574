//! Tracing single processes, switched on and off from outside while they run.
//!
//! A traced process has a flag in its cell, which is read under the lock that a turn takes anyway; one that
//! is not traced pays nothing else. What it does is told as log lines (target [`TARGET`]) and, where
//! somebody follows it, as messages.
//!
//! What a traced process sends carries a `TraceContext`, on this node as a mark before the message and
//! between nodes as an extension of its frame. Who takes that message in acts under the same context until
//! the next one comes; so one trace's number finds a message's way over all nodes.

mod cell;
mod context;
mod event;
mod turn;

use midflight_message::Pid;

use crate::node::Node;

pub(crate) use cell::Tracing;
pub(crate) use context::TraceContext;
pub use context::TraceId;
pub use event::{TraceEvent, TraceFlags, Traced};
pub(crate) use turn::{
    Active, begin, enter, exited, is_on, name_of, name_of_type, note, outgoing, sent, spawned,
};

/// The target of the log lines.
pub const TARGET: &str = "midflight::trace";

/// A process was not traced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// It lives on another node: ask that one.
    #[error("{0} is a process of another node")]
    NotHere(Pid),
    /// It does not live.
    #[error("{0} does not live")]
    NoProcess(Pid),
    /// No process can follow itself: each event would be another.
    #[error("{0} cannot follow itself")]
    Itself(Pid),
}

impl Node {
    /// Traces a process of this node from its next turn on, and no longer what was traced of it before;
    /// [`TraceFlags::NONE`] ends it. Each event is a log line with the target [`TARGET`]. `follower`, on
    /// whatever node, gets each as a [`TraceEvent`], too, as long as it has room: the next one it gets says
    /// how many it has missed.
    ///
    /// A traced process takes one message a turn, so that what it does is told under the right one.
    ///
    /// # Errors
    /// See [`TraceError`]. Then nothing has changed.
    pub fn trace(
        &self,
        pid: Pid,
        flags: TraceFlags,
        follower: Option<Pid>,
    ) -> Result<(), TraceError> {
        if pid.node != self.inner.id {
            return Err(TraceError::NotHere(pid));
        }
        if follower == Some(pid) {
            return Err(TraceError::Itself(pid));
        }
        let set = self.inner.table.visit(pid.index, pid.generation, |slot| {
            slot.tracing().set(flags, follower);
            None
        });
        set.map(drop).ok_or(TraceError::NoProcess(pid))
    }

    /// Traces a process no longer, if `follower` follows it. Answers whether it did.
    pub fn end_trace(&self, pid: Pid, follower: Pid) -> bool {
        let mut ended = false;
        if pid.node == self.inner.id {
            self.inner.table.visit(pid.index, pid.generation, |slot| {
                let tracing = slot.rare.as_mut()?.trace.as_mut()?;
                ended = tracing.is_followed_by(follower);
                if ended {
                    tracing.set(TraceFlags::NONE, None);
                }
                None
            });
        }
        ended
    }

    /// What is traced of a process of this node.
    #[must_use]
    pub fn traced(&self, pid: Pid) -> TraceFlags {
        let mut flags = TraceFlags::NONE;
        if pid.node == self.inner.id {
            self.inner.table.visit(pid.index, pid.generation, |slot| {
                flags = slot.rare.as_ref()?.trace.as_ref()?.flags();
                None
            });
        }
        flags
    }
}
