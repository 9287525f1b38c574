//! Supervisors: processes that start others, and start them again when they end (Erlang's
//! `supervisor`).
//!
//! ```
//! use std::time::Duration;
//! use midflight_process::{Context, Node};
//! use midflight_process::supervisor::{Child, Restart, Strategy, Supervisor};
//!
//! async fn worker(cx: Context) {
//!     loop {
//!         let text: String = cx.expect().await;
//!         tracing::info!("{text}");
//!     }
//! }
//!
//! async fn start(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
//!     Supervisor::new(Strategy::OneForOne)
//!         .intensity(3, Duration::from_secs(10))
//!         .child(Child::new("worker", worker).register("worker"))
//!         .child(Child::new("one shot", |_cx| async {}).restart(Restart::Transient))
//!         .start(node)
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! What it decides is in `kernel`, which is pure; `process` receives and acts; `child` and
//! `supervise` are what users describe; `handle` is what others hold.

mod child;
mod error;
mod handle;
mod kernel;
mod placement;
mod process;
mod protocol;
mod spec;
mod supervise;

pub use child::{Child, Starter, Template};
pub use error::{ChildError, ChildProblem, NoStart};
pub use handle::SupervisorRef;
pub use placement::Placement;
pub use protocol::ChildRef;
pub use spec::{
    AutoShutdown, ChildCounts, ChildInfo, ChildKind, ChildState, Intensity, Order, Restart,
    RestartMode, Shutdown, ShutdownOrder, Strategy, SupervisorEvent,
};
pub use supervise::Supervisor;
