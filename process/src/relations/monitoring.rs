//! Monitors: a process learns, once, that another has ended or is out of reach, or that a node is (P5).
//!
//! A monitor lies in its owner's own table until it fires or is taken back; whoever takes it out tells
//! the owner. So it fires once, whatever comes together.

use std::sync::Arc;

use futures_channel::oneshot;
use midflight_message::{NodeId, Pid};
use midflight_transport_api::LinkLoss;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::mailbox::envelope::{Envelope, Sender};
use crate::mailbox::value::Value;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::pending::{RemoteMonitor, RemoteWatcher};
use crate::peer::wire::{Place, Signal};
use crate::relations::{Relations, Watched, Watcher};
use crate::send::{Route, local};
use crate::trace::{self, Traced};
use crate::{Down, ExitReason, MonitorRef, NodeDown};

impl Inner {
    /// Lets `watcher` watch `target`. Where the target is out of reach now, the monitor fires at
    /// once; a caller that would rather have a link made makes it first. `tell` hears when the target's
    /// node has set it, and is dropped when it is over before that.
    pub(crate) fn monitor(
        self: &Arc<Self>,
        watcher: Place,
        target: Pid,
        tell: Option<oneshot::Sender<()>>,
    ) -> MonitorRef {
        let monitor = MonitorRef(self.next());
        trace::note(self, watcher, || Traced::Monitored { target });
        match self.route_from(watcher, target) {
            Route::Local(place) => {
                self.set_monitor(watcher, monitor, Watched::Process(target));
                self.watch(place, local(watcher), monitor, 0);
            }
            Route::Remote(peer, place) => {
                if self.enter_monitor(&peer, monitor, RemoteMonitor { watcher, target, tell }) {
                    let signal = Signal::Monitor { to: place, from: watcher, monitor };
                    self.signal_pair(&peer, watcher, place, signal);
                }
            }
            Route::NotConnected(_) => {
                self.set_monitor(watcher, monitor, Watched::Process(target));
                self.down_unreachable(watcher, target, monitor, "no link to its node");
            }
        }
        monitor
    }

    /// As [`Inner::monitor`], of a port of `owner`'s.
    pub(crate) fn monitor_port(
        self: &Arc<Self>,
        watcher: Place,
        owner: Pid,
        port: u32,
    ) -> MonitorRef {
        let monitor = MonitorRef(self.next());
        match self.route(owner) {
            Route::Local(place) => {
                self.set_monitor(watcher, monitor, Watched::Process(owner));
                self.watch(place, local(watcher), monitor, port);
            }
            Route::Remote(peer, place) => {
                let remote = RemoteMonitor { watcher, target: owner, tell: None };
                if self.enter_monitor(&peer, monitor, remote) {
                    let signal = Signal::MonitorPort { to: place, from: watcher, monitor, port };
                    self.signal_pair(&peer, watcher, place, signal);
                }
            }
            Route::NotConnected(_) => {
                self.set_monitor(watcher, monitor, Watched::Process(owner));
                self.down_unreachable(watcher, owner, monitor, "no link to its node");
            }
        }
        monitor
    }

    /// A process has closed one of its ports: those who watch it are told.
    pub(crate) fn close_port(self: &Arc<Self>, owner: Place, port: u32) {
        let watchers = self.relations_of(owner, |relations| relations.monitors.close_port(port));
        for watcher in watchers.into_iter().flatten() {
            self.tell_down(owner, watcher, ExitReason::Normal);
        }
    }

    /// Enters a local process's monitor on one of the peer's. Where that cannot be, it fires at once,
    /// and the answer is false.
    pub(crate) fn enter_monitor(
        &self,
        peer: &Peer,
        monitor: MonitorRef,
        remote: RemoteMonitor,
    ) -> bool {
        let RemoteMonitor { watcher, target, .. } = remote;
        // First in its owner's table: what fires it looks there.
        if !self.set_monitor(watcher, monitor, Watched::Process(target)) {
            return false;
        }
        let entered = peer.pending.add_monitor(monitor, remote);
        if !entered {
            self.down_unreachable(watcher, target, monitor, "the link to its node was lost");
        }
        entered
    }

    /// Enters a monitor at its owner. Answers false when the owner does not live.
    fn set_monitor(&self, watcher: Place, monitor: MonitorRef, watched: Watched) -> bool {
        self.relate(watcher, |relations| relations.monitors.set(monitor, watched)).is_some()
    }

    /// As [`Inner::monitor`], for a process on this node that is to come.
    pub(crate) fn monitor_child(self: &Arc<Self>, watcher: Place, child: Place) -> MonitorRef {
        self.monitor(watcher, self.local_pid(child), None)
    }

    /// Lets `watcher` watch a node. Where there is no link to it now, the monitor fires at once.
    pub(crate) fn monitor_node(&self, watcher: Place, node: NodeId) -> MonitorRef {
        let monitor = MonitorRef(self.next());
        self.set_monitor(watcher, monitor, Watched::Node(node));
        // Whoever watches its own node ends with it.
        if node != self.id {
            let entered = self.peer(node).is_some_and(|peer| {
                // Nothing is sent, and the link is to stay all the same.
                peer.uses();
                peer.pending.add_node_monitor(monitor, watcher)
            });
            if !entered {
                self.node_down(watcher, monitor, node, "there is no link to it".into());
            }
        }
        monitor
    }

    /// Takes a monitor back. Answers false when it has fired: then its message is in the mailbox, or has
    /// been received.
    pub(crate) fn demonitor(self: &Arc<Self>, watcher: Place, monitor: MonitorRef) -> bool {
        let take = |relations: &mut Relations| relations.monitors.take(monitor);
        let Some(watched) = self.relations_of(watcher, take).flatten() else { return false };
        self.forget_monitor(watcher, monitor, watched);
        true
    }

    /// Takes all monitors back that `watcher` has set on the same.
    pub(crate) fn demonitor_all(self: &Arc<Self>, watcher: Place, watched: Watched) {
        let take = |relations: &mut Relations| relations.monitors.take_all(watched);
        for monitor in self.relations_of(watcher, take).into_iter().flatten() {
            self.forget_monitor(watcher, monitor, watched);
        }
    }

    /// The target's node does not say that it has set a monitor: it is out of reach.
    pub(crate) fn give_up_monitor(
        self: &Arc<Self>,
        watcher: Place,
        monitor: MonitorRef,
        target: Pid,
    ) {
        self.down_unreachable(watcher, target, monitor, "its node did not answer in time");
        self.forget_monitor(watcher, monitor, Watched::Process(target));
    }

    /// Nobody waits for a monitor any more that is gone from its owner's table.
    pub(crate) fn forget_monitor(
        self: &Arc<Self>,
        watcher: Place,
        monitor: MonitorRef,
        watched: Watched,
    ) {
        match watched {
            Watched::Process(target) => match self.route_from(watcher, target) {
                Route::Local(place) => self.unwatch(place, local(watcher), monitor),
                Route::Remote(peer, place) => {
                    drop(peer.pending.take_monitor(monitor, watcher));
                    let signal = Signal::Demonitor { to: place, from: watcher, monitor };
                    self.signal_pair(&peer, watcher, place, signal);
                }
                Route::NotConnected(_) => {}
            },
            Watched::Node(node) => {
                if let Some(peer) = self.peer(node) {
                    peer.pending.take_node_monitor(monitor);
                }
            }
        }
    }

    /// A process of the peer watches one here.
    pub(crate) fn monitor_came(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        to: Place,
        from: Place,
        monitor: MonitorRef,
        port: u32,
    ) {
        if self.watched_by(Some(peer), to, peer.sender(from), monitor, port) {
            self.signal_pair(peer, to, from, Signal::Monitoring { to: from, from: to, monitor });
        }
    }

    /// Enters a watcher of a local process, who is on the peer if there is one. Where that cannot be, it is
    /// told at once, and the answer is false.
    pub(crate) fn watched_by(
        self: &Arc<Self>,
        peer: Option<&Arc<Peer>>,
        target: Place,
        from: Sender,
        monitor: MonitorRef,
        port: u32,
    ) -> bool {
        let remote = RemoteWatcher { target, watcher: from.place(), monitor };
        let max = self.limits.monitors_per_peer;
        if peer.is_some_and(|peer| !peer.pending.add_watcher(remote, max)) {
            let why = format!("the processes of its watcher's node have {max} monitors already");
            let watcher = Watcher { watcher: from, monitor };
            self.tell_down(target, watcher, ExitReason::NoConnection(why));
            return false;
        }
        self.watch(target, from, monitor, port)
    }

    /// The monitor of a process that was started with it is set there already.
    pub(crate) fn monitor_spawned(
        self: &Arc<Self>,
        peer: Option<&Arc<Peer>>,
        watcher: Place,
        target: Pid,
        monitor: MonitorRef,
    ) {
        let entered = match peer {
            Some(peer) => {
                let remote = RemoteMonitor { watcher, target, tell: None };
                self.enter_monitor(peer, monitor, remote)
            }
            None => self.set_monitor(watcher, monitor, Watched::Process(target)),
        };
        if !entered {
            // Nobody is left who watches.
            self.forget_monitor(watcher, monitor, Watched::Process(target));
        }
    }

    /// Enters a watcher of a local process, or of its port unless that is 0. A dead one is told of at once; then the answer is false.
    pub(crate) fn watch(
        self: &Arc<Self>,
        target: Place,
        watcher: Sender,
        monitor: MonitorRef,
        port: u32,
    ) -> bool {
        let watcher = Watcher { watcher, monitor };
        let watch = |relations: &mut Relations| relations.monitors.watch(watcher, port);
        let watched = self.relate(target, watch) == Some(true);
        if !watched {
            self.tell_down(target, watcher, ExitReason::NoProcess);
        }
        watched
    }

    /// Takes a watcher of a local process out.
    pub(crate) fn unwatch(&self, target: Place, watcher: Sender, monitor: MonitorRef) {
        let entry = Watcher { watcher, monitor };
        self.relations_of(target, |relations| relations.monitors.unwatch(entry));
        if let Some(peer) = self.peer_numbered(watcher.node).filter(|_| watcher.is_remote()) {
            peer.pending.take_watcher(RemoteWatcher { target, watcher: watcher.place(), monitor });
        }
    }

    /// Tells one watcher that the local `target` has ended.
    pub(crate) fn tell_down(self: &Arc<Self>, target: Place, to: Watcher, reason: ExitReason) {
        let Watcher { watcher, monitor } = to;
        let place = watcher.place();
        if !watcher.is_remote() {
            let process = self.local_pid(target);
            return self.down(local(target), place, Down { monitor, process, reason });
        }
        // A lost link has told the watcher already.
        let Some(peer) = self.peer_numbered(watcher.node) else { return };
        peer.pending.take_watcher(RemoteWatcher { target, watcher: place, monitor });
        let signal = Signal::Down { to: place, from: target, monitor, reason };
        self.signal_pair(&peer, target, place, signal);
    }

    /// A process has ended: its watchers are told, and nobody watches for it any more.
    pub(crate) fn end_monitors(
        self: &Arc<Self>,
        me: Place,
        relations: &Relations,
        reason: &ExitReason,
    ) {
        for watcher in relations.monitors.watchers() {
            self.tell_down(me, watcher, reason.clone());
        }
        for (monitor, watched) in relations.monitors.all_set() {
            self.forget_monitor(me, monitor, watched);
        }
    }

    /// The link to `peer` is lost: every monitor on its processes fires.
    pub(crate) fn end_remote_monitors(
        &self,
        peer: &Peer,
        monitors: FxHashMap<MonitorRef, RemoteMonitor>,
        loss: &LinkLoss,
    ) {
        let mut monitors: Vec<_> = monitors.into_iter().collect();
        monitors.sort_unstable_by_key(|(monitor, _)| *monitor);
        for (monitor, remote) in monitors {
            let why = format!("the link to node {} was lost ({loss})", peer.name);
            self.down_unreachable(remote.watcher, remote.target, monitor, &why);
            // Told only now: whoever waits for it finds the message.
            drop(remote.tell);
        }
    }

    /// The link to `peer` is lost: its processes watch no longer.
    pub(crate) fn forget_watchers(&self, peer: &Peer, watched: FxHashSet<RemoteWatcher>) {
        let mut watched: Vec<_> = watched.into_iter().collect();
        watched.sort_unstable();
        for RemoteWatcher { target, watcher, monitor } in watched {
            let entry = Watcher { watcher: peer.sender(watcher), monitor };
            self.relations_of(target, |relations| relations.monitors.unwatch(entry));
        }
    }

    /// The link to `peer` is lost: every monitor on the node itself fires.
    pub(crate) fn end_node_monitors(
        &self,
        peer: &Peer,
        monitors: FxHashMap<MonitorRef, Place>,
        loss: &LinkLoss,
    ) {
        let mut monitors: Vec<_> = monitors.into_iter().collect();
        monitors.sort_unstable_by_key(|(monitor, _)| *monitor);
        for (monitor, watcher) in monitors {
            let why = format!("the link to node {} was lost ({loss})", peer.name);
            self.node_down(watcher, monitor, peer.id, why);
        }
    }

    fn down_unreachable(&self, watcher: Place, target: Pid, monitor: MonitorRef, why: &str) {
        let reason = ExitReason::NoConnection(why.to_owned());
        self.down(Sender::NOBODY, watcher, Down { monitor, process: target, reason });
    }

    fn node_down(&self, watcher: Place, monitor: MonitorRef, node: NodeId, reason: String) {
        let value = Box::new(NodeDown { monitor, node, reason });
        self.fire(monitor, watcher, Sender::NOBODY, value);
    }

    /// A monitor on a process fires. The node itself watches whom it has given a name.
    pub(crate) fn down(&self, from: Sender, watcher: Place, down: Down) {
        if watcher == Place::NOBODY {
            return self.name_is_down(down.monitor);
        }
        self.fire(down.monitor, watcher, from, Box::new(down));
    }

    /// Takes a monitor out of its owner's table and tells the owner, whatever its mailbox's bounds. One
    /// that has been taken out before tells nothing.
    fn fire(&self, monitor: MonitorRef, watcher: Place, from: Sender, value: Box<dyn Value>) {
        let queue = self.table.visit(watcher.index, watcher.generation, |slot| {
            slot.rare.as_mut()?.relations.monitors.take(monitor)?;
            Some(Envelope::Told { from, value })
        });
        if queue == Some(true) {
            self.queues.push(watcher.index);
        }
    }
}
