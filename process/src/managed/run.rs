//! The loop of a managed process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use futures_channel::oneshot;
use futures_util::FutureExt as _;
use midflight_message::Pid;
use midflight_runtime::{Instant, timeout};

use super::definition::{Managed, Unhandled, Verdict};
use super::handler::{Job, Rest, Taken};
use super::queue::Queue;
use super::server::Server;
use crate::channel::ReceivePort;
use crate::context::Context;
use crate::node::Node;
use crate::receive::AnyMessage;
use crate::scheduler::runner::panic_text;
use crate::supervisor::{Child, NoStart, Starter};
use crate::{ExitReason, Exited};

/// What makes the state, in the process, before the first message.
type Init<S> = Box<dyn FnOnce(&mut Server<S>) -> Result<S, NoStart> + Send>;

/// A message that is next, as far as it has been looked at.
enum Next {
    Taken(Taken),
    Exited(Exited),
    Unknown(AnyMessage),
}

/// What the loop does next.
enum Event<S> {
    Message(Next),
    /// What handles a control value.
    Control(Job<S>),
    Idle,
    /// Look again: a timer is due, or it was nothing.
    Again,
}

struct Running<S> {
    state: S,
    server: Server<S>,
    definition: Managed<S>,
    queue: Queue<Next>,
    parent: Option<Pid>,
    /// When something was handled last.
    active: Instant,
}

impl<S: Send + 'static> Managed<S> {
    /// Starts it, by itself, and waits until `init` has made its state.
    ///
    /// # Errors
    /// What `init` answered; `Failed` when it panicked, took longer than the
    /// [start's time-out](Managed::init_timeout), or the name is taken.
    ///
    /// # Cancel safety
    /// The process starts, and runs on, when the future is dropped.
    pub async fn start(
        self,
        node: &Node,
        init: impl FnOnce(&mut Server<S>) -> Result<S, NoStart> + Send + 'static,
    ) -> Result<Pid, NoStart> {
        let (limit, (tell, told)) = (self.init_timeout, oneshot::channel());
        let process = |cx| self.run(cx, None, Box::new(init), Some(tell));
        let pid = node.spawn("managed process", process).map_err(NoStart::failed)?;
        started(node, pid, told, limit).await
    }

    /// Starts it as [`start`](Managed::start) does, linked to the process whose context this is: its
    /// parent, whose exit signals it obeys.
    ///
    /// # Errors
    /// As [`start`](Managed::start).
    ///
    /// # Cancel safety
    /// As [`start`](Managed::start).
    pub async fn start_link(
        self,
        cx: &Context,
        init: impl FnOnce(&mut Server<S>) -> Result<S, NoStart> + Send + 'static,
    ) -> Result<Pid, NoStart> {
        let (limit, (tell, told)) = (self.init_timeout, oneshot::channel());
        let parent = Some(cx.me());
        let process = |cx| self.run(cx, parent, Box::new(init), Some(tell));
        let pid = cx.spawn_link("managed process", process).map_err(NoStart::failed)?;
        started(cx.node(), pid, told, limit).await
    }

    /// Is a managed process, in a process that was started otherwise: as the body of a registered
    /// function, say. Ends with its reason.
    pub async fn serve(
        self,
        cx: Context,
        init: impl FnOnce(&mut Server<S>) -> Result<S, NoStart> + Send + 'static,
    ) -> ExitReason {
        self.run(cx, None, Box::new(init), None).await
    }

    async fn run(
        mut self,
        cx: Context,
        parent: Option<Pid>,
        init: Init<S>,
        tell: Option<oneshot::Sender<Result<(), NoStart>>>,
    ) -> ExitReason {
        cx.trap_exits(true);
        cx.reconnect_policy(self.reconnect_policy);
        let named = self.name.take().map_or(Ok(()), |name| cx.register(&name));
        let mut server = Server::new(cx);
        let made = named.map_err(NoStart::failed).and_then(|()| {
            let made = catch_unwind(AssertUnwindSafe(|| init(&mut server)));
            made.unwrap_or_else(|panic| Err(NoStart::Failed(panicked(&*panic))))
        });
        let (state, told) = match made {
            Ok(state) => (Ok(state), Ok(())),
            Err(NoStart::Ignore) => (Err(ExitReason::Normal), Err(NoStart::Ignore)),
            Err(NoStart::Failed(why)) => {
                (Err(ExitReason::Error(why.clone())), Err(NoStart::Failed(why)))
            }
        };
        if let Some(tell) = tell {
            // Whoever waited may have gone.
            let _ = tell.send(told);
        }
        let state = match state {
            Ok(state) => state,
            Err(reason) => return reason,
        };
        let active = server.cx.now();
        let queue = Queue::default();
        Running { state, server, definition: self, queue, parent, active }.run().await
    }
}

impl Child {
    /// A managed process: `define` makes its definition and `init` its state, each time it is
    /// started.
    pub fn managed<S: Send + 'static>(
        id: &'static str,
        define: impl Fn() -> Managed<S> + Send + Sync + 'static,
        init: impl Fn(&mut Server<S>) -> Result<S, NoStart> + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::with(id, move |starter: Starter| {
            let (tell, told) = oneshot::channel();
            let (definition, parent) = (define(), Some(starter.supervisor()));
            let limit = definition.init_timeout;
            let init = Box::new(init.clone());
            let spawned = starter.spawn(id, |cx| definition.run(cx, parent, init, Some(tell)));
            async move { started(starter.node(), spawned?, told, limit).await }
        })
    }
}

/// Waits for the start; one that takes too long is ended.
async fn started(
    node: &Node,
    pid: Pid,
    told: oneshot::Receiver<Result<(), NoStart>>,
    limit: std::time::Duration,
) -> Result<Pid, NoStart> {
    match timeout(&**node.runtime(), limit, told).await {
        Ok(Ok(result)) => result.map(|()| pid),
        Ok(Err(_ended)) => Err(NoStart::Failed("it ended as it started".into())),
        Err(_elapsed) => {
            node.kill(pid, "its start took too long");
            Err(NoStart::Failed(format!("it had not started after {limit:?}")))
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    format!("it panicked: {}", panic_text(panic))
}

/// Does a handler's work to its end. A panic is the reason to end.
async fn guarded<'a>(begin: impl FnOnce() -> Rest<'a>) -> Result<(), ExitReason> {
    let ended = match catch_unwind(AssertUnwindSafe(begin)) {
        Ok(None) => return Ok(()),
        Ok(Some(rest)) => AssertUnwindSafe(rest).catch_unwind().await,
        Err(panic) => Err(panic),
    };
    ended.map_err(|panic| ExitReason::Panic(panic_text(&*panic)))
}

/// Waits for something else, unless a control value comes.
async fn or_control<S: 'static, T>(
    controls: &mut [ReceivePort<Job<S>>],
    other: impl Future<Output = T>,
) -> Result<T, Event<S>> {
    if controls.is_empty() {
        return Ok(other.await);
    }
    let mut other = pin!(other);
    std::future::poll_fn(|cx| {
        for values in &mut *controls {
            if let Poll::Ready(job) = values.poll(cx) {
                return Poll::Ready(Err(Event::Control(job)));
            }
        }
        other.as_mut().poll(cx).map(Ok)
    })
    .await
}

/// Whether it is an exit signal, and no message that looks like one.
fn is_exit_signal(message: &AnyMessage) -> bool {
    message.is_told() && message.is::<Exited>()
}

/// Takes whatever comes. What its handler could not read yet stays in the mailbox, and holds up nobody
/// else's messages.
async fn any<S>(
    cx: &Context,
    definition: &mut Managed<S>,
    within: Option<std::time::Duration>,
) -> Option<AnyMessage> {
    let handlers = &mut definition.handlers;
    let undecided = |message: &AnyMessage| {
        handlers.iter_mut().find(|handler| handler.takes(message))?.undecided(message)
    };
    let receive = cx.receive().any_decided(undecided, |message| message);
    match within {
        None => Some(receive.forever().await),
        Some(within) => receive.timeout(within).await,
    }
}

impl<S: Send + 'static> Running<S> {
    async fn run(mut self) -> ExitReason {
        loop {
            if let Some(reason) = self.server.stop.take() {
                return self.end(reason).await;
            }
            if let Some(definition) = self.server.replacement.take() {
                self.definition = *definition;
            }
            if let Err(panic) = self.turn().await {
                return self.end(panic).await;
            }
        }
    }

    /// Does one thing.
    async fn turn(&mut self) -> Result<(), ExitReason> {
        self.server.from = None;
        if let Some(job) = self.server.next.pop_front() {
            return guarded(|| job(&mut self.state, &mut self.server)).await;
        }
        if let Some(pause) = self.server.pause.take() {
            return self.hibernate(pause).await;
        }
        if let Some(job) = self.server.due() {
            return guarded(|| job(&mut self.state, &mut self.server)).await;
        }
        let handled = match self.next().await {
            Event::Again => return Ok(()),
            Event::Idle => self.idle().await,
            Event::Control(job) => guarded(|| job(&mut self.state, &mut self.server)).await,
            Event::Message(Next::Exited(exited)) => self.exited(exited).await,
            Event::Message(Next::Taken(taken)) => self.handle(taken).await,
            Event::Message(Next::Unknown(message)) => {
                self.unhandled(message).await;
                Ok(())
            }
        };
        self.active = self.server.cx.now();
        handled
    }

    /// Nothing but exit signals, for so long.
    async fn hibernate(&mut self, pause: std::time::Duration) -> Result<(), ExitReason> {
        let until = self.server.cx.now() + pause;
        let signal =
            self.server.cx.receive().any_if(|message| is_exit_signal(message), |message| message);
        if let Some(signal) = signal.timeout(pause).await {
            let left = until.since(self.server.cx.now());
            if !left.is_zero() {
                self.server.pause = Some(left);
            }
            if let Some(Next::Exited(exited)) = self.look_at(signal).await {
                return self.exited(exited).await;
            }
        }
        Ok(())
    }

    /// The next message, in the order of the priorities where there are any; a control value before it.
    async fn next(&mut self) -> Event<S> {
        if let Err(control) = or_control(&mut self.server.controls, async {}).await {
            return control;
        }
        if !self.definition.is_prioritised() && self.queue.is_empty() {
            return match self.receive().await {
                Ok(message) => self.look_at(message).await.map_or(Event::Again, Event::Message),
                Err(event) => event,
            };
        }
        if self.queue.is_empty() {
            match self.receive().await {
                Ok(message) => self.enqueue(message).await,
                Err(event) => return event,
            }
        }
        while self.queue.len() < self.definition.backlog {
            let none = Some(std::time::Duration::ZERO);
            let there = any(&self.server.cx, &mut self.definition, none);
            let Some(message) = there.await else { break };
            self.enqueue(message).await;
        }
        self.queue.pop().map_or(Event::Again, Event::Message)
    }

    /// Waits for a message, until a timer is due or the idle time over.
    async fn receive(&mut self) -> Result<AnyMessage, Event<S>> {
        let idle = self.server.idle.map(|idle| self.active + idle);
        let until = self.server.first_timer().into_iter().chain(idle).min();
        let within = until.map(|until| until.since(self.server.cx.now()));
        let Server { cx, controls, .. } = &mut self.server;
        let received = or_control(controls, any(cx, &mut self.definition, within)).await?;
        received.ok_or_else(|| {
            let is_idle = idle.is_some_and(|idle| idle <= self.server.cx.now());
            if is_idle { Event::Idle } else { Event::Again }
        })
    }

    async fn enqueue(&mut self, message: AnyMessage) {
        let Some(next) = self.look_at(message).await else { return };
        let priority = match &next {
            Next::Exited(_) => i32::MAX,
            Next::Taken(taken) => {
                self.definition.priority_of(&*taken.message, taken.reply_to.is_some())
            }
            Next::Unknown(_) => 0,
        };
        self.queue.push(priority, next);
    }

    /// Reads a message for its handler. `None`: it cannot be read, and its sender knows.
    async fn look_at(&mut self, message: AnyMessage) -> Option<Next> {
        let cx = &self.server.cx;
        if is_exit_signal(&message) {
            return message.read::<Exited>(cx).await.ok().map(|read| Next::Exited(read.message));
        }
        let handler = self.definition.handlers.iter().find(|handler| handler.takes(&message));
        let Some(handler) = handler else { return Some(Next::Unknown(message)) };
        let reading = handler.read(message, cx);
        reading.await.ok().map(Next::Taken)
    }

    async fn handle(&mut self, mut taken: Taken) -> Result<(), ExitReason> {
        self.server.from = taken.from;
        let is_call = taken.reply_to.is_some();
        let Self { state, server, definition, .. } = self;
        let judged =
            catch_unwind(AssertUnwindSafe(|| definition.verdict(state, &*taken.message, is_call)));
        match judged.map_err(|panic| ExitReason::Panic(panic_text(&*panic)))? {
            Verdict::Pass => {}
            Verdict::Reject(why) => {
                if let Some(caller) = taken.reply_to.take() {
                    caller.abort(format!("rejected: {why}"));
                }
                return Ok(());
            }
            Verdict::Stop(reason) => {
                server.stop(reason);
                return Ok(());
            }
        }
        // By its type: the definition may be another one than the one that read it.
        let handler = definition.handlers.iter_mut().find(|handler| handler.is_for(&taken));
        match handler {
            Some(handler) => guarded(|| handler.handle(state, taken, server)).await,
            None => {
                server.unhandled += 1;
                tracing::warn!(process = %server.cx.me(), "a message has no handler any more");
                Ok(())
            }
        }
    }

    async fn exited(&mut self, exited: Exited) -> Result<(), ExitReason> {
        if Some(exited.from) == self.parent {
            self.server.stop(exited.reason);
            return Ok(());
        }
        let Self { state, server, definition, .. } = self;
        match &mut definition.on_exit {
            Some(handle) => guarded(|| handle(state, exited, server)).await,
            None => {
                if exited.reason != ExitReason::Normal {
                    server.stop(exited.reason);
                }
                Ok(())
            }
        }
    }

    async fn idle(&mut self) -> Result<(), ExitReason> {
        let Self { state, server, definition, .. } = self;
        match &mut definition.on_timeout {
            Some(handle) => guarded(|| handle(state, server)).await,
            None => {
                server.stop(ExitReason::Error("nothing came for the idle time".into()));
                Ok(())
            }
        }
    }

    async fn unhandled(&mut self, message: AnyMessage) {
        let Self { server, definition, .. } = self;
        server.unhandled += 1;
        let (me, name) = (server.cx.me(), message.type_name());
        match definition.unhandled {
            Unhandled::Refuse | Unhandled::Terminate if message.is_unasked() => {
                tracing::warn!(process = %me, notice = %name, "no handler is for a notice");
            }
            Unhandled::Refuse => {
                let accepts = definition.handlers.iter().map(|handler| handler.name().to_owned());
                message.refuse(accepts.collect(), "managed process");
            }
            Unhandled::Terminate => {
                server.stop(ExitReason::Error(format!("no handler is for {name}")));
            }
            Unhandled::DeadLetter(to) => {
                if let Err(error) = message.forward(&server.cx, to).await {
                    tracing::warn!(process = %me, message = %name, %error, "not passed on");
                }
            }
            Unhandled::Drop => tracing::warn!(process = %me, message = %name, "dropped"),
        }
    }

    async fn end(mut self, reason: ExitReason) -> ExitReason {
        let Some(terminate) = self.definition.terminate.take() else { return reason };
        let Self { state, server, .. } = &mut self;
        let why = reason.clone();
        if let Err(panic) = guarded(|| terminate(state, why, server)).await {
            tracing::warn!(process = %self.server.cx.me(), %panic, "terminate failed");
        }
        reason
    }
}
