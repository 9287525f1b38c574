//! A handler that waits in the middle of a message. Its future is old code: it pins its version
//! until it ends.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use midflight_process::{
    Batch, CallRef, Caller, Delivery, ExitReason, Node, Origin, Pid, Refusal, Turn, TypeNo, View,
    Wait, WaitKind,
};
use midflight_runtime::Instant;

use super::types::{Form, form};
use crate::code::OpEnd;

/// What a suspended handler awaits.
pub(super) struct Suspended {
    from: Origin,
    caller: Option<Caller>,
    since: Instant,
    ops: BTreeMap<u64, Op>,
    /// Those that have ended for another reason than a reply or the clock.
    ended: VecDeque<Ended>,
    /// The process was told to end meanwhile.
    exit: Option<ExitReason>,
}

#[derive(Debug)]
struct Op {
    /// None for a sleep.
    call: Option<Call>,
    deadline: Instant,
}

#[derive(Debug)]
struct Call {
    number: CallRef,
    /// Whom it is for, once that is known.
    to: Option<Pid>,
    since: Instant,
    /// The type as which its reply is read; `None` when the node knows as many as it may.
    reader: Option<TypeNo>,
    /// A reply that waits for its writer's schema.
    reply: Option<Reply>,
}

/// A reply that has come.
#[derive(Debug)]
struct Reply {
    from: Origin,
    ty: TypeNo,
    bytes: Bytes,
}

/// An operation that has ended.
pub(super) struct Ended {
    pub(super) op: u64,
    how: How,
}

pub(super) enum How {
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
    pub(super) fn new(from: Origin, caller: Option<Caller>, since: Instant) -> Self {
        let (ops, ended) = (BTreeMap::new(), VecDeque::new());
        Self { from, caller, since, ops, ended, exit: None }
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

    /// The replies it waits for.
    pub(super) fn waits(&self, now: Instant) -> impl Iterator<Item = Wait> {
        let calls = self.ops.values().filter_map(|op| op.call.as_ref());
        calls.map(move |call| {
            let kind = if call.reply.is_some() { WaitKind::Schema } else { WaitKind::Reply };
            Wait::new(kind, call.to, Some(now.since(call.since)))
        })
    }

    pub(super) fn sleep(&mut self, op: u64, deadline: Instant) {
        self.ops.insert(op, Op { call: None, deadline });
    }

    /// A call is about to be sent: from now on its time runs.
    pub(super) fn call(
        &mut self,
        op: u64,
        number: CallRef,
        reader: Option<TypeNo>,
        (since, deadline): (Instant, Instant),
    ) {
        let call = Some(Call { number, to: None, since, reader, reply: None });
        self.ops.insert(op, Op { call, deadline });
    }

    /// Whom a call is for.
    pub(super) fn found(&mut self, op: u64, to: Pid) {
        if let Some(call) = self.ops.get_mut(&op).and_then(|op| op.call.as_mut()) {
            call.to = Some(to);
        }
    }

    /// The number and deadline of a call that is awaited.
    pub(super) fn awaited(&self, op: u64) -> Option<(CallRef, Instant)> {
        let op = self.ops.get(&op)?;
        Some((op.call.as_ref()?.number, op.deadline))
    }

    /// A call has come to nothing.
    pub(super) fn end(&mut self, op: u64, how: How) {
        if self.ops.remove(&op).is_some() {
            self.ended.push_back(Ended { op, how });
        }
    }

    /// The next operation that has ended. Messages stay where they are.
    pub(super) fn next_ended(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Option<Ended> {
        if let Some(ended) = self.ended.pop_front().or_else(|| self.read_kept(turn)) {
            return Some(ended);
        }
        while let Some(delivery) = batch.take_urgent() {
            match delivery {
                Delivery::Exit(reason) => {
                    self.exit = Some(reason);
                    return None;
                }
                Delivery::Reply { from, call, result } => {
                    if let Some(ended) = self.reply(turn, from, call, result) {
                        return Some(ended);
                    }
                }
                // Nothing else is urgent.
                _ => {}
            }
        }
        let now = turn.node().runtime().now();
        let (&op, due) = self.ops.iter().find(|(_, op)| op.deadline <= now)?;
        let how = if due.call.is_some() { How::Timeout } else { How::Slept };
        self.ops.remove(&op);
        Some(Ended { op, how })
    }

    /// Sees that the process is woken when the next operation is due.
    pub(super) fn arm(&self, turn: &mut Turn<'_>) {
        if let Some(deadline) = self.ops.values().map(|op| op.deadline).min() {
            turn.wake_at(deadline);
        }
    }

    fn reply(
        &mut self,
        turn: &mut Turn<'_>,
        from: Origin,
        number: CallRef,
        result: Result<View<'_>, Refusal>,
    ) -> Option<Ended> {
        let awaited = |op: &Op| op.call.as_ref().is_some_and(|call| call.number == number);
        // A reply that nobody waits for any more is none.
        let (&op, awaiting) = self.ops.iter_mut().find(|(_, op)| awaited(op))?;
        let call = awaiting.call.as_mut()?;
        let reply = match result {
            Ok(view) => match turn.encoded(view) {
                Some(View::Large(ty, bytes)) => Ok(Reply { from, ty, bytes }),
                Some(View::Bytes(ty, bytes)) => {
                    Ok(Reply { from, ty, bytes: Bytes::copy_from_slice(bytes) })
                }
                _ => Err(How::Refused("the reply does not encode".into())),
            },
            Err(Refusal::NoProcess | Refusal::Aborted { .. }) => Err(How::Gone),
            Err(refusal) => Err(How::Refused(refusal.to_string())),
        };
        let how = match reply {
            Ok(reply) => match reply.read(turn, call.reader) {
                Some(how) => how,
                None => {
                    call.reply = Some(reply);
                    return None;
                }
            },
            Err(how) => how,
        };
        self.ops.remove(&op);
        Some(Ended { op, how })
    }

    /// Reads a reply that was kept, if its writer's schema has come.
    fn read_kept(&mut self, turn: &mut Turn<'_>) -> Option<Ended> {
        let mut kept = self.ops.iter().filter_map(|(op, awaiting)| {
            let call = awaiting.call.as_ref()?;
            Some((*op, call.reply.as_ref()?, call.reader))
        });
        let (op, how) =
            kept.find_map(|(op, reply, reader)| Some((op, reply.read(turn, reader)?)))?;
        self.ops.remove(&op);
        Some(Ended { op, how })
    }
}

impl Reply {
    /// What the handler gets of it: behaviours read only their own form. `None`: that cannot be
    /// said yet; the process is woken when it can.
    fn read(&self, turn: &mut Turn<'_>, reader: Option<TypeNo>) -> Option<How> {
        let Some(reader) = reader else {
            return Some(How::Refused("the node knows as many types as it may".into()));
        };
        match form(turn.readable(self.from, self.ty, reader)) {
            Form::Own => Some(How::Reply(self.bytes.clone())),
            Form::Incompatible(mismatch) => {
                Some(How::Refused(format!("the reply is incompatible: {mismatch}")))
            }
            Form::Other(why) | Form::Unknown(why) => {
                let (name, version) = turn.type_name(self.ty);
                Some(How::Refused(format!("the reply is {name} version {version}: {why}")))
            }
            Form::Later => None,
        }
    }
}
