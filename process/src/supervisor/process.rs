//! The process around a supervisor's decisions: it receives, asks, and does as it is told.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_channel::oneshot;
use midflight_message::{Message as _, Pid};
use midflight_runtime::BoxFuture;
use rustc_hash::FxHashMap;

use super::child::{StartFn, Starter, Template, run_start};
use super::error::{ChildProblem, NoStart};
use super::kernel::{Action, Command, Event, Kernel, Key, Ticket};
use super::protocol::{Request, Response};
use super::spec::{ChildSpec, SupervisorEvent};
use super::supervise::Supervisor;
use crate::context::Context;
use crate::peer::wire::Place;
use crate::receive::AnyMessage;
use crate::timers::deadline::Deadline;
use crate::{Down, ExitReason, Exited, Received, ReconnectPolicy, ReplyTo};

/// How a child is started, and what it is called.
type Recipe = (StartFn, Option<String>);

/// A start that is under way.
struct Starting {
    key: Key,
    starter: Starter,
    done: BoxFuture<Result<Pid, NoStart>>,
}

/// Something that woke the supervisor.
enum Woken {
    Started(Result<Pid, NoStart>),
    /// The end of a child, or an exit signal.
    Told(AnyMessage),
    Request(Received<Request>),
    /// Nothing a supervisor knows.
    Stray(AnyMessage),
    Time,
}

pub(crate) struct Process {
    cx: Arc<Context>,
    parent: Option<Pid>,
    kernel: Kernel,
    recipes: FxHashMap<Key, Recipe>,
    /// Recipes of children that have not been taken in yet.
    offered: FxHashMap<Ticket, Recipe>,
    callers: FxHashMap<Ticket, ReplyTo>,
    starting: Option<Starting>,
    templates: Vec<Template>,
    /// How many children came of templates.
    made: u64,
    next_ticket: u64,
    observer: Option<Pid>,
    ready: Option<oneshot::Sender<Result<(), NoStart>>>,
    /// Why it cannot even begin.
    refused: Option<String>,
    name: Option<String>,
    why: Option<String>,
}

impl Process {
    pub(crate) fn new(supervisor: Supervisor, cx: Context, parent: Option<Pid>) -> Self {
        let Supervisor { policy, children, templates, observer, name } = supervisor;
        let (specs, recipes): (Vec<ChildSpec>, Vec<Recipe>) =
            children.into_iter().map(|child| (child.spec, (child.start, child.name))).unzip();
        let (kernel, keys, refused) = match Kernel::new(policy, specs) {
            Ok((kernel, keys)) => (kernel, keys, None),
            Err(why) => (Kernel::empty(policy), Vec::new(), Some(why)),
        };
        Self {
            cx: Arc::new(cx),
            parent,
            kernel,
            recipes: keys.into_iter().zip(recipes).collect(),
            offered: FxHashMap::default(),
            callers: FxHashMap::default(),
            starting: None,
            templates,
            made: 0,
            next_ticket: 0,
            observer,
            ready: None,
            refused,
            name,
            why: None,
        }
    }

    /// Supervises until the end; `ready` is told when all children have started, or why not.
    pub(crate) async fn run(mut self, ready: oneshot::Sender<Result<(), NoStart>>) -> ExitReason {
        self.cx.trap_exits(true);
        self.cx.node().inner.relate(self.cx.place, |relations| relations.supervises = true);
        // What it tells its observer and its children's nodes may be lost: it goes on, as they do.
        self.cx.reconnect_policy(ReconnectPolicy::Accept);
        let named = match &self.name {
            Some(name) => self.cx.register(name).map_err(|error| error.to_string()),
            None => Ok(()),
        };
        if let Some(why) = self.refused.take().or_else(|| named.err()) {
            // Whoever waited may have gone.
            let _ = ready.send(Err(NoStart::Failed(why.clone())));
            return ExitReason::Error(why);
        }
        self.ready = Some(ready);
        let mut event = Some(Event::Tick);
        loop {
            if let Some(event) = event.take()
                && let Some(reason) = self.step(event)
            {
                return reason;
            }
            event = self.wait().await;
        }
    }

    /// Waits for something to happen. `None`: it was nothing for the kernel.
    async fn wait(&mut self) -> Option<Event> {
        let woken = self.woken().await;
        match woken {
            Woken::Started(result) => {
                let Starting { key, .. } = self.starting.take()?;
                Some(match result {
                    Ok(pid) => Event::Started(key, pid),
                    Err(why) => Event::NotStarted(key, why),
                })
            }
            Woken::Told(message) => self.told(message).await,
            Woken::Request(received) => self.request(received),
            Woken::Stray(message) if message.is_unasked() => {
                tracing::warn!(me = %self.cx.me(), ?message, "a supervisor's message was not taken");
                None
            }
            Woken::Stray(message) => {
                message.refuse(vec![Request::NAME.into()], "supervisor");
                None
            }
            Woken::Time => Some(Event::Tick),
        }
    }

    /// The future is dropped without harm: what has not been received stays.
    fn woken(&mut self) -> impl Future<Output = Woken> {
        let cx = &self.cx;
        let starting = &mut self.starting;
        let deadline = self.kernel.deadline();
        async move {
            let mut received = pin!(
                cx.receive()
                    .any_if(|message| message.is_told(), Woken::Told)
                    .on(Woken::Request)
                    .any(Woken::Stray)
                    .forever()
            );
            let mut timer = deadline.map(Deadline::at);
            std::future::poll_fn(|task| {
                if let Some(starting) = starting
                    && let Poll::Ready(result) = starting.done.as_mut().poll(task)
                {
                    return Poll::Ready(Woken::Started(result));
                }
                if let Poll::Ready(woken) = received.as_mut().poll(task) {
                    return Poll::Ready(woken);
                }
                match &mut timer {
                    Some(timer) => timer.poll(cx.waits(), task).map(|()| Woken::Time),
                    None => Poll::Pending,
                }
            })
            .await
        }
    }

    /// What the node says of the ends of others. A message that looks like it is a stray.
    async fn told(&mut self, message: AnyMessage) -> Option<Event> {
        if message.is::<Down>() {
            let down = message.read::<Down>(&self.cx).await.ok()?.message;
            return Some(Event::Exited(down.process, down.reason));
        }
        let exited = message.read::<Exited>(&self.cx).await.ok()?;
        self.exit_signal(exited.message)
    }

    /// An exit signal: the parent is obeyed, and so is whoever is no process. What comes from others is
    /// the end of a child, which its monitor tells of, or none of its business.
    fn exit_signal(&self, exited: Exited) -> Option<Event> {
        let Exited { from, reason } = exited;
        let nobody = self.cx.node().id() == from.node && Place::NOBODY == Place::of(from);
        (nobody || self.parent == Some(from)).then_some(Event::ShutDown(reason))
    }

    fn request(&mut self, received: Received<Request>) -> Option<Event> {
        let ticket = Ticket(self.next_ticket);
        // Who asks without waiting for an answer is nobody that asks here.
        let caller = received.reply_to?;
        if let Err(no) = caller.may(received.message.role()) {
            caller.not_allowed(no);
            return None;
        }
        let command = match received.message {
            Request::Add { child: None, .. } => Err(ChildProblem::NotLocal),
            Request::Add { start, child: Some(child) } => {
                self.offered.insert(ticket, (child.start, child.name));
                Ok(Command::Add { spec: child.spec, start })
            }
            Request::Dynamic { argument, fingerprint, bytes } => {
                self.dynamic(ticket, argument, &fingerprint, bytes)
            }
            Request::Restart(child) => Ok(Command::Restart(child.into())),
            Request::Terminate(child) => Ok(Command::Terminate(child.into())),
            Request::Delete(child) => Ok(Command::Delete(child.into())),
            Request::List => Ok(Command::List),
            Request::Look(child) => Ok(Command::Look(child.into())),
            Request::Count => Ok(Command::Count),
            Request::ShutDown => {
                caller.reply(Response::Done);
                return Some(Event::ShutDown(ExitReason::Shutdown));
            }
        };
        match command {
            Ok(command) => {
                self.next_ticket += 1;
                self.callers.insert(ticket, caller);
                Some(Event::Command(ticket, command))
            }
            Err(problem) => {
                caller.reply(Response::Problem(problem));
                None
            }
        }
    }

    /// A child of a template.
    fn dynamic(
        &mut self,
        ticket: Ticket,
        argument: String,
        fingerprint: &str,
        bytes: Vec<u8>,
    ) -> Result<Command, ChildProblem> {
        let takes = |template: &&Template| {
            template.argument == argument && template.fingerprint == fingerprint
        };
        let template = self.templates.iter().find(takes);
        let template = template.ok_or(ChildProblem::NoTemplate(argument))?;
        self.made += 1;
        let id = format!("{}-{}", template.spec.id, self.made);
        self.offered.insert(ticket, ((template.start)(bytes.into()), None));
        Ok(Command::Add { spec: ChildSpec { id, ..template.spec.clone() }, start: true })
    }

    /// Lets the kernel decide and does what it says. Answers the reason when that is the end.
    fn step(&mut self, event: Event) -> Option<ExitReason> {
        let mut actions = Vec::new();
        self.kernel.step(event, self.cx.now(), &mut actions);
        let mut end = None;
        for action in actions {
            match action {
                Action::Start(key) => self.start(key),
                Action::CancelStart(_) => {
                    if let Some(Starting { starter, done, .. }) = self.starting.take() {
                        drop(done);
                        starter.undo();
                    }
                }
                Action::Exit(pid) => {
                    // Out of reach: its monitor says so.
                    let inner = &self.cx.node().inner;
                    inner.exit(self.cx.place, pid, ExitReason::Shutdown);
                }
                Action::Kill(pid) => {
                    self.cx.node().kill(pid, "shut down by its supervisor");
                }
                Action::Adopt(ticket, key) => {
                    if let Some(recipe) = self.offered.remove(&ticket) {
                        self.recipes.insert(key, recipe);
                    }
                }
                Action::Forget(key) => drop(self.recipes.remove(&key)),
                Action::Reply(ticket, answer) => {
                    self.offered.remove(&ticket);
                    if let Some(caller) = self.callers.remove(&ticket) {
                        caller.reply(Response::from(answer));
                    }
                }
                Action::Ready => self.tell_ready(Ok(())),
                Action::Report(event) => self.report(event),
                Action::End(reason) => end = Some(reason),
            }
        }
        if let Some(reason) = &end {
            let why = self.why.take().unwrap_or_else(|| reason.to_string());
            self.tell_ready(Err(NoStart::Failed(why)));
        }
        end
    }

    fn start(&mut self, key: Key) {
        let Some((start, name)) = self.recipes.get(&key).cloned() else { return };
        let starter = Starter::new(&self.cx);
        let done = Box::pin(run_start(start, starter.clone(), name));
        self.starting = Some(Starting { key, starter, done });
    }

    fn tell_ready(&mut self, result: Result<(), NoStart>) {
        if let Some(ready) = self.ready.take() {
            // Whoever waited may have gone.
            let _ = ready.send(result);
        }
    }

    fn report(&mut self, event: SupervisorEvent) {
        tracing::debug!(supervisor = %self.cx.me(), ?event, "supervisor");
        match &event {
            SupervisorEvent::IntensityExceeded { id } => {
                tracing::error!(supervisor = %self.cx.me(), child = %id, "too many restarts");
            }
            SupervisorEvent::StartFailed { id, why } => {
                tracing::warn!(supervisor = %self.cx.me(), child = %id, %why, "it did not start");
                self.why = Some(format!("child `{id}` did not start: {why}"));
            }
            SupervisorEvent::LeftBehind { id, pid } => {
                tracing::error!(supervisor = %self.cx.me(), child = %id, %pid, "it does not end");
            }
            _ => {}
        }
        if let Some(observer) = self.observer {
            // An observer without room misses something; nobody waits for it.
            let _ = self.cx.try_send(observer, event);
        }
    }
}
