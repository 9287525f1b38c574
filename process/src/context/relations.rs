//! What a process has to do with other processes' ends: spawning, links, monitors, exit signals.

use std::future::Future;

use futures_channel::oneshot;
use midflight_message::{NodeId, Pid};
use midflight_runtime::timeout;

use crate::context::Context;
use crate::node::{Never, SpawnError};
use crate::peer::wire::Place;
use crate::send::{Route, local};
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
        let mut monitor = MonitorRef(0);
        let watch = |child: Place| monitor = inner.monitor_child(self.place, child);
        let child = self.node.spawn_prepared(name, function, watch)?;
        Ok((child, monitor))
    }

    /// Watches `target`: one [`Down`](crate::Down) comes when it ends, has ended, or is out of
    /// reach. Makes a link to its node first where there is none. When this is done, the target's node
    /// has set the monitor, or the `Down` has come: a node that does not answer within
    /// `Limits::connect_timeout` is out of reach.
    ///
    /// # Cancel safety
    /// A dropped future has set no monitor.
    pub async fn monitor(&self, target: Pid) -> MonitorRef {
        // Out of reach: the monitor says so.
        let _ = self.connect_to(target).await;
        let inner = &self.node.inner;
        if target.node == inner.id {
            return inner.monitor(self.place, target, None);
        }
        let (tell, told) = oneshot::channel();
        let monitor = inner.monitor(self.place, target, Some(tell));
        let setting = Setting { context: self, monitor: Some(monitor) };
        // Dropped: it is over before it was set, and the message is here.
        if timeout(&*inner.runtime, inner.limits.connect_timeout, told).await.is_err() {
            inner.give_up_monitor(self.place, monitor, target);
        }
        setting.done();
        monitor
    }

    /// Watches a node: one [`NodeDown`](crate::NodeDown) comes when the link to it is lost, or at once when
    /// there is none and none can be made. A link that is closed because a node shuts down is lost, too.
    ///
    /// # Cancel safety
    /// A dropped future has set no monitor.
    pub async fn monitor_node(&self, node: NodeId) -> MonitorRef {
        // Out of reach: the monitor says so.
        let _ = self.node.connect_node(node).await;
        self.node.inner.monitor_node(self.place, node)
    }

    /// Takes a monitor back, of a process or of a node. Answers false when it has fired: its message is in
    /// the mailbox, or has been received. Otherwise none will come.
    #[expect(clippy::must_use_candidate, reason = "most do not care")]
    pub fn demonitor(&self, monitor: MonitorRef) -> bool {
        self.node.inner.demonitor(self.place, monitor)
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

/// A monitor that is being set: whoever stops waiting for that takes it back.
struct Setting<'a> {
    context: &'a Context,
    monitor: Option<MonitorRef>,
}

impl Setting<'_> {
    fn done(mut self) {
        self.monitor = None;
    }
}

impl Drop for Setting<'_> {
    fn drop(&mut self) {
        if let Some(monitor) = self.monitor {
            self.context.demonitor(monitor);
        }
    }
}
