//! A handler that waits in the middle of a message. Its future is old code: it pins its version
//! until it ends.

use std::collections::BTreeMap;

use bytes::Bytes;
use midflight_process::{
    Batch, CallRef, Caller, Delivery, ExitReason, Node, Origin, Refusal, Turn, View,
};
use midflight_runtime::Instant;

use crate::code::OpEnd;

/// What a suspended handler awaits.
pub(super) struct Suspended {
    from: Origin,
    caller: Option<Caller>,
    since: Instant,
    ops: BTreeMap<u64, Op>,
    /// The process was told to end meanwhile.
    exit: Option<ExitReason>,
}

#[derive(Debug, Clone, Copy)]
struct Op {
    /// The call whose reply it is; none for a sleep.
    call: Option<CallRef>,
    deadline: Instant,
}

/// An operation that has ended.
pub(super) struct Ended {
    pub(super) op: u64,
    how: How,
}

enum How {
    Slept,
    Timeout,
    Reply(Bytes),
    Gone,
    Refused(String),
}

impl Ended {
    pub(super) fn end(&self) -> OpEnd<'_> {
        match &self.how {
            How::Slept => OpEnd::Done(&[]),
            How::Timeout => OpEnd::Timeout,
            How::Reply(bytes) => OpEnd::Done(bytes),
            How::Gone => OpEnd::Gone,
            How::Refused(why) => OpEnd::Refused(why),
        }
    }
}

impl Suspended {
    pub(super) const fn new(from: Origin, caller: Option<Caller>, since: Instant) -> Self {
        Self { from, caller, since, ops: BTreeMap::new(), exit: None }
    }

    pub(super) const fn from(&self) -> Origin {
        self.from
    }

    pub(super) const fn caller(&self) -> Option<Caller> {
        self.caller
    }

    /// Why the process is to end, if it was told to.
    pub(super) fn exit(&self) -> Option<ExitReason> {
        self.exit.clone()
    }

    /// What it is in, and for how long, for whoever waits for it.
    pub(super) fn describe(&self, node: &Node) -> String {
        let calls = self.ops.values().filter(|op| op.call.is_some()).count();
        let sleeps = self.ops.len() - calls;
        let since = node.runtime().now().since(self.since);
        format!("a handler has been suspended for {since:?} in {calls} calls and {sleeps} sleeps")
    }

    pub(super) fn sleep(&mut self, op: u64, deadline: Instant) {
        self.ops.insert(op, Op { call: None, deadline });
    }

    pub(super) fn call(&mut self, op: u64, call: CallRef, deadline: Instant) {
        self.ops.insert(op, Op { call: Some(call), deadline });
    }

    /// The next operation that has ended. Messages stay where they are.
    pub(super) fn next_ended(&mut self, batch: &mut Batch, turn: &Turn<'_>) -> Option<Ended> {
        while let Some(delivery) = batch.take_urgent() {
            match delivery {
                Delivery::Exit(reason) => {
                    self.exit = Some(reason);
                    return None;
                }
                Delivery::Reply { call, result, .. } => {
                    let waiting = self.ops.iter().find(|(_, op)| op.call == Some(call));
                    // A reply that nobody waits for any more.
                    let Some((&op, _)) = waiting else { continue };
                    self.ops.remove(&op);
                    return Some(Ended { op, how: reply(turn, result) });
                }
                Delivery::Message { .. } => {}
                _ => {}
            }
        }
        let now = turn.node().runtime().now();
        let (&op, due) = self.ops.iter().find(|(_, op)| op.deadline <= now)?;
        let how = if due.call.is_some() { How::Timeout } else { How::Slept };
        self.ops.remove(&op);
        Some(Ended { op, how })
    }
}

fn reply(turn: &Turn<'_>, result: Result<View<'_>, Refusal>) -> How {
    match result {
        Ok(view) => match turn.encoded(view) {
            Some(View::Large(_, bytes)) => How::Reply(bytes),
            Some(View::Bytes(_, bytes)) => How::Reply(Bytes::copy_from_slice(bytes)),
            _ => How::Refused("the reply does not encode".into()),
        },
        Err(Refusal::NoProcess | Refusal::Aborted { .. }) => How::Gone,
        Err(refusal) => How::Refused(refusal.to_string()),
    }
}
