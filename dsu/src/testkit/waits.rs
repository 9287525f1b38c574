//! What a suspended handler or a loop waits for in a test, and how that ends.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::code::{Instance, OpEnd};

/// By this operation a loop begins.
const BEGIN: u64 = 0;

/// What a suspended handler or a loop waits for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) is_suspended: bool,
    /// A loop takes the next message.
    pub(super) receives: bool,
    /// The update point at which a loop is.
    point: Option<u64>,
    /// Whether a caller waits for its reply.
    pub(super) owes: bool,
    ops: BTreeMap<u64, Op>,
}

#[derive(Debug)]
pub(super) enum Op {
    Sleep(Duration),
    Call { index: u32, to: String, message: Vec<u8> },
}

/// How an operation has ended.
pub(super) enum End {
    Done(Vec<u8>),
    Gone,
    Timeout,
    Refused(String),
}

impl Waits {
    /// What an instance begins with.
    pub(super) fn of(instance: &dyn Instance) -> Self {
        let mut waits = Self::default();
        if instance.is_loop() {
            waits.is_suspended = true;
            waits.ops.insert(BEGIN, Op::Sleep(Duration::ZERO));
        }
        waits
    }

    pub(super) fn await_op(&mut self, op: u64, what: Op) {
        self.ops.insert(op, what);
    }

    pub(super) const fn come_to(&mut self, point: u64) {
        self.point = Some(point);
    }

    /// What ends at once, if the process does not wait for an input: a loop's beginning, a call, an update point.
    pub(super) fn next_at_once(&mut self) -> Option<(u64, Option<Op>)> {
        if self.ops.remove(&BEGIN).is_some() {
            return Some((BEGIN, None));
        }
        let is_call = |op: &Op| matches!(op, Op::Call { .. });
        let call = self.ops.iter().find(|(_, op)| is_call(op)).map(|(op, _)| *op);
        if let Some(op) = call {
            return Some((op, self.ops.remove(&op)));
        }
        if self.receives { None } else { self.point.map(|point| (point, None)) }
    }

    /// The sleep that ends first, and when.
    pub(super) fn next_sleep(&self) -> Option<(u64, Duration)> {
        let sleeps = self.ops.iter().filter_map(|(op, what)| match what {
            Op::Sleep(until) => Some((*op, *until)),
            Op::Call { .. } => None,
        });
        sleeps.min_by_key(|(_, until)| *until)
    }

    /// A sleep has ended.
    pub(super) fn slept(&mut self, op: u64) {
        self.ops.remove(&op);
    }

    /// What a loop said that it waits for holds until the next call into it.
    pub(super) const fn called(&mut self) {
        self.receives = false;
        self.point = None;
    }

    /// Whether the code may be exchanged here, as a node would say.
    pub(super) fn rests(&self) -> bool {
        let awaits = |op: &Op| matches!(op, Op::Call { .. });
        if !self.is_suspended {
            return true;
        }
        self.point.is_some() && !self.owes && !self.ops.values().any(awaits)
    }
}

impl End {
    pub(super) fn as_op_end(&self) -> OpEnd<'_> {
        match self {
            Self::Done(reply) => OpEnd::Done(reply),
            Self::Gone => OpEnd::Gone,
            Self::Timeout => OpEnd::Timeout,
            Self::Refused(why) => OpEnd::Refused(why),
        }
    }
}
