//! A managed process's definition: its handlers, in a builder.

use std::any::Any;
use std::time::Duration;

use futures_util::future::BoxFuture;
use midflight_message::{Message, Pid};

use super::client::Request;
use super::handler::{For, Handler, Reply, Rest, reply_of};
use super::server::Server;
use crate::send::reply_to::ReplyTo;
use crate::{ExitReason, Exited, ReconnectPolicy};

/// How long the start may take unless the definition says otherwise.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages taken out of the mailbox to be put in order, unless the definition says otherwise.
const BACKLOG: usize = 1_024;

/// What becomes of a message that no handler is for. The node's own notices that come unasked,
/// [`Undelivered`](crate::Undelivered) and [`Disconnected`](crate::Disconnected), are neither refused
/// nor a reason to end: without a handler they are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unhandled {
    /// Its sender is told, it is kept as a dead letter, and counted (V1).
    #[default]
    Refuse,
    /// The process ends with an error.
    Terminate,
    /// It is passed on to this process.
    DeadLetter(Pid),
    /// It is dropped, and logged. A caller is told that there is no answer.
    Drop,
}

/// What a filter says about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It goes on to the next filter, or its handler.
    Pass,
    /// It is not handled. A caller is told that it was rejected, and why.
    Reject(String),
    /// The process ends with this reason, and the message is not handled.
    Stop(ExitReason),
}

pub(super) type ExitHandler<S> =
    Box<dyn for<'a> FnMut(&'a mut S, Exited, &'a mut Server<S>) -> Rest<'a> + Send>;
pub(super) type Timeout<S> =
    Box<dyn for<'a> FnMut(&'a mut S, &'a mut Server<S>) -> Rest<'a> + Send>;
pub(super) type Terminate<S> =
    Box<dyn for<'a> FnOnce(&'a mut S, ExitReason, &'a mut Server<S>) -> Rest<'a> + Send>;
type Filter<S> = Box<dyn FnMut(&mut S, &dyn Any, bool) -> Verdict + Send>;
type Priority = Box<dyn Fn(&dyn Any) -> Option<i32> + Send>;

/// The definition of a managed process with the state `S`.
///
/// Handlers get the state, the message and the [`Server`], through which they stop it, wait, set
/// timers. The first handler for a message's type is taken, in the order in which they were added.
#[must_use = "a definition is to be started"]
pub struct Managed<S> {
    pub(super) handlers: Vec<Box<dyn Handler<S>>>,
    pub(super) on_exit: Option<ExitHandler<S>>,
    pub(super) on_timeout: Option<Timeout<S>>,
    pub(super) terminate: Option<Terminate<S>>,
    filters: Vec<Filter<S>>,
    priorities: Vec<Priority>,
    calls: i32,
    pub(super) unhandled: Unhandled,
    pub(super) backlog: usize,
    pub(super) name: Option<String>,
    pub(super) init_timeout: Duration,
    pub(super) reconnect_policy: ReconnectPolicy,
}

impl<S> Default for Managed<S> {
    fn default() -> Self {
        Self {
            handlers: Vec::new(),
            on_exit: None,
            on_timeout: None,
            terminate: None,
            filters: Vec::new(),
            priorities: Vec::new(),
            calls: 0,
            unhandled: Unhandled::default(),
            backlog: BACKLOG,
            name: None,
            init_timeout: INIT_TIMEOUT,
            reconnect_policy: ReconnectPolicy::Accept,
        }
    }
}

impl<S: Send + 'static> Managed<S> {
    /// A definition without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers calls with an `M` by what `handle` answers.
    pub fn call<M: Request>(
        self,
        mut handle: impl FnMut(&mut S, M, &mut Server<S>) -> M::Reply + Send + 'static,
    ) -> Self {
        self.call_deferred(move |state, message: M, reply, server| {
            reply.send(handle(state, message, server));
        })
    }

    /// Hands calls with an `M` to `handle` with the caller's [`Reply`], to be answered now, later or
    /// by somebody else, or to be rejected.
    pub fn call_deferred<M: Request>(
        self,
        mut handle: impl FnMut(&mut S, M, Reply<M::Reply>, &mut Server<S>) + Send + 'static,
    ) -> Self {
        self.with(For::calls(boxed(move |state, message: M, to, server| {
            handle(state, message, reply_of::<M>(to)?, server);
            None
        })))
    }

    /// Answers calls with an `M` by what `handle` answers when it has waited for something. Nothing
    /// else is handled meanwhile.
    pub fn call_async<M: Request>(
        self,
        handle: impl for<'a> Fn(&'a mut S, M, &'a mut Server<S>) -> BoxFuture<'a, M::Reply>
        + Send
        + 'static,
    ) -> Self {
        self.with(call_async_handler(handle))
    }

    /// Handles messages of type `M` that nobody waits for an answer to.
    pub fn cast<M: Message>(
        self,
        mut handle: impl FnMut(&mut S, M, &mut Server<S>) + Send + 'static,
    ) -> Self {
        self.with(For::messages(boxed(move |state, message: M, _, server| {
            handle(state, message, server);
            None
        })))
    }

    /// As [`Managed::cast`], for what has to wait for something. Nothing else is handled meanwhile.
    pub fn cast_async<M: Message>(
        self,
        handle: impl for<'a> Fn(&'a mut S, M, &'a mut Server<S>) -> BoxFuture<'a, ()> + Send + 'static,
    ) -> Self {
        self.with(cast_async_handler(handle))
    }

    /// Handles any other message, such as a [`Down`](crate::Down) or a timer's. There is no envelope
    /// about a cast, so that the two differ in what the reader is told only.
    pub fn info<M: Message>(
        self,
        handle: impl FnMut(&mut S, M, &mut Server<S>) + Send + 'static,
    ) -> Self {
        self.cast(handle)
    }

    fn with(mut self, handler: impl Handler<S> + 'static) -> Self {
        self.handlers.push(Box::new(handler));
        self
    }

    /// Handles exit signals, except the parent's, which always end the process. Without this handler
    /// one with the reason `Normal` is ignored, and any other ends the process with its reason.
    pub fn on_exit(
        mut self,
        mut handle: impl FnMut(&mut S, Exited, &mut Server<S>) + Send + 'static,
    ) -> Self {
        self.on_exit = Some(Box::new(move |state, exited, server| {
            handle(state, exited, server);
            None
        }));
        self
    }

    /// Is called when nothing has come for the [idle time](Server::idle_timeout). Without it the
    /// process ends then, with an error.
    pub fn on_timeout(
        mut self,
        mut handle: impl FnMut(&mut S, &mut Server<S>) + Send + 'static,
    ) -> Self {
        self.on_timeout = Some(Box::new(move |state, server| {
            handle(state, server);
            None
        }));
        self
    }

    /// Is called last, with the reason: also after a handler has panicked, when the state is as that
    /// handler left it. Not when the process is killed, and not when it never started.
    pub fn terminate(
        mut self,
        handle: impl FnOnce(&mut S, ExitReason, &mut Server<S>) + Send + 'static,
    ) -> Self {
        self.terminate = Some(Box::new(move |state, reason, server| {
            handle(state, reason, server);
            None
        }));
        self
    }

    /// As [`Managed::terminate`], for what has to wait for something.
    pub fn terminate_async(
        mut self,
        handle: impl for<'a> FnOnce(&'a mut S, ExitReason, &'a mut Server<S>) -> BoxFuture<'a, ()>
        + Send
        + 'static,
    ) -> Self {
        self.terminate = Some(terminate_async_handler(handle));
        self
    }

    /// What becomes of messages that no handler is for ([`Unhandled::Refuse`]).
    pub const fn unhandled(mut self, unhandled: Unhandled) -> Self {
        self.unhandled = unhandled;
        self
    }

    /// Looks at every `M` before its handler does; filters are asked in the order in which they were
    /// added. A filter may change the state.
    pub fn filter<M: Message>(
        mut self,
        mut filter: impl FnMut(&mut S, &M) -> Verdict + Send + 'static,
    ) -> Self {
        self.filters.push(Box::new(move |state, message, _| match message.downcast_ref::<M>() {
            Some(message) => filter(state, message),
            None => Verdict::Pass,
        }));
        self
    }

    /// Looks at every message that has a handler, of whatever type; `true`: it is a call.
    pub fn filter_all(
        mut self,
        mut filter: impl FnMut(&mut S, bool) -> Verdict + Send + 'static,
    ) -> Self {
        self.filters.push(Box::new(move |state, _, is_call| filter(state, is_call)));
        self
    }

    /// Gives an `M` the priority that `priority` says: higher ones are handled first, and equal ones
    /// in the order in which they came. Without any, nothing is reordered, and what was sent in order
    /// is handled in order; with one, messages are taken out of the mailbox, up to the
    /// [backlog](Managed::backlog), before the first of them is handled.
    pub fn prioritise<M: Message>(mut self, priority: impl Fn(&M) -> i32 + Send + 'static) -> Self {
        self.priorities.push(Box::new(move |message| message.downcast_ref::<M>().map(&priority)));
        self
    }

    /// Gives every call this priority that [`Managed::prioritise`] gives none; everything else has
    /// 0.
    pub const fn prioritise_calls(mut self, priority: i32) -> Self {
        self.calls = priority;
        self
    }

    /// How many messages are taken out of the mailbox to be put in order (1,024; at least one). The
    /// others stay there, under the mailbox's own bounds.
    pub const fn backlog(mut self, messages: usize) -> Self {
        self.backlog = if messages == 0 { 1 } else { messages };
        self
    }

    /// Gives the process this name on its node.
    pub fn register(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long the start may take (30 s).
    pub const fn init_timeout(mut self, timeout: Duration) -> Self {
        self.init_timeout = timeout;
        self
    }

    /// What becomes of its sending when a link is lost. It accepts that unless something else is said, as
    /// Erlang's servers do: its casts go over the next link, and losses are counted and logged. With
    /// [`ReconnectPolicy::Ask`] a handler for [`Disconnected`](crate::Disconnected) is to reconnect.
    pub const fn reconnect_policy(mut self, policy: ReconnectPolicy) -> Self {
        self.reconnect_policy = policy;
        self
    }

    pub(super) fn is_prioritised(&self) -> bool {
        self.calls != 0 || !self.priorities.is_empty()
    }

    pub(super) fn priority_of(&self, message: &dyn Any, is_call: bool) -> i32 {
        let said = self.priorities.iter().find_map(|priority| priority(message));
        said.unwrap_or(if is_call { self.calls } else { 0 })
    }

    pub(super) fn verdict(&mut self, state: &mut S, message: &dyn Any, is_call: bool) -> Verdict {
        let verdicts = self.filters.iter_mut().map(|filter| filter(state, message, is_call));
        verdicts.into_iter().find(|verdict| *verdict != Verdict::Pass).unwrap_or(Verdict::Pass)
    }
}

// These are functions of their own, for the closures to be typed by what is expected of them.

fn call_async_handler<S, M: Request>(
    handle: impl for<'a> Fn(&'a mut S, M, &'a mut Server<S>) -> BoxFuture<'a, M::Reply> + Send + 'static,
) -> impl Handler<S>
where
    S: Send + 'static,
{
    For::calls(boxed(move |state, message: M, to, server| {
        let reply = reply_of::<M>(to)?;
        let answering = handle(state, message, server);
        Some(Box::pin(async move { reply.send(answering.await) }))
    }))
}

fn cast_async_handler<S, M: Message>(
    handle: impl for<'a> Fn(&'a mut S, M, &'a mut Server<S>) -> BoxFuture<'a, ()> + Send + 'static,
) -> impl Handler<S>
where
    S: Send + 'static,
{
    For::messages(boxed(move |state, message: M, _, server| Some(handle(state, message, server))))
}

fn boxed<S, M, F>(handle: F) -> F
where
    F: for<'a> FnMut(&'a mut S, M, Option<ReplyTo>, &'a mut Server<S>) -> Rest<'a> + Send,
{
    handle
}

fn terminate_async_handler<S: Send + 'static>(
    handle: impl for<'a> FnOnce(&'a mut S, ExitReason, &'a mut Server<S>) -> BoxFuture<'a, ()>
    + Send
    + 'static,
) -> Terminate<S> {
    Box::new(move |state, reason, server| Some(handle(state, reason, server)))
}

impl<S> std::fmt::Debug for Managed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.handlers.iter().map(|handler| handler.name()).collect();
        f.debug_struct("Managed").field("handles", &names).finish_non_exhaustive()
    }
}
