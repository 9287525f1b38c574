//! What a suspended handler and its machinery share: the effects, and the operations awaited.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};

use midflight_message::{Address, Message, Pid};

use crate::effect::EffectWriter;
use crate::host::Host;
use crate::looping::desk::Desk;
use crate::raw::{CallInfo, RawPid};
use crate::status::Outcome;
use crate::timer::Timer;

/// The operation by which a handler that only wants to be polled again is resumed.
pub(crate) const YIELD_OP: u64 = 0;

#[derive(Debug)]
pub(crate) struct Shared {
    /// The call that began the handler; its `host_data` is not for use (see `host`).
    pub(crate) info: Started,
    pub(crate) effects: EffectWriter,
    pub(crate) desk: Desk,
    host: Host,
    ops: BTreeMap<u64, Op>,
    next_op: u64,
}

/// What stays true of the first call for as long as the handler runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) me: RawPid,
    caller: Option<RawPid>,
    pub(crate) call: Option<u64>,
}

impl Started {
    pub(crate) const fn caller(&self) -> Option<RawPid> {
        self.caller
    }

    /// A loop has another message in hand.
    pub(crate) fn received(&mut self, from: Option<Pid>) {
        self.caller = from.map(RawPid::from);
    }
}

#[derive(Debug)]
pub(crate) enum Op {
    Waiting(Option<Waker>),
    Done(Outcome, Vec<u8>),
}

impl Shared {
    pub(crate) fn new(info: &CallInfo) -> Self {
        let info = Started { me: info.me, caller: info.caller(), call: info.reply_id() };
        Self {
            info,
            effects: EffectWriter::default(),
            desk: Desk::default(),
            host: Host::NODE,
            ops: BTreeMap::new(),
            next_op: YIELD_OP + 1,
        }
    }

    /// A call of the host begins: its functions can be reached, effects go into `spare`.
    pub(crate) fn enter(&mut self, info: &CallInfo, spare: Vec<u8>) {
        self.host = Host::of(info.host_data);
        self.desk.enter(info.is_wanted());
        self.effects = EffectWriter::reusing(spare);
    }

    /// The call ends: the host is out of reach from here on.
    pub(crate) const fn leave(&mut self) {
        self.host = Host::NODE;
    }

    pub(crate) const fn host(&self) -> Host {
        self.host
    }

    pub(crate) fn begin_call<M: Message>(
        &mut self,
        to: Address<'_>,
        type_index: u32,
        timeout_millis: u64,
        message: &M,
    ) -> u64 {
        let op = self.new_op();
        self.effects.call(op, to, type_index, timeout_millis, message);
        op
    }

    pub(crate) fn send_after<M: Message>(
        &mut self,
        to: Option<Address<'_>>,
        millis: u64,
        type_index: u32,
        message: &M,
    ) -> Timer {
        let timer = Timer::new(self.info.me, self.host);
        self.effects.send_after(timer, to, millis, type_index, message);
        timer
    }

    pub(crate) fn begin_sleep(&mut self, millis: u64) -> u64 {
        let op = self.new_op();
        self.effects.sleep(op, millis);
        op
    }

    pub(crate) fn begin_point(&mut self) -> u64 {
        let op = self.new_op();
        self.desk.come_to(op);
        op
    }

    /// The host says that `op` has ended. The waker to wake, if somebody waits; an operation that
    /// was given up is no error.
    pub(crate) fn complete(&mut self, op: u64, outcome: Outcome, result: &[u8]) -> Option<Waker> {
        let entry = self.ops.get_mut(&op)?;
        match std::mem::replace(entry, Op::Done(outcome, result.to_vec())) {
            Op::Waiting(waker) => waker,
            // The first end counts.
            done @ Op::Done(..) => {
                *entry = done;
                None
            }
        }
    }

    pub(crate) fn poll_op(&mut self, op: u64, waker: &Waker) -> Poll<(Outcome, Vec<u8>)> {
        match self.ops.remove(&op) {
            Some(Op::Done(outcome, result)) => Poll::Ready((outcome, result)),
            // A future polled again after it was ready: it stays pending, as futures may.
            None => Poll::Pending,
            Some(Op::Waiting(_)) => {
                self.ops.insert(op, Op::Waiting(Some(waker.clone())));
                Poll::Pending
            }
        }
    }

    pub(crate) fn forget_op(&mut self, op: u64) -> Option<Op> {
        self.ops.remove(&op)
    }

    /// Whether the host will come back for anything.
    pub(crate) fn awaits(&self) -> bool {
        self.desk.is_receiving() || self.ops.values().any(|op| matches!(op, Op::Waiting(_)))
    }

    fn new_op(&mut self) -> u64 {
        let op = self.next_op;
        self.next_op += 1;
        self.ops.insert(op, Op::Waiting(None));
        op
    }
}
