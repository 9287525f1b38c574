//! Where something can be sent: a process by its pid, or by a name.

use crate::{NodeId, Pid, ProcessRef, Takes};

/// Where messages of type `M` can be sent: what `send`, `call` and their like take.
///
/// - a [`Pid`] takes whatever message: the receiver refuses what it does not know;
/// - a [`ProcessRef`] takes the messages of its protocol, and nothing else compiles;
/// - a name (`"counter"`) is that of a process of this node;
/// - a name with a node (`("counter", node)`) is that of a process there, as in Erlang.
///
/// A name is looked up anew each time; on another node that is a question and its answer, so whoever
/// sends much keeps the pid. What is sent to one process by name and by pid arrives in order.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be sent to `{Self}`",
    note = "a destination is a `Pid`, a `ProcessRef` whose protocol has the message, a name, or a name with a node"
)]
pub trait Destination<M> {
    /// Which process it is.
    fn address(&self) -> Address<'_>;
}

/// How a [`Destination`] says which process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// The process itself.
    Pid(Pid),
    /// The process that has the name on the sender's node.
    Name(&'a str),
    /// The process that has the name on this node, which may be the sender's.
    NameOn(&'a str, NodeId),
}

impl<M> Destination<M> for Pid {
    fn address(&self) -> Address<'_> {
        Address::Pid(*self)
    }
}

impl<M, P: Takes<M>> Destination<M> for ProcessRef<P> {
    fn address(&self) -> Address<'_> {
        Address::Pid(self.pid())
    }
}

impl<M> Destination<M> for str {
    fn address(&self) -> Address<'_> {
        Address::Name(self)
    }
}

impl<M> Destination<M> for String {
    fn address(&self) -> Address<'_> {
        Address::Name(self)
    }
}

impl<M, N: AsRef<str>> Destination<M> for (N, NodeId) {
    fn address(&self) -> Address<'_> {
        Address::NameOn(self.0.as_ref(), self.1)
    }
}

impl<M, D: Destination<M> + ?Sized> Destination<M> for &D {
    fn address(&self) -> Address<'_> {
        (**self).address()
    }
}
