//! What a process has to do with other processes' ends: spawning, links, monitors, exit signals.

use std::future::Future;

use midflight_message::Pid;

use crate::context::Context;
use crate::node::{Never, SpawnError};
use crate::send::{Route, local};
use crate::wire::Place;
use crate::{ExitReason, IntoExitReason, MonitorRef};

impl Context {
    /// Starts a process on this node; see [`Node::spawn`](crate::Node::spawn).
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Self) -> F,
    ) -> Result<Pid, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        self.node.spawn(name, function)
    }

    /// Starts a process on this node that is linked to this one from its first moment.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn_link<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Self) -> F,
    ) -> Result<Pid, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        let inner = &self.node.inner;
        let link = |child: Place| inner.link(self.place, inner.local_pid(child));
        self.node.spawn_prepared(name, function, link)
    }

    /// Starts a process on this node that this one watches from its first moment; see
    /// [`Context::monitor`].
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn_monitor<F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Self) -> F,
    ) -> Result<(Pid, MonitorRef), SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        let inner = &self.node.inner;
        let monitor = MonitorRef(inner.next());
        let watch = |child: Place| inner.watch(child, local(self.place), monitor);
        let child = self.node.spawn_prepared(name, function, watch)?;
        Ok((child, monitor))
    }

    /// Watches `target`: one [`Down`](crate::Down) comes when it ends, has ended, or is out of
    /// reach. Makes a link to its node first where there is none.
    pub async fn monitor(&self, target: Pid) -> MonitorRef {
        // Out of reach: the monitor says so.
        let _ = self.connect_to(target).await;
        self.node.inner.monitor(self.place, target)
    }

    /// Ends a monitor. A `Down` that has come already stays in the mailbox.
    pub fn demonitor(&self, target: Pid, monitor: MonitorRef) {
        self.node.inner.demonitor(self.place, target, monitor);
    }

    /// Links this process and `target`: when one ends, the other gets an exit signal with the reason.
    /// Links have no number: linking twice is linking once, and either side can unlink. When `target`
    /// has ended already, the signal comes at once, with [`ExitReason::NoProcess`]; when its node is
    /// out of reach, now or later, with [`ExitReason::NoConnection`]. Makes a link to the node first
    /// where there is none. A process is not linked to itself.
    ///
    /// What an exit signal does: a process that [traps exits](Context::trap_exits) gets the message
    /// [`Exited`](crate::Exited), in its place among what the other has sent. Any other ends with the
    /// same reason, between two messages, unless the reason is [`ExitReason::Normal`], which it does
    /// not notice.
    ///
    /// # Cancel safety
    /// A dropped future has linked nothing.
    pub async fn link(&self, target: Pid) {
        // Out of reach: the exit signal says so.
        let _ = self.connect_to(target).await;
        self.node.inner.link(self.place, target);
    }

    /// Ends the link of this process and `target`: from now on it has no effect on this one. An
    /// [`Exited`](crate::Exited) that has come already stays in the mailbox.
    pub fn unlink(&self, target: Pid) {
        self.node.inner.unlink(self.place, target);
    }

    /// Says whether exit signals to this process become [`Exited`](crate::Exited) messages (they do
    /// not until this is called). Answers what was said before. Signals that have come before it is
    /// called are not undone.
    #[expect(clippy::must_use_candidate, reason = "few ask what was said before")]
    pub fn trap_exits(&self, traps: bool) -> bool {
        self.node.inner.trap_exits(self.place, traps)
    }

    /// Sends `to` an exit signal. What it does there is said at [`Context::link`], but for one thing: a
    /// process that does not trap exits and sends itself [`ExitReason::Normal`] ends with it.
    /// Makes a link to the node of `to` first where there is none; where none can be made, the signal
    /// goes nowhere, as one to a process that has ended does.
    ///
    /// # Cancel safety
    /// A dropped future has sent no signal.
    pub async fn exit(&self, to: Pid, reason: ExitReason) {
        if self.connect_to(to).await {
            self.node.inner.exit(self.place, to, reason);
        }
    }

    /// Ends `to` between two messages, with [`ExitReason::Killed`], whether it traps exits or not; those
    /// that are linked to it get an ordinary exit signal with that reason. Links to nodes are made as by
    /// [`Context::exit`].
    ///
    /// # Cancel safety
    /// A dropped future has killed nobody.
    pub async fn kill(&self, to: Pid, reason: impl Into<String>) {
        let reason = reason.into();
        if self.connect_to(to).await {
            self.node.inner.kill(self.place, to, reason);
        }
    }

    /// Ends this process with `reason`, where it awaits this, whether it traps exits or not.
    pub async fn die(&self, reason: ExitReason) -> Never {
        self.node.inner.end_process(self.place, local(self.place), reason);
        // It is not polled again.
        std::future::pending().await
    }

    /// Makes a link to a process's node where there is none. Answers whether there is one.
    async fn connect_to(&self, pid: Pid) -> bool {
        match self.node.inner.route(pid) {
            Route::NotConnected(node) => self.node.connect_node(node).await.is_ok(),
            _ => true,
        }
    }
}
