//! A handler that waits in the middle of a message, or a loop. Its future is old code: it pins its version
//! until it ends, or is at an update point.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use midflight_process::{
    Batch, CallRef, Caller, Delivery, ExitReason, Node, Origin, Pid, Refusal, Turn, TypeNo, View,
    Wait, WaitKind,
};
use midflight_runtime::Instant;

use super::types::Form;
use crate::code::{CodeError, OpEnd};
use crate::versions::Version;

/// The version that a process runs in, and the index of its behaviour there.
pub(super) type CodeOf<'a> = (&'a Version, u32);

/// What a suspended handler awaits.
pub(super) struct Suspended {
    from: Option<Origin>,
    caller: Option<Caller>,
    since: Instant,
    ops: BTreeMap<u64, Op>,
    /// Those that have ended for another reason than a reply or the clock.
    ended: VecDeque<Ended>,
    /// The process was told to end meanwhile.
    exit: Option<ExitReason>,
    looping: Option<Looping>,
}

/// What a loop waits for besides: each holds until the next call into the code.
#[derive(Debug, Default)]
struct Looping {
    receives: bool,
    /// The update point at which it is.
    point: Option<u64>,
}

/// The operation by which a loop begins, and by which who wakes itself is resumed.
const BEGIN: u64 = 0;

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
    /// Which of the behaviour's calls it is.
    index: u32,
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
    /// A reply in another form than the call of that index expects.
    Other(u32, Form, Bytes),
    Gone,
    Refused(String),
}

impl Ended {
    /// A loop goes on from an update point.
    pub(super) const fn passed(op: u64) -> Self {
        Self { op, how: How::Slept }
    }

    /// Brings a reply in another form into that which the handler reads. `Err`: the code fails at it.
    pub(super) fn read(
        self,
        own_form: impl FnOnce(u32, &Form, &[u8]) -> Result<Bytes, CodeError>,
    ) -> Result<Self, CodeError> {
        let How::Other(call, form, bytes) = &self.how else { return Ok(self) };
        let how = match own_form(*call, form, bytes) {
            Ok(ours) => How::Reply(ours),
            Err(CodeError::Decode(why)) => How::Refused(format!("the reply cannot be read: {why}")),
            Err(error) => return Err(error),
        };
        Ok(Self { how, ..self })
    }

    pub(super) fn end(&self) -> OpEnd<'_> {
        match &self.how {
            How::Slept => OpEnd::Done(&[]),
            How::Other(..) => OpEnd::Refused("the reply was not read"),
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
        let from = Some(from);
        Self { from, caller, since, ops, ended, exit: None, looping: None }
    }

    /// A loop that is to begin.
    pub(super) fn of_loop(since: Instant) -> Self {
        let ended = VecDeque::from([Ended { op: BEGIN, how: How::Slept }]);
        let looping = Some(Looping::default());
        Self { from: None, caller: None, since, ops: BTreeMap::new(), ended, exit: None, looping }
    }

    /// None before a loop has received anything.
    pub(super) const fn from(&self) -> Option<Origin> {
        self.from
    }

    pub(super) const fn caller(&self) -> Option<Caller> {
        self.caller
    }

    /// When its message was taken up; of a loop, which takes many, nothing is said.
    pub(super) fn began(&self) -> Option<Instant> {
        self.looping.is_none().then_some(self.since)
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
        let waits = format!("in {calls} calls and {sleeps} sleeps");
        let Some(looping) = &self.looping else {
            return format!("a handler has been suspended for {since:?} {waits}");
        };
        let receive = if looping.receives { " and a receive" } else { "" };
        let owes = if self.caller.is_some() { ", and owes a reply" } else { "" };
        format!("its loop has been at no update point for {since:?}: it is {waits}{receive}{owes}")
    }

    pub(super) const fn is_loop(&self) -> bool {
        self.looping.is_some()
    }

    /// Whether it is a loop that takes the next message.
    pub(super) fn receives(&self) -> bool {
        self.looping.as_ref().is_some_and(|looping| looping.receives)
    }

    /// The update point at which a loop is.
    pub(super) fn point(&self) -> Option<u64> {
        self.looping.as_ref()?.point
    }

    /// Whether it may be left where it is: a loop at an update point that awaits no reply and owes none. What else it
    /// awaits beside the point is given up with it.
    pub(super) fn rests(&self) -> bool {
        let awaits = |(op, what): (&u64, &Op)| *op == BEGIN || what.call.is_some();
        self.point().is_some()
            && self.caller.is_none()
            && self.exit.is_none()
            && self.ended.is_empty()
            && !self.ops.iter().any(awaits)
    }

    /// The code has been called: what a loop waited for it has to say anew.
    pub(super) fn called(&mut self, now: Instant) {
        let Some(looping) = &mut self.looping else { return };
        if looping.point.take().is_some() {
            self.since = now;
        }
        looping.receives = false;
    }

    /// A loop has been given a message.
    pub(super) const fn came(&mut self, from: Origin, caller: Option<Caller>) {
        self.from = Some(from);
        self.caller = caller;
    }

    /// Nobody waits for a reply any more.
    pub(super) const fn answered(&mut self) {
        self.caller = None;
    }

    pub(super) const fn receive(&mut self) {
        if let Some(looping) = &mut self.looping {
            looping.receives = true;
        }
    }

    pub(super) const fn come_to(&mut self, point: u64) {
        if let Some(looping) = &mut self.looping {
            looping.point = Some(point);
        }
    }

    /// The replies it waits for, and whether it receives.
    pub(super) fn waits(&self, now: Instant) -> impl Iterator<Item = Wait> {
        let calls = self.ops.values().filter_map(|op| op.call.as_ref());
        let replies = calls.map(move |call| {
            let kind = if call.reply.is_some() { WaitKind::Schema } else { WaitKind::Reply };
            Wait::new(kind, call.to, Some(now.since(call.since)))
        });
        replies.chain(self.receives().then(|| Wait::new(WaitKind::Message, None, None)))
    }

    pub(super) fn sleep(&mut self, op: u64, deadline: Instant) {
        self.ops.insert(op, Op { call: None, deadline });
    }

    /// A call is about to be sent: from now on its time runs.
    pub(super) fn call(
        &mut self,
        op: u64,
        number: CallRef,
        index: u32,
        (since, deadline): (Instant, Instant),
    ) {
        let call = Some(Call { number, to: None, since, index, reply: None });
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
    pub(super) fn next_ended(
        &mut self,
        batch: &mut Batch,
        turn: &mut Turn<'_>,
        code: CodeOf<'_>,
    ) -> Option<Ended> {
        if let Some(ended) = self.ended.pop_front().or_else(|| self.read_kept(turn, code)) {
            return Some(ended);
        }
        // What a loop receives comes in order.
        while !self.receives()
            && let Some(delivery) = batch.take_urgent()
        {
            match delivery {
                Delivery::Exit(reason) => {
                    self.exit = Some(reason);
                    return None;
                }
                Delivery::Reply { from, call, result } => {
                    if let Some(ended) = self.reply(turn, code, (from, call), result) {
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

    pub(super) fn reply(
        &mut self,
        turn: &mut Turn<'_>,
        code: CodeOf<'_>,
        (from, number): (Origin, CallRef),
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
            Ok(reply) => match reply.read(turn, code, call.index) {
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
    fn read_kept(&mut self, turn: &mut Turn<'_>, code: CodeOf<'_>) -> Option<Ended> {
        let mut kept = self.ops.iter().filter_map(|(op, awaiting)| {
            let call = awaiting.call.as_ref()?;
            Some((*op, call.reply.as_ref()?, call.index))
        });
        let (op, how) =
            kept.find_map(|(op, reply, index)| Some((op, reply.read(turn, code, index)?)))?;
        self.ops.remove(&op);
        Some(Ended { op, how })
    }
}

impl Reply {
    /// What the handler gets of it. `None`: that cannot be said yet; the process is woken when it can.
    fn read(
        &self,
        turn: &mut Turn<'_>,
        (version, behaviour): CodeOf<'_>,
        call: u32,
    ) -> Option<How> {
        let types = &version.types[behaviour as usize];
        let come = (self.from, self.ty);
        Some(match types.reply_form(turn, version, behaviour, call, come)? {
            Form::Own => How::Reply(self.bytes.clone()),
            form @ Form::Other(_) => How::Other(call, form, self.bytes.clone()),
            Form::Refused(Refusal::Incompatible(mismatch)) => {
                How::Refused(format!("the reply is incompatible: {mismatch}"))
            }
            Form::Refused(refusal) => How::Refused(format!("the reply: {refusal}")),
        })
    }
}
