//! What a transport is.
//!
//! A [`Transport`] opens [`EndPoint`]s. Between two endpoints there is at most one [`Link`] at a
//! time; it carries many lightweight one-way *connections*, each reliable and ordered by itself.
//! What arrives on a link is given, in order, to that link's own [`LinkSink`], from the link's
//! reader: there is no second queue and no single consumer for a whole node.
//!
//! Read in this order: [`Address`], [`LinkEvent`], [`Outgoing`], then the traits.
//!
//! Who writes a backend finds its parts here too: [`frame`], [`Outbox`] (the sending half of a link),
//! [`Incoming`] (the receiving half), [`Heartbeat`].
//!
//! This crate knows no socket, no clock and no runtime. Backends are crates of their own and are
//! proven by the suite behind the feature `conformance`.

#![forbid(unsafe_code)]

mod address;
mod capabilities;
mod error;
mod event;
pub mod frame;
mod heartbeat;
mod incoming;
mod outbox;
mod outgoing;
mod transport;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use address::{Address, AddressError};
pub use capabilities::{Capabilities, Needs};
pub use error::{
    ConnectError, ConnectErrorKind, LinkLoss, LossKind, OpenError, OpenErrorKind, SendError,
    SendErrorKind,
};
pub use event::{ConnectionId, LinkEvent, LinkId, Payload};
pub use heartbeat::{Beat, Heartbeat};
pub use incoming::{Control, Incoming};
pub use outbox::{Outbox, Taken};
pub use outgoing::{Batch, Limits, Outgoing, Room, SMALL_MAX};
pub use transport::{Bind, EndPoint, Link, LinkAcceptor, LinkSink, Peer, Transport};
