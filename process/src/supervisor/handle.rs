//! What others hold of a supervisor.

use std::time::Duration;

use midflight_message::{Message, Pid, encode};

use super::child::Child;
use super::error::{ChildError, ChildProblem};
use super::protocol::{ChildRef, Request, Response};
use super::spec::{ChildCounts, ChildInfo};
use crate::context::Context;
use crate::error::CallError;
use crate::mailbox::envelope::Refusal;
use crate::{Down, ExitReason, Received};

/// How long a supervisor is waited for. Starts and stops of children are waited for by the
/// supervisor, so that this is long; each has its own, shorter bound there.
const PATIENCE: Duration = Duration::from_secs(900);

/// A supervisor, as others see it: everything here is a call to it, from the process whose context
/// is given, wherever the two are. Each ends with [`CallError`] when the supervisor cannot be
/// reached, has ended, or ends meanwhile.
///
/// # Cancel safety
/// A dropped future drops the answer; the supervisor does what it was asked all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisorRef {
    pid: Pid,
}

impl SupervisorRef {
    /// The supervisor that is this process.
    #[must_use]
    pub const fn of(pid: Pid) -> Self {
        Self { pid }
    }

    /// Its process.
    #[must_use]
    pub const fn pid(self) -> Pid {
        self.pid
    }

    async fn ask(self, cx: &Context, request: Request) -> Result<Response, ChildError> {
        match cx.call(self.pid, request, PATIENCE).await? {
            Response::Problem(problem) => Err(problem.into()),
            response => Ok(response),
        }
    }

    /// Adds a child behind all others and starts it. `None`: its start function wanted no process.
    ///
    /// # Errors
    /// `Running`, `AlreadyPresent`: there is a child of that id. `NotStarted`: it could not be
    /// started, and is forgotten. `NotLocal` when the supervisor is on another node: functions do
    /// not travel; use a [template](SupervisorRef::start_dynamic).
    pub async fn start_child(self, cx: &Context, child: Child) -> Result<Option<Pid>, ChildError> {
        let child = Some(Box::new(child));
        match self.ask(cx, Request::Add { start: true, child }).await? {
            Response::Started(pid) => Ok(pid),
            _ => Err(unexpected()),
        }
    }

    /// Adds a child behind all others, and leaves it stopped.
    ///
    /// # Errors
    /// As [`SupervisorRef::start_child`].
    pub async fn add_child(self, cx: &Context, child: Child) -> Result<(), ChildError> {
        let child = Some(Box::new(child));
        self.ask(cx, Request::Add { start: false, child }).await.map(drop)
    }

    /// Starts another child of the [template](super::Template) that takes an `A`.
    ///
    /// # Errors
    /// `NoTemplate`: there is none, or its argument has another structure. `NotStarted`.
    pub async fn start_dynamic<A: Message>(
        self,
        cx: &Context,
        argument: A,
    ) -> Result<Pid, ChildError> {
        let mut bytes = Vec::new();
        encode(&argument, &mut bytes).map_err(|e| ChildProblem::NotStarted(e.to_string()))?;
        let fingerprint = A::type_info().fingerprint().to_string();
        let request = Request::Dynamic { argument: A::NAME.into(), fingerprint, bytes };
        match self.ask(cx, request).await? {
            Response::Started(Some(pid)) => Ok(pid),
            _ => Err(unexpected()),
        }
    }

    /// Starts a child again that was stopped, or was never started.
    ///
    /// # Errors
    /// `NotFound`; `Running`; `Restarting`: it is about to be started anyway; `NotStarted`: it
    /// stays as it was.
    pub async fn restart_child(
        self,
        cx: &Context,
        child: impl Into<ChildRef>,
    ) -> Result<Option<Pid>, ChildError> {
        match self.ask(cx, Request::Restart(child.into())).await? {
            Response::Started(pid) => Ok(pid),
            _ => Err(unexpected()),
        }
    }

    /// Stops a child. Its specification stays, unless it is temporary. Nothing happens to one that
    /// does not run, except that it is not restarted.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn terminate_child(
        self,
        cx: &Context,
        child: impl Into<ChildRef>,
    ) -> Result<(), ChildError> {
        self.ask(cx, Request::Terminate(child.into())).await.map(drop)
    }

    /// Forgets a child that was stopped.
    ///
    /// # Errors
    /// `NotFound`; `Running`; `Restarting`.
    pub async fn delete_child(
        self,
        cx: &Context,
        child: impl Into<ChildRef>,
    ) -> Result<(), ChildError> {
        self.ask(cx, Request::Delete(child.into())).await.map(drop)
    }

    /// The children, in start order.
    ///
    /// # Errors
    /// Only `Call`.
    pub async fn which_children(self, cx: &Context) -> Result<Vec<ChildInfo>, ChildError> {
        match self.ask(cx, Request::List).await? {
            Response::Children(children) => Ok(children),
            _ => Err(unexpected()),
        }
    }

    /// One child.
    ///
    /// # Errors
    /// Only `Call`.
    pub async fn lookup_child(
        self,
        cx: &Context,
        child: impl Into<ChildRef>,
    ) -> Result<Option<ChildInfo>, ChildError> {
        match self.ask(cx, Request::Look(child.into())).await? {
            Response::Child(child) => Ok(child),
            _ => Err(unexpected()),
        }
    }

    /// How many children there are.
    ///
    /// # Errors
    /// Only `Call`.
    pub async fn count_children(self, cx: &Context) -> Result<ChildCounts, ChildError> {
        match self.ask(cx, Request::Count).await? {
            Response::Counts(counts) => Ok(counts),
            _ => Err(unexpected()),
        }
    }

    /// Ends the supervisor with `Shutdown`, its children before it, and waits until it has ended.
    /// Answers the reason it ended with; that of one that had ended before is `NoProcess`.
    ///
    /// # Errors
    /// Only `Call`: it was not told, this node may not end it (`Role::Exit`), or it has not ended within 900 s. It may
    /// end later.
    ///
    /// # Cancel safety
    /// Whoever drops the future may have told the supervisor to end, and still gets its `Down`.
    pub async fn shut_down(self, cx: &Context) -> Result<ExitReason, ChildError> {
        let monitor = cx.monitor(self.pid).await;
        let told = cx.call::<_, Response>(self.pid, Request::ShutDown, PATIENCE).await;
        match told {
            // One that has ended is told of by the monitor.
            Ok(_) => {}
            Err(CallError::Refused {
                refusal: Refusal::Aborted { .. } | Refusal::NoProcess,
                ..
            }) => {}
            Err(error) => {
                cx.demonitor(monitor);
                return Err(error.into());
            }
        }
        let ours = |down: &Down| down.monitor == monitor;
        let down = cx.receive().on_if(ours, |down: Received<Down>| down.message.reason);
        let timed_out = CallError::TimedOut { to: self.pid, after: PATIENCE };
        down.timeout(PATIENCE).await.ok_or_else(|| timed_out.into())
    }
}

/// A supervisor that answers something else than it was asked: no supervisor of ours.
fn unexpected() -> ChildError {
    ChildProblem::NotFound.into()
}

impl From<SupervisorRef> for Pid {
    fn from(supervisor: SupervisorRef) -> Self {
        supervisor.pid
    }
}
