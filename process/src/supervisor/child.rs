//! What a supervisor is given of each child: a specification and how to start it.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use midflight_message::{Message, Pid, decode};
use midflight_runtime::BoxFuture;
use parking_lot::Mutex;

use super::error::NoStart;
use super::spec::{ChildKind, ChildSpec, Restart, Shutdown};
use super::supervise::Supervisor;
use crate::context::Context;
use crate::node::{IntoExitReason, Node};
use crate::scheduler::runner::panic_text;

/// Starts a child; called again for every restart.
pub(crate) type StartFn = Arc<dyn Fn(Starter) -> BoxFuture<Result<Pid, NoStart>> + Send + Sync>;

/// A start function for an argument, which is encoded.
pub(crate) type TemplateFn = Arc<dyn Fn(Arc<[u8]>) -> StartFn + Send + Sync>;

/// How long a start may take unless the child says otherwise.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A child for a supervisor: how it is started, when it is started again, how it is ended.
///
/// It is permanent, has five seconds to end, and 30 seconds to start, unless told otherwise.
#[must_use = "a child is given to a supervisor"]
pub struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) start: StartFn,
    /// The name it gets on its node.
    pub(crate) name: Option<String>,
}

impl Child {
    /// A process made of an async function, as [`Node::spawn`] makes them. `id` names the child
    /// inside its supervisor.
    ///
    /// An exit signal ends it between two messages, wherever it waits; if it is to do something
    /// before it ends, it traps exits and receives [`Exited`](crate::Exited).
    pub fn new<F>(id: &'static str, function: impl Fn(Context) -> F + Send + Sync + 'static) -> Self
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        Self::with(id, move |starter| {
            let pid = starter.spawn(id, &function);
            async move { pid }
        })
    }

    /// A child that `start` starts: it answers the process, or why there is none. It may take until
    /// the [start's time-out](Child::start_timeout). What it started through its [`Starter`] is
    /// killed when it fails, panics or takes longer. The process it answers is linked to the
    /// supervisor.
    pub fn with<F, E>(
        id: impl Into<String>,
        start: impl Fn(Starter) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Pid, E>> + Send + 'static,
        E: Into<NoStart>,
    {
        let start: StartFn = Arc::new(move |starter| {
            let starting = start(starter);
            Box::pin(async move { starting.await.map_err(Into::into) })
        });
        Self::from_parts(id.into(), start)
    }

    /// A supervisor below this one; `build` makes its description, each time it is started. It has
    /// started when all its children have, and has all the time there is to end them
    /// ([`Shutdown::Infinity`]).
    pub fn supervisor(
        id: &'static str,
        build: impl Fn() -> Supervisor + Send + Sync + 'static,
    ) -> Self {
        let child = Self::with(id, move |starter| build().start_below(id, starter));
        child.kind(ChildKind::Supervisor).shutdown(Shutdown::Infinity)
    }

    fn from_parts(id: String, start: StartFn) -> Self {
        let spec = ChildSpec {
            id,
            kind: ChildKind::default(),
            restart: Restart::default(),
            shutdown: Shutdown::default(),
            significant: false,
            delay: None,
            start_timeout: START_TIMEOUT,
        };
        Self { spec, start, name: None }
    }

    /// When it is started again (always).
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.spec.restart = restart;
        self
    }

    /// How it is ended (it is told, and has five seconds).
    pub const fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.spec.shutdown = shutdown;
        self
    }

    /// Whether it is listed as a supervisor (no).
    pub const fn kind(mut self, kind: ChildKind) -> Self {
        self.spec.kind = kind;
        self
    }

    /// Its end by itself may end the supervisor; see
    /// [`AutoShutdown`](super::AutoShutdown). For transient and temporary children.
    pub const fn significant(mut self) -> Self {
        self.spec.significant = true;
        self
    }

    /// When a restart of it would be one too many, it waits for `delay` and is made then, rather
    /// than the supervisor ending (Cloud Haskell's delayed restart).
    pub const fn restart_delay(mut self, delay: Duration) -> Self {
        self.spec.delay = Some(delay);
        self
    }

    /// How long a start may take (30 s). One that takes longer has failed.
    pub const fn start_timeout(mut self, timeout: Duration) -> Self {
        self.spec.start_timeout = timeout;
        self
    }

    /// Gives its process this name on the supervisor's node, each time it is started. Where the name
    /// is taken, the start has failed.
    pub fn register(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Another id than the one it was made with.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.spec.id = id.into();
        self
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Children of one kind that are started while the supervisor runs, each with an argument (Erlang's
/// simple-one-for-one). It is found by the argument's type.
#[must_use = "a template is given to a supervisor"]
pub struct Template {
    pub(crate) argument: &'static str,
    pub(crate) fingerprint: String,
    pub(crate) spec: ChildSpec,
    pub(crate) start: TemplateFn,
}

impl Template {
    /// Children made of `function`, called `id-1`, `id-2` and so on. They are temporary, unless
    /// [`Template::like`] says otherwise. The argument is kept, encoded, for restarts.
    pub fn new<A, F>(
        id: &'static str,
        function: impl Fn(Context, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: Message,
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        let function = Arc::new(function);
        let start = move |argument: Arc<[u8]>| -> StartFn {
            let function = function.clone();
            Arc::new(move |starter: Starter| {
                let started = decode::<A>(&argument)
                    .map_err(NoStart::failed)
                    .and_then(|argument| starter.spawn(id, |cx| function(cx, argument)));
                Box::pin(async move { started })
            })
        };
        Self::from_start::<A>(id.into(), Arc::new(start))
    }

    pub(crate) fn from_start<A: Message>(id: String, start: TemplateFn) -> Self {
        let spec = Child::from_parts(id, Arc::new(|_| Box::pin(never()))).spec;
        let spec = ChildSpec { restart: Restart::Temporary, ..spec };
        let fingerprint = A::type_info().fingerprint().to_string();
        Self { argument: A::NAME, fingerprint, spec, start }
    }

    /// Restart, shutdown and all the rest as `child` has them; its start function is not used.
    pub fn like(mut self, child: Child) -> Self {
        let id = self.spec.id;
        self.spec = ChildSpec { id, ..child.spec };
        self
    }
}

async fn never() -> Result<Pid, NoStart> {
    Err(NoStart::Ignore)
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Template");
        debug.field("argument", &self.argument).field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// What a child's start function works with: the supervisor's hands.
#[derive(Debug, Clone)]
pub struct Starter {
    context: Arc<Context>,
    made: Arc<Mutex<Vec<Pid>>>,
}

impl Starter {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        Self { context: context.clone(), made: Arc::default() }
    }

    /// The supervisor.
    #[must_use]
    pub fn supervisor(&self) -> Pid {
        self.context.me()
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.context.node()
    }

    /// Starts a process that is linked to the supervisor from its first moment.
    ///
    /// # Errors
    /// `Failed` when the node has no room for it.
    pub fn spawn<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Context) -> F,
    ) -> Result<Pid, NoStart>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        let pid = self.context.spawn_link(name, function).map_err(NoStart::failed)?;
        self.made.lock().push(pid);
        Ok(pid)
    }

    /// Remembers what was made otherwise.
    pub(crate) fn made(&self, pid: Pid) {
        self.made.lock().push(pid);
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Ends what was made: the start has come to nothing.
    pub(crate) fn undo(&self) {
        let made = std::mem::take(&mut *self.made.lock());
        for pid in made {
            self.context.unlink(pid);
            self.context.node().kill(pid, "its start failed");
        }
    }
}

/// Runs a start function to its end: a panic is a failure, the process is linked and watched, and
/// has its name.
pub(crate) async fn run_start(
    start: StartFn,
    starter: Starter,
    name: Option<String>,
) -> Result<Pid, NoStart> {
    let panicked = |panic: Box<dyn std::any::Any + Send>| {
        Err(NoStart::Failed(format!("it panicked: {}", panic_text(&*panic))))
    };
    let starting = std::panic::catch_unwind(AssertUnwindSafe(|| start(starter.clone())));
    let started = match starting {
        Ok(starting) => AssertUnwindSafe(starting).catch_unwind().await.unwrap_or_else(panicked),
        Err(panic) => panicked(panic),
    };
    let named = started.and_then(|pid| match &name {
        Some(name) => starter.node().register(name, pid).map(|()| pid).map_err(NoStart::failed),
        None => Ok(pid),
    });
    match named {
        Ok(pid) => {
            // Watched, so that its end is known whatever it unlinks; linked, so that it does not
            // outlive its supervisor.
            starter.context().link(pid).await;
            starter.context().monitor(pid).await;
            Ok(pid)
        }
        Err(why) => {
            starter.undo();
            Err(why)
        }
    }
}
