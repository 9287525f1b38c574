//! What a backend gives to the suite.

use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Address, Bind, Transport};

/// A case under way.
pub type CaseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a case ended that did not panic: done, or skipped for a reason.
pub type Outcome = Result<(), String>;

/// Silences the path between two endpoints, both ways and without either being told (`true`), or
/// lets it speak again.
pub type Cut = Arc<dyn Fn(&Address, &Address, bool) + Send + Sync>;

/// Makes a transport of the same network that speaks the protocol versions from the first to the
/// second. Every range of which the suite asks begins at 1 or has no version that exists.
pub type Speaking = Arc<dyn Fn(u16, u16) -> Arc<dyn Transport> + Send + Sync>;

/// What the process holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Open sockets, or descriptors of any kind.
    pub sockets: usize,
    /// Bytes on the heap.
    pub bytes: usize,
}

/// A network of the backend, made anew for each case. Clones are the same network.
#[derive(Clone)]
pub struct Fixture {
    /// The transport.
    pub transport: Arc<dyn Transport>,
    /// How an endpoint of that name listens. The suite never has two of one name.
    pub bind: Arc<dyn Fn(&str) -> Bind + Send + Sync>,
    /// A well-formed address at which nobody listens.
    pub nobody: Address,
    /// The heartbeat bound of the transport; half a second or so keeps the suite quick.
    pub heartbeat: Duration,
    /// How long a polite close may take before the link is cut.
    pub drain: Duration,
    /// Runs a task beside the case.
    pub spawn: Arc<dyn Fn(CaseFuture) + Send + Sync>,
    /// The time since any fixed point.
    pub now: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Ends after a while.
    pub sleep: Arc<dyn Fn(Duration) -> CaseFuture + Send + Sync>,
    /// Cuts a path, or why the backend cannot.
    pub cut: Result<Cut, String>,
    /// Speaks other versions, or why the backend cannot.
    pub speaking: Result<Speaking, String>,
    /// Measures this process, or why that is not done here; for the cases about leaks alone.
    pub usage: Result<Arc<dyn Fn() -> Usage + Send + Sync>, String>,
}

impl Fixture {
    /// Runs `task` beside the case.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.spawn)(Box::pin(task));
    }

    /// The time since any fixed point.
    #[must_use]
    pub fn now(&self) -> Duration {
        (self.now)()
    }

    /// Ends after `duration`.
    pub fn sleep(&self, duration: Duration) -> CaseFuture {
        (self.sleep)(duration)
    }

    /// Silences the path between `a` and `b`.
    ///
    /// # Errors
    /// Why the backend cannot.
    pub fn cut(&self, a: &Address, b: &Address) -> Outcome {
        self.cut.as_ref().map_err(String::clone)?(a, b, true);
        Ok(())
    }

    /// Lets the path between `a` and `b` speak again.
    ///
    /// # Errors
    /// Why the backend cannot.
    pub fn heal(&self, a: &Address, b: &Address) -> Outcome {
        self.cut.as_ref().map_err(String::clone)?(a, b, false);
        Ok(())
    }

    /// A transport of the same network that speaks the versions `low` to `high`.
    ///
    /// # Errors
    /// Why the backend cannot.
    pub fn speaking(&self, low: u16, high: u16) -> Result<Arc<dyn Transport>, String> {
        Ok(self.speaking.as_ref().map_err(String::clone)?(low, high))
    }

    /// What the process holds.
    ///
    /// # Errors
    /// Why that is not measured.
    pub fn usage(&self) -> Result<Usage, String> {
        Ok(self.usage.as_ref().map_err(String::clone)?())
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("transport", &self.transport).finish_non_exhaustive()
    }
}

/// Says why a case was skipped, past the capture that hides what a good test prints.
pub async fn report(name: &'static str, case: impl Future<Output = Outcome>) {
    if let Err(reason) = case.await {
        // Nothing can be done about a closed standard error.
        let _ = writeln!(std::io::stderr(), "{name} skipped: {reason}");
    }
}
