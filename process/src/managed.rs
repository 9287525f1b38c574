//! Managed processes: the loop is here, the author gives handlers (Erlang's `gen_server`, Cloud
//! Haskell's `ManagedProcess`).
//!
//! A [`Managed`] is a definition: what is done for which call, cast and other message. A question is
//! a message with the type of its answer ([`Request`]), so whoever calls knows what comes back, on
//! any node.
//!
//! ```
//! use midflight_process::managed::{Managed, Request, ServerRef};
//! use midflight_process::{Node, message::Message};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Message)]
//! #[message(name = "counter.Add", version = 1)]
//! struct Add(u64);
//!
//! impl Request for Add {
//!     type Reply = u64;
//! }
//!
//! #[derive(Serialize, Deserialize, Message)]
//! #[message(name = "counter.Reset", version = 1)]
//! struct Reset;
//!
//! struct Counter {
//!     total: u64,
//! }
//!
//! fn counter() -> Managed<Counter> {
//!     Managed::new()
//!         .call(|counter: &mut Counter, add: Add, _| {
//!             counter.total += add.0;
//!             counter.total
//!         })
//!         .cast(|counter, _: Reset, _| counter.total = 0)
//! }
//!
//! async fn count(node: &Node) -> Option<u64> {
//!     let counter = counter().register("counter").start(node, |_| Ok(Counter { total: 0 }));
//!     counter.await.ok()?;
//!     node.run("user", |cx| async move {
//!         let counter = ServerRef::from("counter");
//!         counter.cast(&cx, Reset).await.ok()?;
//!         counter.call(&cx, Add(5)).await.ok()
//!     })
//!     .await?
//! }
//! ```
//!
//! One message is handled after the other; a handler that waits makes the next one wait. Exit
//! signals are no interruption: they take their place among the messages, and the state is whole
//! when [`Managed::terminate`] sees it. Only a kill ends a managed process without that.

mod client;
mod definition;
mod handler;
mod queue;
mod run;
mod server;

pub use client::{Request, ServerRef, multi_call};
pub use definition::{Managed, Unhandled, Verdict};
pub use handler::Reply;
pub use server::{Server, TooManyControls, TooManyTimers};
