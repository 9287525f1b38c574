//! What waits for a word from a peer. It ends as one when the link is lost, and nothing can be
//! added after that: so nobody waits for a word that cannot come.

use futures_channel::oneshot;
use midflight_message::Pid;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::MonitorRef;
use crate::functions::spawned::{NotSpawned, Port};
use crate::mailbox::envelope::CallRef;
use crate::peer::ask::Answer;
use crate::peer::schemas::Schemas;
use crate::peer::wire::Place;

/// A monitor whose target lives on the peer.
#[derive(Debug)]
pub(crate) struct RemoteMonitor {
    pub(crate) watcher: Place,
    pub(crate) target: Pid,
    /// Who waits to hear that it is set, or is over.
    pub(crate) tell: Option<oneshot::Sender<()>>,
}

/// A monitor that a process of the peer has on one here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RemoteWatcher {
    pub(crate) target: Place,
    pub(crate) watcher: Place,
    pub(crate) monitor: MonitorRef,
}

/// A request to start a function, whose answer is to come.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) spawner: Place,
    pub(crate) monitor: Option<MonitorRef>,
    /// Whether the child is to end when nobody waits for it any more.
    pub(crate) owned: bool,
    /// Whether spawner and child are linked.
    pub(crate) link: bool,
    /// The credit it has taken, in bytes.
    pub(crate) weight: u32,
    pub(crate) tell: oneshot::Sender<Result<(Pid, Port), NotSpawned>>,
}

/// Everything that waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Calls, by caller.
    pub(crate) calls: FxHashMap<CallRef, Place>,
    pub(crate) monitors: FxHashMap<MonitorRef, RemoteMonitor>,
    questions: FxHashMap<u64, oneshot::Sender<Answer>>,
    pub(crate) schemas: Schemas,
    /// Links between a process here and one there.
    pub(crate) links: FxHashSet<(Place, Place)>,
    spawns: FxHashMap<u64, Expected>,
    /// Processes here that work for callers there.
    pub(crate) workers: FxHashSet<Place>,
    /// Monitors from there.
    pub(crate) watched: FxHashSet<RemoteWatcher>,
    /// Monitors of the peer itself, by watcher.
    pub(crate) node_monitors: FxHashMap<MonitorRef, Place>,
}

/// Why a link between two processes was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLink {
    /// The link between their nodes is lost.
    Lost,
    /// The two nodes have as many as they may.
    TooMany,
}

/// What waits for one peer.
#[derive(Debug)]
pub(crate) struct Pending {
    /// `None` once the link is lost.
    waiting: Mutex<Option<Waiting>>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { waiting: Mutex::new(Some(Waiting::default())) }
    }
}

impl Pending {
    /// The link is lost: answers all that waited.
    pub(crate) fn end(&self) -> Waiting {
        self.waiting.lock().take().unwrap_or_default()
    }

    /// Enters a call; false when the link is lost.
    pub(crate) fn add_call(&self, call: CallRef, caller: Place) -> bool {
        self.add(|waiting| {
            waiting.calls.insert(call, caller);
        })
    }

    /// Takes a call out; answers its caller.
    pub(crate) fn take_call(&self, call: CallRef) -> Option<Place> {
        self.waiting.lock().as_mut()?.calls.remove(&call)
    }

    /// An answer to a call of `caller`'s has come: nobody waits for it any more. Answers false, and leaves everything as
    /// it was, when that one waits for no such call: another's call must not end by what is none of its answers.
    pub(crate) fn answers(&self, call: CallRef, caller: Place) -> bool {
        let mut waiting = self.waiting.lock();
        let Some(waiting) = &mut *waiting else { return false };
        let is_its = waiting.calls.get(&call) == Some(&caller);
        if is_its {
            waiting.calls.remove(&call);
        }
        is_its
    }

    /// Enters a monitor; false when the link is lost.
    pub(crate) fn add_monitor(&self, monitor: MonitorRef, remote: RemoteMonitor) -> bool {
        self.add(|waiting| {
            waiting.monitors.insert(monitor, remote);
        })
    }

    /// Takes a monitor out, if it is `watcher`'s.
    pub(crate) fn take_monitor(
        &self,
        monitor: MonitorRef,
        watcher: Place,
    ) -> Option<RemoteMonitor> {
        let mut waiting = self.waiting.lock();
        let monitors = &mut waiting.as_mut()?.monitors;
        monitors.get(&monitor).filter(|remote| remote.watcher == watcher)?;
        monitors.remove(&monitor)
    }

    /// The peer has set a monitor of `watcher`'s.
    pub(crate) fn confirm_monitor(&self, monitor: MonitorRef, watcher: Place) {
        let tell = match &mut *self.waiting.lock() {
            Some(waiting) => {
                let remote = waiting.monitors.get_mut(&monitor);
                remote.filter(|remote| remote.watcher == watcher).and_then(|r| r.tell.take())
            }
            None => None,
        };
        // Outside the lock: it wakes somebody, unless nobody waits any more.
        let _ = tell.map(|tell| tell.send(()));
    }

    /// Enters a monitor of the peer itself; false when the link is lost.
    pub(crate) fn add_node_monitor(&self, monitor: MonitorRef, watcher: Place) -> bool {
        self.add(|waiting| {
            waiting.node_monitors.insert(monitor, watcher);
        })
    }

    /// Takes a monitor of the peer itself out.
    pub(crate) fn take_node_monitor(&self, monitor: MonitorRef) {
        if let Some(waiting) = &mut *self.waiting.lock() {
            waiting.node_monitors.remove(&monitor);
        }
    }

    /// Enters a monitor from there; false when there are `max` already. (When the link is lost, nobody
    /// is left to be told.)
    pub(crate) fn add_watcher(&self, watcher: RemoteWatcher, max: usize) -> bool {
        match &mut *self.waiting.lock() {
            Some(waiting) if waiting.watched.len() >= max => false,
            Some(waiting) => {
                waiting.watched.insert(watcher);
                true
            }
            None => true,
        }
    }

    /// Takes a monitor from there out.
    pub(crate) fn take_watcher(&self, watcher: RemoteWatcher) {
        if let Some(waiting) = &mut *self.waiting.lock() {
            waiting.watched.remove(&watcher);
        }
    }

    /// Asks a question; `None` when the link is lost.
    pub(crate) fn add_question(&self, question: u64) -> Option<oneshot::Receiver<Answer>> {
        let (tell, told) = oneshot::channel();
        self.add(|waiting| drop(waiting.questions.insert(question, tell))).then_some(told)
    }

    /// Takes a question out, answered or given up.
    pub(crate) fn take_question(&self, question: u64) -> Option<oneshot::Sender<Answer>> {
        self.waiting.lock().as_mut()?.questions.remove(&question)
    }

    /// What it was asked to explain; `None` when the link is lost.
    pub(crate) fn schemas<R>(&self, look: impl FnOnce(&mut Schemas) -> R) -> Option<R> {
        self.waiting.lock().as_mut().map(|waiting| look(&mut waiting.schemas))
    }

    /// Enters a link between a process here and one there.
    ///
    /// # Errors
    /// There are `max` already, or the link between the nodes is lost.
    pub(crate) fn add_link(&self, here: Place, there: Place, max: usize) -> Result<(), NoLink> {
        match &mut *self.waiting.lock() {
            None => Err(NoLink::Lost),
            Some(waiting)
                if waiting.links.len() >= max && !waiting.links.contains(&(here, there)) =>
            {
                Err(NoLink::TooMany)
            }
            Some(waiting) => {
                waiting.links.insert((here, there));
                Ok(())
            }
        }
    }

    /// A link between a process here and one there is over.
    pub(crate) fn take_link(&self, here: Place, there: Place) {
        if let Some(waiting) = &mut *self.waiting.lock() {
            waiting.links.remove(&(here, there));
        }
    }

    /// Enters a request to start a function; false when the link is lost.
    pub(crate) fn add_spawn(&self, request: u64, expected: Expected) -> bool {
        self.add(|waiting| drop(waiting.spawns.insert(request, expected)))
    }

    /// Takes a request to start a function out, if it is `spawner`'s.
    pub(crate) fn take_spawn(&self, request: u64, spawner: Place) -> Option<Expected> {
        let mut waiting = self.waiting.lock();
        let spawns = &mut waiting.as_mut()?.spawns;
        spawns.get(&request).filter(|expected| expected.spawner == spawner)?;
        spawns.remove(&request)
    }

    /// Enters a process here that works for a caller there; false when the link is lost.
    pub(crate) fn add_worker(&self, worker: Place) -> bool {
        self.add(|waiting| _ = waiting.workers.insert(worker))
    }

    pub(crate) fn remove_worker(&self, worker: Place) {
        self.add(|waiting| _ = waiting.workers.remove(&worker));
    }

    /// How many links, monitors from there and schemas there are.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> [usize; 3] {
        let waiting = self.waiting.lock();
        let counts = |w: &Waiting| [w.links.len(), w.watched.len(), w.schemas.len()];
        waiting.as_ref().map_or([0; 3], counts)
    }

    fn add(&self, add: impl FnOnce(&mut Waiting)) -> bool {
        match &mut *self.waiting.lock() {
            Some(waiting) => {
                add(waiting);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { index: 1, generation: 0 };

    #[test]
    fn nothing_waits_for_a_lost_link() {
        let pending = Pending::default();
        assert!(pending.add_call(CallRef(1), PLACE));
        assert_eq!(pending.end().calls.len(), 1);
        assert!(!pending.add_call(CallRef(2), PLACE));
        assert!(pending.add_question(3).is_none());
        assert!(pending.end().calls.is_empty());
    }

    #[test]
    fn what_waits_is_taken_once_and_by_its_owner() {
        let pending = Pending::default();
        assert!(pending.add_call(CallRef(5), PLACE));
        assert!(!pending.answers(CallRef(5), Place { index: 2, generation: 0 }), "another's");
        assert!(pending.answers(CallRef(5), PLACE), "it is waited for still");
        assert!(!pending.answers(CallRef(5), PLACE));
        let target = Pid { node: midflight_message::NodeId(1), index: 2, generation: 3 };
        pending.add_monitor(MonitorRef(7), RemoteMonitor { watcher: PLACE, target, tell: None });
        assert!(pending.take_monitor(MonitorRef(7), Place::NOBODY).is_none());
        assert!(pending.take_monitor(MonitorRef(7), PLACE).is_some());
        assert!(pending.take_monitor(MonitorRef(7), PLACE).is_none());
    }
}
