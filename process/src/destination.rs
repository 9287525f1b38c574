//! Where something can be sent: a process by its pid, or by a name.

use midflight_message::{NodeId, Pid, ProcessRef, Takes};

#[expect(unused_imports, reason = "the docs name it")]
use crate::context::Context;
use crate::error::SendError;
use crate::node::Node;

/// Where messages of type `M` can be sent: what [`Context::send`], [`Context::call`] and their like take.
///
/// - a [`Pid`] takes whatever message: the receiver refuses what it does not know;
/// - a [`ProcessRef`] takes the messages of its protocol, and nothing else compiles;
/// - a name (`"counter"`) is that of a process of this node;
/// - a name with a node (`("counter", node)`) is that of a process there, as in Erlang.
///
/// A name is looked up anew each time; on another node that is a question and its answer, so whoever
/// sends much keeps the pid. What is sent to one process by name and by pid arrives in order.
///
/// ```
/// use midflight_process::message::{Message, NodeId};
/// use midflight_process::{Context, ProcessRef};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Message)]
/// struct Add(u64);
///
/// async fn add(cx: &Context, counter: ProcessRef<Add>, node: NodeId) -> Result<(), Box<dyn std::error::Error>> {
///     cx.send(counter, Add(1)).await?;
///     cx.send(counter.pid(), Add(1)).await?;
///     cx.send("counter", Add(1)).await?;
///     cx.send(("counter", node), Add(1)).await?;
///     Ok(())
/// }
/// ```
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

/// An [`Address`] that is kept.
#[derive(Debug, Clone)]
pub(crate) enum OwnedAddress {
    Pid(Pid),
    Name(String),
    NameOn(String, NodeId),
}

impl OwnedAddress {
    pub(crate) fn get(&self) -> Address<'_> {
        match self {
            Self::Pid(pid) => Address::Pid(*pid),
            Self::Name(name) => Address::Name(name),
            Self::NameOn(name, node) => Address::NameOn(name, *node),
        }
    }
}

impl From<Address<'_>> for OwnedAddress {
    fn from(address: Address<'_>) -> Self {
        match address {
            Address::Pid(pid) => Self::Pid(pid),
            Address::Name(name) => Self::Name(name.to_owned()),
            Address::NameOn(name, node) => Self::NameOn(name.to_owned(), node),
        }
    }
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

impl Node {
    /// The process that is meant; asks another node where it must.
    pub(crate) async fn find(&self, address: Address<'_>) -> Result<Pid, SendError> {
        let (found, name, node) = match address {
            Address::Pid(pid) => return Ok(pid),
            Address::Name(name) => (self.whereis(name), name, self.id()),
            Address::NameOn(name, node) => {
                // Boxed, as it is rare and large: every send would carry it along otherwise.
                let found = Box::pin(self.whereis_on(node, name)).await;
                (found.map_err(SendError::Whereis)?, name, node)
            }
        };
        found.ok_or_else(|| SendError::NoName { name: name.to_owned(), node })
    }
}
