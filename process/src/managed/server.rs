//! What a handler can do about the process it is in.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::future::BoxFuture;
use midflight_message::{Message, Pid, SendPort};
use midflight_runtime::Instant;

use super::definition::Managed;
use super::handler::Job;
use crate::ExitReason;
use crate::channel::ReceivePort;
use crate::context::Context;

/// Control channels of one process.
const CONTROLS_MAX: usize = 64;

/// The process that a handler is in.
pub struct Server<S> {
    pub(super) cx: Context,
    pub(super) from: Option<Pid>,
    pub(super) stop: Option<ExitReason>,
    pub(super) pause: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) next: VecDeque<Job<S>>,
    pub(super) timers: BTreeMap<(Instant, u64), Job<S>>,
    timer: u64,
    pub(super) replacement: Option<Box<Managed<S>>>,
    pub(super) unhandled: u64,
    pub(super) controls: Vec<ReceivePort<Job<S>>>,
}

/// A process has as many continuations as it may, now or after a while (`Limits::timers_per_process`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process has as many timers as it may (Limits::timers_per_process)")]
pub struct TooManyTimers;

/// A process has as many control channels as it may (64).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process has as many control channels as it may (64)")]
pub struct TooManyControls;

impl<S: Send + 'static> Server<S> {
    pub(super) fn new(cx: Context) -> Self {
        Self {
            cx,
            from: None,
            stop: None,
            pause: None,
            idle: None,
            next: VecDeque::new(),
            timers: BTreeMap::new(),
            timer: 0,
            replacement: None,
            unhandled: 0,
            controls: Vec::new(),
        }
    }

    /// The process's context: to send, call, link and all the rest.
    #[must_use]
    pub const fn cx(&self) -> &Context {
        &self.cx
    }

    /// Who sent the message that is handled; `None` when it came from outside any process, and where
    /// no message is handled.
    #[must_use]
    pub const fn from(&self) -> Option<Pid> {
        self.from
    }

    /// Ends the process with `reason` once the handler is done. The first reason counts.
    pub fn stop(&mut self, reason: ExitReason) {
        self.stop.get_or_insert(reason);
    }

    /// From now on, calls [`Managed::on_timeout`] whenever nothing has come for so long; `None`:
    /// never.
    pub const fn idle_timeout(&mut self, timeout: Option<Duration>) {
        self.idle = timeout;
    }

    /// Handles nothing for `duration` once the handler is done; messages wait in the mailbox. Exit
    /// signals are not waited with.
    pub const fn hibernate(&mut self, duration: Duration) {
        self.pause = Some(duration);
    }

    /// Does `job` before the next message (Erlang's `continue`). Several are done in order.
    ///
    /// # Errors
    /// [`TooManyTimers`].
    pub fn continue_with(
        &mut self,
        job: impl FnOnce(&mut S, &mut Self) + Send + 'static,
    ) -> Result<(), TooManyTimers> {
        self.push(Box::new(move |state, server| {
            job(state, server);
            None
        }))
    }

    /// As [`Server::continue_with`], for what has to wait for something.
    ///
    /// # Errors
    /// [`TooManyTimers`].
    pub fn continue_with_async(
        &mut self,
        job: impl for<'a> FnOnce(&'a mut S, &'a mut Self) -> BoxFuture<'a, ()> + Send + 'static,
    ) -> Result<(), TooManyTimers> {
        self.push(awaited(job))
    }

    fn push(&mut self, job: Job<S>) -> Result<(), TooManyTimers> {
        if self.next.len() >= self.timers_max() {
            return Err(TooManyTimers);
        }
        self.next.push_back(job);
        Ok(())
    }

    /// Does `job` after `delay`, between two messages.
    ///
    /// # Errors
    /// [`TooManyTimers`].
    pub fn continue_after(
        &mut self,
        delay: Duration,
        job: impl FnOnce(&mut S, &mut Self) + Send + 'static,
    ) -> Result<(), TooManyTimers> {
        let job: Job<S> = Box::new(move |state, server| {
            job(state, server);
            None
        });
        self.set_timer(delay, job)
    }

    /// As [`Server::continue_after`], for what has to wait for something.
    ///
    /// # Errors
    /// [`TooManyTimers`].
    pub fn continue_after_async(
        &mut self,
        delay: Duration,
        job: impl for<'a> FnOnce(&'a mut S, &'a mut Self) -> BoxFuture<'a, ()> + Send + 'static,
    ) -> Result<(), TooManyTimers> {
        self.set_timer(delay, awaited(job))
    }

    fn set_timer(&mut self, delay: Duration, job: Job<S>) -> Result<(), TooManyTimers> {
        if self.timers.len() >= self.timers_max() {
            return Err(TooManyTimers);
        }
        self.timer += 1;
        self.timers.insert((self.cx.now() + delay, self.timer), job);
        Ok(())
    }

    /// Opens a control channel: `handle` handles its values, which go before all messages that wait (Cloud
    /// Haskell's `ControlChannel`). Whoever has the sending end, which travels in messages and replies, can
    /// say this one thing to the process and nothing else. It stays open as long as the process lives,
    /// whatever defines it.
    ///
    /// # Errors
    /// [`TooManyControls`].
    pub fn control<M: Message>(
        &mut self,
        handle: impl Fn(&mut S, M, &mut Self) + Clone + Send + 'static,
    ) -> Result<SendPort<M>, TooManyControls> {
        if self.controls.len() >= CONTROLS_MAX {
            return Err(TooManyControls);
        }
        let (port, values) = self.cx.channel::<M>();
        self.controls.push(values.map(move |value| -> Job<S> {
            let handle = handle.clone();
            Box::new(move |state, server| {
                handle(state, value, server);
                None
            })
        }));
        Ok(port)
    }

    fn timers_max(&self) -> usize {
        self.cx.node.inner.limits.timers_per_process
    }

    /// From the next message on, the process is defined by `definition`; its state, mailbox, timers
    /// and name stay (Cloud Haskell's `become`). What was taken out of the mailbox to be put in order
    /// is handled by the new definition, too.
    pub fn become_defined_by(&mut self, definition: Managed<S>) {
        self.replacement = Some(Box::new(definition));
    }

    /// How many messages have come that no handler was for.
    #[must_use]
    pub const fn unhandled(&self) -> u64 {
        self.unhandled
    }

    /// The first timer's time.
    pub(super) fn first_timer(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// A timer whose time has come.
    pub(super) fn due(&mut self) -> Option<Job<S>> {
        let first = self.first_timer()?;
        (first <= self.cx.now()).then(|| self.timers.pop_first()).flatten().map(|(_, job)| job)
    }
}

/// For the closure to be typed by what is expected of it.
fn awaited<S: Send + 'static>(
    job: impl for<'a> FnOnce(&'a mut S, &'a mut Server<S>) -> BoxFuture<'a, ()> + Send + 'static,
) -> Job<S> {
    Box::new(move |state, server| Some(job(state, server)))
}

impl<S> std::fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("cx", &self.cx).finish_non_exhaustive()
    }
}
