//! Monitors: a process learns, once, that another has ended or is out of reach (P5).

use std::sync::Arc;

use midflight_message::Pid;
use midflight_transport_api::LinkLoss;
use rustc_hash::FxHashMap;

use crate::envelope::Sender;
use crate::inner::Inner;
use crate::peer::Peer;
use crate::pending::RemoteMonitor;
use crate::send::{Route, local};
use crate::slot::Watcher;
use crate::wire::{Place, Signal};
use crate::{Down, ExitReason, MonitorRef};

impl Inner {
    /// Lets `watcher` watch `target`. Where the target is out of reach now, the monitor fires at
    /// once; a caller that would rather have a link made makes it first.
    pub(crate) fn monitor(self: &Arc<Self>, watcher: Place, target: Pid) -> MonitorRef {
        let monitor = MonitorRef(self.next());
        match self.route(target) {
            Route::Local(place) => self.watch(place, local(watcher), monitor),
            Route::Remote(peer, place) => {
                if peer.pending.add_monitor(monitor, RemoteMonitor { watcher, target }) {
                    let signal = Signal::Monitor { to: place, from: watcher, monitor };
                    self.signal_pair(&peer, watcher, place, signal);
                } else {
                    self.down_unreachable(watcher, target, monitor, "the link was lost");
                }
            }
            Route::NotConnected(_) => {
                self.down_unreachable(watcher, target, monitor, "no link to its node");
            }
        }
        monitor
    }

    /// Ends a monitor. One that has fired already has its [`Down`] in the mailbox.
    pub(crate) fn demonitor(self: &Arc<Self>, watcher: Place, target: Pid, monitor: MonitorRef) {
        match self.route(target) {
            Route::Local(place) => self.unwatch(place, local(watcher), monitor),
            Route::Remote(peer, place) => {
                peer.pending.take_monitor(monitor, watcher);
                let signal = Signal::Demonitor { to: place, from: watcher, monitor };
                self.signal_pair(&peer, watcher, place, signal);
            }
            Route::NotConnected(_) => {}
        }
    }

    /// Enters a watcher of a local process; a dead one is told of at once.
    pub(crate) fn watch(self: &Arc<Self>, target: Place, watcher: Sender, monitor: MonitorRef) {
        if let Some(slot) = self.table.slot(target.index) {
            let mut slot = slot.lock();
            if slot.is(target.generation) {
                slot.rare().watchers.push(Watcher { watcher, monitor });
                return;
            }
        }
        self.tell_down(target, Watcher { watcher, monitor }, ExitReason::NoProcess);
    }

    pub(crate) fn unwatch(&self, target: Place, watcher: Sender, monitor: MonitorRef) {
        let Some(slot) = self.table.slot(target.index) else { return };
        let mut slot = slot.lock();
        if slot.is(target.generation)
            && let Some(rare) = &mut slot.rare
        {
            rare.watchers.retain(|entry| *entry != Watcher { watcher, monitor });
        }
    }

    /// Tells one watcher that the local `target` has ended.
    pub(crate) fn tell_down(self: &Arc<Self>, target: Place, to: Watcher, reason: ExitReason) {
        let watcher = Place { index: to.watcher.index, generation: to.watcher.generation };
        if !to.watcher.is_remote() {
            let process = self.local_pid(target);
            let down = Down { monitor: to.monitor, process, reason };
            return self.notify(local(target), watcher, Box::new(down));
        }
        // A lost link has told the watcher already.
        let Some(peer) = self.peer_numbered(to.watcher.node) else { return };
        let signal = Signal::Down { to: watcher, from: target, monitor: to.monitor, reason };
        self.signal_pair(&peer, target, watcher, signal);
    }

    /// The link to `peer` is lost: every monitor on its processes fires.
    pub(crate) fn end_remote_monitors(
        self: &Arc<Self>,
        peer: &Peer,
        monitors: FxHashMap<MonitorRef, RemoteMonitor>,
        loss: &LinkLoss,
    ) {
        let mut monitors: Vec<_> = monitors.into_iter().collect();
        monitors.sort_unstable_by_key(|(monitor, _)| *monitor);
        for (monitor, remote) in monitors {
            let why = format!("the link to node {} was lost ({loss})", peer.name);
            self.down_unreachable(remote.watcher, remote.target, monitor, &why);
        }
    }

    fn down_unreachable(
        self: &Arc<Self>,
        watcher: Place,
        target: Pid,
        monitor: MonitorRef,
        why: &str,
    ) {
        let reason = ExitReason::NoConnection(why.to_owned());
        let down = Down { monitor, process: target, reason };
        self.notify(Sender::NOBODY, watcher, Box::new(down));
    }
}
