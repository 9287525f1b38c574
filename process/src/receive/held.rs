//! Messages that nobody can read yet: each waits for the schema of its writer, and what its sender has
//! sent after it waits behind it (P2). Those of others pass.

use std::sync::Arc;
use std::task::Waker;

use rustc_hash::FxHashSet;

use crate::mailbox::envelope::Sender;
use crate::node::inner::Inner;
use crate::types::TypeNo;

/// What one receive, or one port, holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The number of the oldest message.
    first: u64,
    senders: FxHashSet<Sender>,
    /// The schemas that are waited for, and of whom: one of each node's processes.
    schemas: Vec<(Sender, TypeNo)>,
}

impl Held {
    /// A message with this number is of a type whose schema is on its way.
    pub(crate) fn hold(&mut self, number: u64, from: Sender, ty: TypeNo) {
        if self.senders.is_empty() {
            self.first = number;
        }
        self.first = self.first.min(number);
        self.senders.insert(from);
        let known = |(other, of): &(Sender, TypeNo)| (other.node, *of) == (from.node, ty);
        if !self.schemas.iter().any(known) {
            self.schemas.push((from, ty));
        }
    }

    /// Whether what `from` has sent is to wait.
    pub(crate) fn holds(&self, from: Sender) -> bool {
        self.senders.contains(&from)
    }

    /// The number of the oldest message that is held.
    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// Whether one of the schemas has come, or will not.
    pub(crate) fn is_decided(&self, inner: &Arc<Inner>) -> bool {
        let is_open = |(from, ty): &(Sender, TypeNo)| {
            !inner.types.is_known(*ty) && inner.request_schema(*from, *ty)
        };
        !self.schemas.iter().all(is_open)
    }

    /// Wakes `waker` when one of the schemas has come, or will not. Answers false when that is so
    /// already.
    pub(crate) fn wait(&self, inner: &Arc<Inner>, waker: &Waker) -> bool {
        let waits = |(_, ty): &(Sender, TypeNo)| inner.types.wait_for_schema(*ty, waker);
        // Asked after: what was decided in between is not missed.
        self.schemas.iter().all(waits) && !self.is_decided(inner)
    }
}
