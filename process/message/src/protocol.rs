//! What a process takes, as a type.

use crate::Message;

/// What a process takes, as a type for a [`ProcessRef`](crate::ProcessRef) to name.
///
/// A message is the protocol of a process that takes nothing else. For several messages there is a type
/// of its own, which is never made, and which says of each message that it is taken:
///
/// ```
/// use midflight_message::{Message, ProcessRef, Protocol, Takes};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Message)]
/// struct Add(u64);
///
/// #[derive(Serialize, Deserialize, Message)]
/// struct Reset;
///
/// enum Counter {}
///
/// impl Protocol for Counter {
///     const NAME: &'static str = "counter.Counter";
///     const VERSION: u32 = 1;
/// }
///
/// impl Takes<Add> for Counter {}
/// impl Takes<Reset> for Counter {}
///
/// /// A message may carry such a reference: whoever reads it has the types to go with it.
/// #[derive(Serialize, Deserialize, Message)]
/// struct Started {
///     counter: ProcessRef<Counter>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a message nor a protocol",
    note = "derive `Message` for it, or write `impl Protocol for {Self}`"
)]
pub trait Protocol: 'static {
    /// What the protocol is called on the wire, among messages and protocols.
    const NAME: &'static str;

    /// The author's version.
    const VERSION: u32;
}

/// The protocol has the message `M`.
#[diagnostic::on_unimplemented(
    message = "a process of the protocol `{Self}` does not take `{M}`",
    note = "what a protocol of several messages takes is written down: `impl Takes<{M}> for {Self} {{}}`"
)]
pub trait Takes<M>: Protocol {}

impl<M: Message> Protocol for M {
    const NAME: &'static str = M::NAME;
    const VERSION: u32 = M::VERSION;
}

impl<M: Message> Takes<M> for M {}

/// The protocol of a process of which nothing is known: it takes whatever message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anything {}

impl Protocol for Anything {
    const NAME: &'static str = "midflight.Anything";
    const VERSION: u32 = 1;
}

impl<M: Message> Takes<M> for Anything {}
