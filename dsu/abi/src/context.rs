//! What a plain handler can do besides changing its state.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use midflight_message::{Address, Destination, Message, NodeId, Pid};

use crate::behaviour::{Accepts, Sends};
use crate::effect::{EffectWriter, Unwritable};
use crate::error::SpawnError;
use crate::host::{Host, Level};
use crate::raw::CallInfo;
use crate::system::ReconnectPolicy;
use crate::timer::Timer;

/// The process, as its handler sees it.
///
/// What is sent, spawned or set leaves when the handler returns, all of it or (when it panics)
/// nothing. Log, clock, chance and names answer at once. There is no `call` and no `sleep` here:
/// they exist in `async` handlers, on [`AsyncContext`](crate::AsyncContext).
pub struct Context<B> {
    info: CallInfo,
    effects: EffectWriter,
    behaviour: PhantomData<fn() -> B>,
}

impl<B> Context<B> {
    pub(crate) fn new(info: CallInfo, spare: Vec<u8>) -> Self {
        Self { info, effects: EffectWriter::reusing(spare), behaviour: PhantomData }
    }

    /// The process itself.
    #[must_use]
    pub fn me(&self) -> Pid {
        self.info.me.into()
    }

    /// Who sent the message being handled, when that is known (it is for calls).
    #[must_use]
    pub fn caller(&self) -> Option<Pid> {
        self.info.caller().map(Pid::from)
    }

    /// Sends `message` to `to` when the handler returns: a pid, a [`ProcessRef`](crate::message::ProcessRef)
    /// whose protocol has the message, a name, or a name with a node. A name is looked up then; when nobody
    /// has it, the log says so.
    pub fn send<M: Message>(&mut self, to: impl Destination<M>, message: &M)
    where
        B: Sends<M>,
    {
        self.effects.send(to.address(), <B as Sends<M>>::INDEX, message);
    }

    /// Sends `message` to the process itself, `after` that time, counted from the end of the handler.
    /// When the node has no room for another timer, the log says so and no message comes.
    pub fn send_after<M: Message>(&mut self, after: Duration, message: &M) -> Timer
    where
        B: Accepts<M>,
    {
        self.later(None, after, <B as Accepts<M>>::INDEX, message)
    }

    /// As [`Context::send_after`], to another process. A timer for a pid of this node ends with that process;
    /// it outlives the one that has set it. A name is looked up when it expires. The message waits for room
    /// and for a link.
    pub fn send_after_to<M: Message>(
        &mut self,
        after: Duration,
        to: impl Destination<M>,
        message: &M,
    ) -> Timer
    where
        B: Sends<M>,
    {
        self.later(Some(to.address()), after, <B as Sends<M>>::INDEX, message)
    }

    fn later<M: Message>(
        &mut self,
        to: Option<Address<'_>>,
        after: Duration,
        type_index: u32,
        message: &M,
    ) -> Timer {
        let timer = Timer::new(self.info.me, self.host());
        self.effects.send_after(timer, to, millis(after), type_index, message);
        timer
    }

    /// Cancels a timer when the handler returns, whichever behaviour of this node has set it, in whatever
    /// version of its code. One that has expired, was cancelled or has ended is none: its message may lie in
    /// the mailbox, and is handled.
    pub fn cancel_timer(&mut self, timer: Timer) {
        self.effects.cancel_timer(timer);
    }

    /// Asks for a [`Down`](crate::Down) message when `target` is dead, has been dead, or is out of reach. Makes
    /// a link to its node first where there is none. Each call asks for one; monitors belong to the process and
    /// stay when its code is replaced.
    pub fn monitor(&mut self, target: Pid)
    where
        B: Accepts<crate::Down>,
    {
        self.effects.monitor(target.into());
    }

    /// Takes back whatever this process watches `target` by: no [`Down`](crate::Down) comes of it, unless it has come
    /// already.
    pub fn demonitor(&mut self, target: Pid) {
        self.effects.demonitor(target.into());
    }

    /// Asks for a [`NodeDown`](crate::NodeDown) message when the link to `node` is lost, or when there is none and
    /// none can be made.
    pub fn monitor_node(&mut self, node: NodeId)
    where
        B: Accepts<crate::NodeDown>,
    {
        self.effects.monitor_node(node);
    }

    /// Takes back whatever this process watches `node` by.
    pub fn demonitor_node(&mut self, node: NodeId) {
        self.effects.demonitor_node(node);
    }

    /// Links this process and `target`: when one ends, the other gets an exit signal with the reason. Linking
    /// twice is linking once, and either side can unlink. When `target` has ended already or is out of reach, the
    /// signal comes at once. Makes a link to its node first where there is none; the link of the processes
    /// stays when code is replaced.
    ///
    /// A process that [traps exits](Self::trap_exits) is told by a message. Any other ends with the same
    /// reason, between two messages, unless the reason is `normal`.
    pub fn link(&mut self, target: Pid) {
        self.effects.link(target.into());
    }

    /// Ends the link of this process and `target`: from then on it has no effect on this one. An
    /// [`Exited`](crate::Exited) that has come already is handled.
    pub fn unlink(&mut self, target: Pid) {
        self.effects.unlink(target.into());
    }

    /// Says whether exit signals to this process become [`Exited`](crate::Exited) messages, which they do not
    /// until this is called. It is the process's own affair, and stays when its code is replaced.
    pub fn trap_exits(&mut self, traps: bool)
    where
        B: Accepts<crate::Exited>,
    {
        self.effects.trap_exits(traps);
    }

    /// Says what becomes of sending when a link is lost that this process had sent on. Until this is called, and
    /// in a version of the code that has no handler for [`Disconnected`](crate::Disconnected), it is
    /// [`ReconnectPolicy::Accept`]. It is the process's own affair, and stays when its code is replaced.
    pub fn reconnect_policy(&mut self, policy: ReconnectPolicy)
    where
        B: Accepts<crate::Disconnected>,
    {
        self.effects.ask_about_losses(policy == ReconnectPolicy::Ask);
    }

    /// Accepts that messages to the processes of a node may be lost, as a
    /// [`Disconnected`](crate::Disconnected) has said. Takes a node or a pid of one.
    pub fn reconnect(&mut self, to: impl Into<NodeId>) {
        self.effects.reconnect(to.into());
    }

    /// Starts a process of the behaviour called `behaviour`, in the version the node's routing says.
    ///
    /// # Errors
    /// [`SpawnError`] when the node has no room. Whether such a behaviour exists shows later: a
    /// monitor on the pid tells.
    pub fn spawn<M: Message>(&mut self, behaviour: &str, start: &M) -> Result<Pid, SpawnError>
    where
        B: Sends<M>,
    {
        let pid = self.host().reserve().ok_or(SpawnError)?;
        self.effects.spawn(pid, behaviour, <B as Sends<M>>::INDEX, start);
        Ok(pid.into())
    }

    /// Ends the process when the handler returns. `"normal"` is the usual reason.
    pub fn exit(&mut self, reason: &str) {
        self.effects.exit(reason);
    }

    /// Writes a line to the node's log.
    pub fn log(&self, level: Level, text: impl fmt::Display) {
        self.host().log(level, &text.to_string());
    }

    /// The time on a clock that never goes back; it begins anywhere.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.host().now_nanos())
    }

    /// The time since 1970-01-01 UTC.
    #[must_use]
    pub fn unix_time(&self) -> Duration {
        Duration::from_nanos(self.host().unix_nanos())
    }

    /// Fills `buffer` with random bytes.
    pub fn fill_random(&self, buffer: &mut [u8]) {
        self.host().fill_random(buffer);
    }

    /// The process registered under `name` on this node.
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.host().whereis(name).map(Pid::from)
    }

    /// Answers the call being handled, if it is one. The macro writes this.
    pub(crate) fn reply<M: Message>(&mut self, type_index: u32, reply: &M) {
        if let Some(call) = self.info.reply_id() {
            self.effects.reply(call, type_index, reply);
        }
    }

    pub(crate) fn finish(mut self) -> Result<Vec<u8>, Unwritable> {
        self.effects.take()
    }

    const fn host(&self) -> Host {
        Host::of(self.info.host_data)
    }
}

impl<B> fmt::Debug for Context<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("me", &self.info.me).finish_non_exhaustive()
    }
}

/// Whole milliseconds, rounded up so that a timer is never early.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
