//! A node: what a program holds of it.

pub(crate) mod builder;
pub(crate) mod ending;
pub(crate) mod inner;
pub(crate) mod limits;
pub(crate) mod numbers;
mod outside;

use std::future::Future;
use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::FutureExt as _;
use midflight_message::{NodeId, Pid};
use midflight_runtime::{Handle, Instant};
use midflight_transport_api::Address;

use crate::ExitReason;
use crate::context::Context;
use crate::membership::member::{Member, MemberState};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::body::Body;
use crate::scheduler::frozen::{FreezeError, Frozen};
use crate::scheduler::function::{FunctionBody, Shared};
use crate::trace;

/// A running node. Clones are the same node. Make one with [`Node::builder`](crate::NodeBuilder).
#[derive(Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
}

/// The node has as many processes as it may (`Limits::processes`), or is closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has as many processes as it may (Limits::processes), or is closing")]
pub struct SpawnError;

impl Node {
    /// This incarnation of the node.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.inner.id
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What others dial.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.inner.end_point.get().map(|end_point| end_point.address().clone())
    }

    /// The runtime it runs on.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Starts a process made of an async function.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Context) -> F,
    ) -> Result<Pid, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        self.spawn_body(|place| self.function_body(name, place, function))
    }

    /// Starts a process made of an async function, once `prepare` has seen to its cell.
    pub(crate) fn spawn_prepared<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Context) -> F,
        prepare: impl FnOnce(Place),
    ) -> Result<Pid, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        self.spawn_body(|place| {
            prepare(place);
            self.function_body(name, place, function)
        })
    }

    fn function_body<F>(
        &self,
        name: &'static str,
        place: Place,
        function: impl FnOnce(Context) -> F,
    ) -> Box<dyn Body>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        let (context, shared) = self.context(place);
        let running = function(context);
        // An async block would hold the future twice.
        let future = Box::pin(running.map(IntoExitReason::into_exit_reason));
        Box::new(FunctionBody::new(name, future, shared))
    }

    /// Starts a process with a body that is made of a context and what the two share.
    pub(crate) fn spawn_function(
        &self,
        body: impl FnOnce(Context, Arc<Shared>) -> Box<dyn Body>,
    ) -> Result<Pid, SpawnError> {
        self.spawn_body(|place| {
            let (context, shared) = self.context(place);
            body(context, shared)
        })
    }

    /// The context of a process that is to run at `place`, and what it shares with its body.
    fn context(&self, place: Place) -> (Context, Arc<Shared>) {
        let shared = Arc::new(Shared::default());
        (Context { node: self.clone(), place, shared: shared.clone() }, shared)
    }

    /// Starts a process with a body of another kind, such as a hosted behaviour.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn_with(&self, body: impl FnOnce(Pid) -> Box<dyn Body>) -> Result<Pid, SpawnError> {
        self.spawn_body(|place| body(self.inner.local_pid(place)))
    }

    fn spawn_body(&self, body: impl FnOnce(Place) -> Box<dyn Body>) -> Result<Pid, SpawnError> {
        if self.inner.is_leaving() {
            return Err(SpawnError);
        }
        let reserved = Reserved { node: self, pid: self.reserve()? };
        let place = Place::of(reserved.pid);
        trace::spawned(&self.inner, reserved.pid);
        let pid = reserved.fill(body(place));
        self.inner.end_if_leaving(place);
        Ok(pid)
    }

    /// Runs `function` as a process and waits for what it answers. `None`: the process ended
    /// otherwise (it panicked, or was ended), or could not be started.
    ///
    /// # Cancel safety
    /// The process runs on when the future is dropped.
    pub async fn run<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Context) -> F,
    ) -> Option<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.try_run(name, function).await.ok().flatten()
    }

    /// As [`Node::run`]; an error when the process could not be started.
    pub(crate) async fn try_run<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Context) -> F,
    ) -> Result<Option<F::Output>, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let spawned = self.spawn(name, |context| {
            let running = function(context);
            async move {
                // Whoever has stopped waiting needs no answer.
                let _ = tell.send(running.await);
            }
        });
        spawned?;
        Ok(told.await.ok())
    }

    /// Sends a process an exit signal; see [`Context::exit`]. Answers false when there is no link to
    /// its node: then the signal goes nowhere.
    pub fn exit(&self, pid: Pid, reason: ExitReason) -> bool {
        self.inner.exit(Place::NOBODY, pid, reason)
    }

    /// Ends a process, which cannot prevent it; see [`Context::kill`]. Answers false when there is no
    /// link to its node: then nothing has happened.
    pub fn kill(&self, pid: Pid, reason: impl Into<String>) -> bool {
        self.inner.kill(Place::NOBODY, pid, reason.into())
    }

    /// Takes a local process's body out between two messages; waits for that until `deadline`.
    ///
    /// # Errors
    /// See [`FreezeError`]. The process goes on as it was.
    ///
    /// # Cancel safety
    /// A dropped future leaves the process running.
    pub async fn freeze(&self, pid: Pid, deadline: Instant) -> Result<Frozen, FreezeError> {
        Frozen::take(&self.inner, pid, deadline).await
    }

    /// The members of the cluster as this node knows them, itself included, by their ids: those that
    /// live, those that are suspected, and those that are down, until these are forgotten.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.inner.gossip.kernel.lock().members()
    }

    /// The nodes this one has a link to.
    #[must_use]
    pub fn peers(&self) -> Vec<Member> {
        let peers = self.inner.peers.read();
        let mut members: Vec<_> =
            peers.values().map(|peer| peer.card.member(MemberState::Alive)).collect();
        members.sort_by_key(|member| member.id);
        members
    }
}

/// A cell that was reserved for a body which is being made. The author's code runs meanwhile: when that
/// panics, the cell is given up.
struct Reserved<'a> {
    node: &'a Node,
    pid: Pid,
}

impl Reserved<'_> {
    fn fill(self, body: Box<dyn Body>) -> Pid {
        let pid = self.pid;
        // A node that is shut down in between has emptied the cell: its body goes with it.
        self.node.fill(pid, body);
        // Nothing is reserved any more that could be given up, which would take the cell's lock once more.
        std::mem::forget(self);
        pid
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.node.unreserve(self.pid);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.inner.name)
            .field("id", &self.inner.id)
            .field("processes", &self.inner.table.living())
            .finish()
    }
}

/// What a process's function may answer.
pub trait IntoExitReason {
    /// The reason with which the process ends.
    fn into_exit_reason(self) -> ExitReason;
}

impl IntoExitReason for () {
    fn into_exit_reason(self) -> ExitReason {
        ExitReason::Normal
    }
}

impl IntoExitReason for ExitReason {
    fn into_exit_reason(self) -> Self {
        self
    }
}

impl<E: std::fmt::Display> IntoExitReason for Result<(), E> {
    fn into_exit_reason(self) -> ExitReason {
        match self {
            Ok(()) => ExitReason::Normal,
            Err(error) => ExitReason::Error(error.to_string()),
        }
    }
}

/// A process that loops for ever answers nothing.
impl IntoExitReason for Never {
    fn into_exit_reason(self) -> ExitReason {
        self
    }
}

/// The type `!`, which can be had today only as what a function returns.
pub(crate) type Never = <fn() -> ! as Answer>::Type;

/// Gives a function's return type a name.
#[doc(hidden)]
pub trait Answer {
    /// What the function returns.
    type Type;
}

impl<T> Answer for fn() -> T {
    type Type = T;
}
