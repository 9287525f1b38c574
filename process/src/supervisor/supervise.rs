//! A supervisor's description, and how one is started.

use std::time::Duration;

use futures_channel::oneshot;
use midflight_message::Pid;

use super::child::{Child, Starter, Template};
use super::error::NoStart;
use super::handle::SupervisorRef;
use super::process::Process;
use super::spec::{AutoShutdown, Intensity, Policy, RestartMode, ShutdownOrder, Strategy};
use crate::ExitReason;
use crate::context::Context;
use crate::node::Node;

/// A supervisor to be: its strategy and its children, in start order.
///
/// A supervisor is a process that traps exits. It obeys exit signals of its parent, the process that
/// started it with [`start_link`](Supervisor::start_link), and of whoever is no process
/// ([`Node::exit`]); those of other processes it ignores, as Erlang's do. [`SupervisorRef::shut_down`]
/// ends it from anywhere.
#[must_use = "a supervisor is to be started"]
#[derive(Debug, Default)]
pub struct Supervisor {
    pub(crate) policy: Policy,
    pub(crate) children: Vec<Child>,
    pub(crate) templates: Vec<Template>,
    pub(crate) observer: Option<Pid>,
    pub(crate) name: Option<String>,
}

impl Supervisor {
    /// A supervisor with this strategy and no children.
    pub fn new(strategy: Strategy) -> Self {
        Self { policy: Policy { strategy, ..Policy::default() }, ..Self::default() }
    }

    /// How many restarts within which time are borne (one in five seconds). Beyond that it ends
    /// its children, in the reverse of their start order, and itself, with `Shutdown`.
    pub const fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.policy.intensity = Intensity { restarts, period };
        self
    }

    /// In which order several children are restarted.
    pub const fn restart_mode(mut self, mode: RestartMode) -> Self {
        self.policy.mode = mode;
        self
    }

    /// Whether it ends with its significant children (it does not).
    pub const fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.policy.auto_shutdown = auto_shutdown;
        self
    }

    /// In which order the children are ended with it.
    pub const fn shutdown_order(mut self, order: ShutdownOrder) -> Self {
        self.policy.shutdown_order = order;
        self
    }

    /// How long any child may take to end (ten minutes): what [`Shutdown::Infinity`] comes to.
    ///
    /// [`Shutdown::Infinity`]: super::Shutdown::Infinity
    pub const fn shutdown_max(mut self, time: Duration) -> Self {
        self.policy.bounds.shutdown_max = time;
        self
    }

    /// How many children it may have (65,536).
    pub const fn children_max(mut self, children: usize) -> Self {
        self.policy.bounds.children = children;
        self
    }

    /// Adds a child behind those it has.
    pub fn child(mut self, child: Child) -> Self {
        self.children.push(child);
        self
    }

    /// Adds a template for [dynamic children](SupervisorRef::start_dynamic).
    pub fn template(mut self, template: Template) -> Self {
        self.templates.push(template);
        self
    }

    /// Tells this process everything that happens, as
    /// [`SupervisorEvent`](super::SupervisorEvent)s, in order. Those it has no room for are dropped.
    pub const fn observer(mut self, observer: Pid) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Gives the supervisor this name on its node.
    pub fn register(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Starts it, by itself, and waits until all its children have started.
    ///
    /// # Errors
    /// `Failed` when a child did not start; those that had were ended again.
    ///
    /// # Cancel safety
    /// The supervisor starts, and runs on, when the future is dropped.
    pub async fn start(self, node: &Node) -> Result<SupervisorRef, NoStart> {
        let (tell, told) = oneshot::channel();
        let process = |cx| Process::new(self, cx, None).run(tell);
        let pid = node.spawn("supervisor", process).map_err(NoStart::failed)?;
        ready(told).await.map(|()| SupervisorRef::of(pid))
    }

    /// Starts it as [`start`](Supervisor::start) does, linked to the process whose context this is:
    /// its parent. The parent ends when it ends otherwise than normally, unless it traps exits.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start).
    ///
    /// # Cancel safety
    /// As [`start`](Supervisor::start).
    pub async fn start_link(self, cx: &Context) -> Result<SupervisorRef, NoStart> {
        let (tell, told) = oneshot::channel();
        let parent = Some(cx.me());
        let process = |cx| Process::new(self, cx, parent).run(tell);
        let pid = cx.spawn_link("supervisor", process).map_err(NoStart::failed)?;
        ready(told).await.map(|()| SupervisorRef::of(pid))
    }

    /// Starts it as a child.
    pub(crate) async fn start_below(
        self,
        name: &'static str,
        starter: Starter,
    ) -> Result<Pid, NoStart> {
        let (tell, told) = oneshot::channel();
        let parent = Some(starter.supervisor());
        let pid = starter.spawn(name, |cx| Process::new(self, cx, parent).run(tell))?;
        ready(told).await.map(|()| pid)
    }

    /// Is a supervisor, in a process that was started otherwise: as the body of a registered
    /// function, say. Ends when the supervisor does, with its reason.
    pub async fn serve(self, cx: Context) -> ExitReason {
        let (tell, _nobody_waits) = oneshot::channel();
        Process::new(self, cx, None).run(tell).await
    }
}

async fn ready(told: oneshot::Receiver<Result<(), NoStart>>) -> Result<(), NoStart> {
    told.await.unwrap_or_else(|_ended| Err(NoStart::Failed("it ended as it started".into())))
}
