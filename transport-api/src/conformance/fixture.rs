//! What a backend gives to the suite.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Address, Bind, Transport};

/// A case under way.
pub type CaseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a case ended that did not panic: done, or skipped for a reason.
pub type Outcome = Result<(), String>;

/// A network of the backend, made anew for each case.
pub trait Fixture: Clone + Send + Sync + 'static {
    /// Makes a fixture and runs `case` with it, perhaps several times; panics when that takes
    /// longer than a minute or so.
    fn run(case: impl Fn(Self) -> CaseFuture);

    /// The transport; always the same one.
    fn transport(&self) -> Arc<dyn Transport>;

    /// How an endpoint called `name` listens.
    fn bind(&self, name: &str) -> Bind;

    /// A well-formed address at which nobody listens.
    fn nobody(&self) -> Address;

    /// Runs a task beside the case.
    fn spawn(&self, task: CaseFuture);

    /// The time since any fixed point.
    fn now(&self) -> Duration;

    /// Ends after `duration`.
    fn sleep(&self, duration: Duration) -> CaseFuture;

    /// The heartbeat bound of the transport; half a second or so keeps the suite quick.
    fn heartbeat(&self) -> Duration;

    /// Silences the path between two endpoints, both ways, without either being told.
    ///
    /// # Errors
    /// Why the backend cannot.
    fn cut(&self, a: &Address, b: &Address) -> Result<(), String>;
}

/// Prints why a case was skipped.
pub async fn report(name: &'static str, case: impl Future<Output = Outcome>) {
    if let Err(reason) = case.await {
        println!("{name} skipped: {reason}");
    }
}
