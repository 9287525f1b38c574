//! What an `async` handler can do: all a plain one can, and wait.

mod shared;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::{Destination, Message, NodeId, Pid};

use crate::behaviour::{Accepts, Calls, Sends};
use crate::context::millis;
use crate::error::{CallError, SpawnError};
use crate::host::Level;
use crate::status::Outcome;
use crate::system::ReconnectPolicy;
use crate::timer::Timer;

pub(crate) use shared::{Shared, YIELD_OP};

/// The process, as its `async` handler sees it.
///
/// What is sent, spawned or set leaves at the handler's next suspension, or at its end. While the
/// handler is suspended the process handles nothing else and stays in this version of its code.
pub struct AsyncContext<B> {
    shared: Arc<Mutex<Shared>>,
    behaviour: PhantomData<fn() -> B>,
}

impl<B> AsyncContext<B> {
    pub(crate) const fn new(shared: Arc<Mutex<Shared>>) -> Self {
        Self { shared, behaviour: PhantomData }
    }

    /// The process itself.
    #[must_use]
    pub fn me(&self) -> Pid {
        self.lock().info.me.into()
    }

    /// Who sent the message being handled, when that is known (it is for calls).
    #[must_use]
    pub fn caller(&self) -> Option<Pid> {
        self.lock().info.caller().map(Pid::from)
    }

    /// Calls `to` and awaits the reply, for `timeout` at the most. The message leaves at the next
    /// suspension; several calls made before it run side by side.
    pub fn call<M: Message>(
        &self,
        to: impl Destination<M>,
        message: &M,
        timeout: Duration,
    ) -> Call<<B as Calls<M>>::Reply>
    where
        B: Calls<M>,
    {
        let op =
            self.lock().begin_call(to.address(), <B as Calls<M>>::INDEX, millis(timeout), message);
        Call { wait: Wait { shared: self.shared.clone(), op }, reply: PhantomData }
    }

    /// Ends after `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let op = self.lock().begin_sleep(millis(duration));
        Sleep { wait: Wait { shared: self.shared.clone(), op } }
    }

    /// Sends `message` to `to`; see [`Context::send`](crate::Context::send).
    pub fn send<M: Message>(&self, to: impl Destination<M>, message: &M)
    where
        B: Sends<M>,
    {
        self.lock().effects.send(to.address(), <B as Sends<M>>::INDEX, message);
    }

    /// Sends `message` to the process itself, `after` that time; see
    /// [`Context::send_after`](crate::Context::send_after).
    pub fn send_after<M: Message>(&self, after: Duration, message: &M) -> Timer
    where
        B: Accepts<M>,
    {
        self.lock().send_after(None, millis(after), <B as Accepts<M>>::INDEX, message)
    }

    /// Sends `message` to another process, `after` that time; see
    /// [`Context::send_after_to`](crate::Context::send_after_to).
    pub fn send_after_to<M: Message>(
        &self,
        after: Duration,
        to: impl Destination<M>,
        message: &M,
    ) -> Timer
    where
        B: Sends<M>,
    {
        self.lock().send_after(Some(to.address()), millis(after), <B as Sends<M>>::INDEX, message)
    }

    /// Cancels a timer at the next suspension; see
    /// [`Context::cancel_timer`](crate::Context::cancel_timer).
    pub fn cancel_timer(&self, timer: Timer) {
        self.lock().effects.cancel_timer(timer);
    }

    /// Asks for a [`Down`](crate::Down) message when `target` is dead; see
    /// [`Context::monitor`](crate::Context::monitor).
    pub fn monitor(&self, target: Pid)
    where
        B: Accepts<crate::Down>,
    {
        self.lock().effects.monitor(target.into());
    }

    /// Takes back whatever this process watches `target` by; see
    /// [`Context::demonitor`](crate::Context::demonitor).
    pub fn demonitor(&self, target: Pid) {
        self.lock().effects.demonitor(target.into());
    }

    /// Asks for a [`NodeDown`](crate::NodeDown) message when the link to `node` is lost; see
    /// [`Context::monitor_node`](crate::Context::monitor_node).
    pub fn monitor_node(&self, node: NodeId)
    where
        B: Accepts<crate::NodeDown>,
    {
        self.lock().effects.monitor_node(node);
    }

    /// Takes back whatever this process watches `node` by.
    pub fn demonitor_node(&self, node: NodeId) {
        self.lock().effects.demonitor_node(node);
    }

    /// Links this process and `target`: when one ends, the other gets an exit signal with the reason; see
    /// [`Context::link`](crate::Context::link).
    pub fn link(&self, target: Pid) {
        self.lock().effects.link(target.into());
    }

    /// Ends the link of this process and `target`; see
    /// [`Context::unlink`](crate::Context::unlink).
    pub fn unlink(&self, target: Pid) {
        self.lock().effects.unlink(target.into());
    }

    /// Says whether exit signals to this process become [`Exited`](crate::Exited) messages; see
    /// [`Context::trap_exits`](crate::Context::trap_exits).
    pub fn trap_exits(&self, traps: bool)
    where
        B: Accepts<crate::Exited>,
    {
        self.lock().effects.trap_exits(traps);
    }

    /// Says what becomes of sending when a link is lost; see
    /// [`Context::reconnect_policy`](crate::Context::reconnect_policy).
    pub fn reconnect_policy(&self, policy: ReconnectPolicy)
    where
        B: Accepts<crate::Disconnected>,
    {
        self.lock().effects.ask_about_losses(policy == ReconnectPolicy::Ask);
    }

    /// Accepts that messages to the processes of a node may be lost, as a
    /// [`Disconnected`](crate::Disconnected) has said. Takes a node or a pid of one.
    pub fn reconnect(&self, to: impl Into<NodeId>) {
        self.lock().effects.reconnect(to.into());
    }

    /// Starts a process of the behaviour called `behaviour`; see [`Context::spawn`](crate::Context::spawn).
    ///
    /// # Errors
    /// [`SpawnError`] when the node has no room.
    pub fn spawn<M: Message>(&self, behaviour: &str, start: &M) -> Result<Pid, SpawnError>
    where
        B: Sends<M>,
    {
        let mut shared = self.lock();
        let pid = shared.host().reserve().ok_or(SpawnError)?;
        shared.effects.spawn(pid, behaviour, <B as Sends<M>>::INDEX, start);
        Ok(pid.into())
    }

    /// Ends the process when the handler is done.
    pub fn exit(&self, reason: &str) {
        self.lock().effects.exit(reason);
    }

    /// Writes a line to the node's log.
    pub fn log(&self, level: Level, text: impl fmt::Display) {
        self.lock().host().log(level, &text.to_string());
    }

    /// The time on a clock that never goes back; it begins anywhere.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.lock().host().now_nanos())
    }

    /// The time since 1970-01-01 UTC.
    #[must_use]
    pub fn unix_time(&self) -> Duration {
        Duration::from_nanos(self.lock().host().unix_nanos())
    }

    /// Fills `buffer` with random bytes.
    pub fn fill_random(&self, buffer: &mut [u8]) {
        self.lock().host().fill_random(buffer);
    }

    /// The process registered under `name` on this node.
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.lock().host().whereis(name).map(Pid::from)
    }

    pub(crate) fn shared(&self) -> Arc<Mutex<Shared>> {
        self.shared.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl<B> fmt::Debug for AsyncContext<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncContext").finish_non_exhaustive()
    }
}

/// A call whose reply is awaited. Dropping it gives the reply up, not the call.
#[derive(Debug)]
#[must_use = "a call is awaited; to send without waiting there is `send`"]
pub struct Call<R> {
    wait: Wait,
    reply: PhantomData<fn() -> R>,
}

impl<R: Message> Future for Call<R> {
    type Output = Result<R, CallError>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.wait.poll(task).map(|(outcome, bytes)| match outcome {
            Outcome::DONE => {
                midflight_message::decode(&bytes).map_err(|e| CallError::Reply(e.to_string()))
            }
            Outcome::TIMEOUT => Err(CallError::Timeout),
            Outcome::GONE => Err(CallError::Gone),
            _ => Err(CallError::Refused(String::from_utf8_lossy(&bytes).into_owned())),
        })
    }
}

/// A sleep that is awaited.
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    wait: Wait,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        self.wait.poll(task).map(|_done| ())
    }
}

struct Wait {
    shared: Arc<Mutex<Shared>>,
    op: u64,
}

impl Wait {
    fn poll(&self, task: &TaskContext<'_>) -> Poll<(Outcome, Vec<u8>)> {
        lock(&self.shared).poll_op(self.op, task.waker())
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let forgotten = lock(&self.shared).forget_op(self.op);
        // Outside the lock: what is dropped here may be anything that woke on the operation.
        drop(forgotten);
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("op", &self.op).finish_non_exhaustive()
    }
}

/// A panic while the lock was held loses the instance anyway; what it guards stays well formed.
pub(crate) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
