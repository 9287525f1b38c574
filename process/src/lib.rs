//! Nodes and Erlang-style processes over any transport.
//!
//! A [`Node`] is started on a transport that the program chooses. A process is an async function
//! with a mailbox and a [`Pid`], or a behaviour whose code can be replaced (`midflight-dsu`).
//!
//! ```
//! use midflight_process::{Node, message::Message};
//! use serde::{Deserialize, Serialize};
//! # use midflight_process::Pid;
//!
//! #[derive(Serialize, Deserialize, Message)]
//! #[message(name = "greeting.Hello", version = 1)]
//! struct Hello {
//!     to: String,
//! }
//!
//! async fn greet(node: &Node) -> Option<String> {
//!     let greeter = node.spawn("greeter", |cx| async move {
//!         let received = cx.receive_one::<Hello>().await;
//!         if let Some(caller) = received.reply_to {
//!             caller.reply(format!("hello, {}", received.message.to));
//!         }
//!     });
//!     let greeter = greeter.ok()?;
//!     let hello = Hello { to: "world".into() };
//!     let second = std::time::Duration::from_secs(1);
//!     node.run("caller", move |cx| async move { cx.call(greeter, hello, second).await.ok() }).await?
//! }
//! ```
//!
//! What is never here: a transport (`process` names none), code loading, a clock.
#![forbid(unsafe_code)]

mod calls;
mod channel;
mod context;
mod destination;
mod error;
mod events;
mod exit;
mod functions;
#[doc(hidden)]
pub mod fuzz;
mod groups;
#[cfg(test)]
mod hostile;
mod info;
mod letters;
mod mailbox;
pub mod managed;
mod membership;
mod metrics;
mod names;
mod node;
mod peer;
mod receive;
mod reconnect;
mod relations;
mod relocation;
mod roles;
mod scheduler;
mod send;
mod small_map;
pub mod supervisor;
mod table;
mod timers;
pub mod trace;
mod types;
mod waiters;
mod waits;

pub use midflight_message as message;
pub use midflight_message::{
    Address, Destination, NodeId, Pid, ProcessRef, Protocol, SendPort, Takes,
};

pub use calls::PendingReply;
pub use calls::encoded::Encoded;
pub use calls::many::{Labelled, PendingReplies};
pub use calls::multi::MultiReply;
pub use channel::ReceivePort;
pub use context::Context;
pub use error::{CallError, SendError, TrySendError};
pub use events::{EventKinds, Happened, NodeEvent};
pub use exit::{Down, ExitReason, Exited, MonitorRef, NodeDown};
pub use functions::call_on::CallOnError;
pub use functions::spawn_error::SpawnOnError;
pub use functions::spawn_on::{SpawnOptions, Spawned};
pub use functions::{Channel, Function, FunctionError, FunctionInfo, Functions, Process};
pub use groups::{GroupChange, GroupError, GroupEvent};
pub use info::{NodeStats, ProcessInfo, Status, Unreceived};
pub use letters::dead_letter::{DeadLetter, LetterId, RefusedCount};
pub use letters::undelivered::{RefusalKind, Undelivered};
pub use letters::{DeadLetterTotals, RedeliverError};
pub use mailbox::envelope::{CallRef, Refusal};
pub use mailbox::value::Value;
pub use membership::member::{Member, MemberEvent, MemberState};
pub use membership::sources::{Found, Source};
pub use metrics::{NodeMetrics, PeerMetrics, Traffic};
pub use names::RegisterOnError;
pub use names::registry::RegisterError;
pub use node::builder::{NodeBuilder, StartError};
pub use node::ending::ShutdownReport;
pub use node::limits::Limits;
pub use node::{IntoExitReason, Node, SpawnError};
pub use peer::ask::AskError;
pub use peer::code::PeerCode;
pub use peer::connect::JoinError;
pub use peer::handshake::{Secret, WeakSecret};
pub use receive::{AnyMessage, ReadError, Receive, Received};
pub use reconnect::Disconnected;
pub use relations::ReconnectPolicy;
pub use relocation::baggage::{BadBaggage, Baggage};
pub use relocation::lodging::{Lodging, NotLodged};
pub use relocation::moving::{LinkLost, Lost, Moved, NotPacked, Packed};
pub use roles::table::{ParseRoleTableError, RoleTable};
pub use roles::{NotAllowed, ParseRolesError, Role, Roles};
pub use scheduler::actions::{Unsent, Written};
pub use scheduler::body::{Body, Flow, Label};
pub use scheduler::frozen::{FreezeError, Frozen};
pub use scheduler::pace::Pace;
pub use scheduler::turn::{Batch, Caller, Delivery, Origin, Turn, View};
pub use send::reply_to::ReplyTo;
pub use timers::timer::{TimerError, TimerRef};
pub use types::TypeNo;
pub use waits::{Wait, WaitKind};
