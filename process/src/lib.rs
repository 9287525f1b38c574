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

mod account;
mod actions;
mod admission;
mod ask;
mod body;
mod builder;
mod call_on;
mod channel;
mod connect;
mod context;
mod dead_letter;
mod envelope;
mod error;
mod exit;
mod exits;
mod frozen;
mod function;
mod functions;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod gossip;
mod groups;
mod handshake;
#[cfg(test)]
mod hostile;
mod info;
mod inner;
mod letters;
mod limits;
mod link;
mod locations;
mod lookout;
mod mailbox;
pub mod managed;
mod member;
mod membership;
mod metrics;
mod monitor;
mod names;
mod news;
mod node;
mod overflow;
mod peer;
mod peering;
mod pending;
mod polling;
mod ports;
mod queues;
mod receive;
mod recent;
mod reconnect;
mod refused;
mod registry;
mod relations;
mod reply;
mod roles;
mod runner;
mod send;
mod senders;
mod shelf;
mod signals;
mod sink;
mod slot;
mod small_map;
mod spawn_error;
mod spawn_on;
mod spawned;
mod stage;
pub mod supervisor;
mod table;
pub mod trace;
mod turn;
mod types;
mod undelivered;
mod unread;
mod value;
mod wire;

pub use midflight_message as message;
pub use midflight_message::{NodeId, Pid, ProcessRef, SendPort};

pub use actions::{Readable, Unsent};
pub use ask::AskError;
pub use body::{Body, Flow, Label};
pub use builder::{NodeBuilder, StartError};
pub use call_on::CallOnError;
pub use channel::ReceivePort;
pub use connect::JoinError;
pub use context::Context;
pub use dead_letter::{DeadLetter, LetterId, RefusedCount};
pub use envelope::{CallRef, Refusal};
pub use error::{CallError, SendError, TrySendError};
pub use exit::{Down, ExitReason, Exited, MonitorRef, NodeDown};
pub use frozen::{FreezeError, Frozen};
pub use functions::{Function, FunctionError, FunctionInfo, Functions, Process};
pub use groups::{GroupChange, GroupError, GroupEvent};
pub use handshake::{Secret, WeakSecret};
pub use info::{NodeStats, ProcessInfo, Status, Unreceived};
pub use letters::{DeadLetterTotals, RedeliverError};
pub use limits::Limits;
pub use member::{Member, MemberEvent, MemberState};
pub use metrics::{NodeMetrics, PeerMetrics, Traffic};
pub use names::{RegisterOnError, SendToNameError};
pub use node::{IntoExitReason, Node, SpawnError};
pub use receive::{AnyMessage, ReadError, Receive, Received};
pub use reconnect::Disconnected;
pub use registry::RegisterError;
pub use relations::ReconnectPolicy;
pub use reply::ReplyTo;
pub use roles::{NotAllowed, ParseRolesError, Role, Roles};
pub use spawn_error::SpawnOnError;
pub use spawn_on::{SpawnOptions, Spawned};
pub use turn::{Batch, Caller, Delivery, Origin, Turn, View};
pub use types::TypeNo;
pub use undelivered::{RefusalKind, Undelivered};
pub use value::Value;
