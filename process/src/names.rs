//! Names of processes, on this node and on others.

pub(crate) mod registry;

use midflight_message::{NodeId, Pid};

use crate::MonitorRef;
use crate::events::{EventKinds, Happened};
use crate::names::registry::{NAME_MAX, Owner, RegisterError};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::ask::{Answer, AskError, Question};
use crate::peer::pending::RemoteMonitor;
use crate::peer::wire::{Place, Signal};
use crate::relations::Watched;
use crate::send::Route;
use crate::trace::{self, Traced};
use std::sync::Arc;

/// A name could not be given on another node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterOnError {
    /// The node did not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The node refused.
    #[error(transparent)]
    Refused(#[from] RegisterError),
}

impl Node {
    /// Gives a process a name on this node. A process of another node may have one here, too; the name
    /// goes when it ends or the link to its node is lost. A process that has the name already keeps it.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn register(&self, name: &str, pid: Pid) -> Result<(), RegisterError> {
        self.inner.register(name, pid, false)
    }

    /// Gives a name that some process has to another.
    ///
    /// # Errors
    /// See [`RegisterError`]; `NotTaken` when no process has the name.
    pub fn reregister(&self, name: &str, pid: Pid) -> Result<(), RegisterError> {
        self.inner.register(name, pid, true)
    }

    /// Takes a name away. Answers whether anyone had it.
    pub fn unregister(&self, name: &str) -> bool {
        self.inner.unregister(name)
    }

    /// The process with this name on this node.
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.inner.registry.whereis(name)
    }

    /// All names of this node with their processes, in order.
    #[must_use]
    pub fn names(&self) -> Vec<(String, Pid)> {
        self.inner.registry.all()
    }

    /// The process with this name on another node; makes a link where there is none.
    ///
    /// # Errors
    /// See [`AskError`].
    ///
    /// # Cancel safety
    /// A dropped future has changed nothing.
    pub async fn whereis_on(&self, node: NodeId, name: &str) -> Result<Option<Pid>, AskError> {
        if !is_name(name) {
            return Ok(None);
        }
        match self.ask(node, Question::Whereis(name.to_owned())).await? {
            Answer::Whereis(process) => Ok(process),
            _ => Err(AskError::NoAnswer(node)),
        }
    }

    /// As [`Node::register`], on another node.
    ///
    /// # Errors
    /// See [`RegisterOnError`]. When there was no answer, the name may be given.
    pub async fn register_on(
        &self,
        node: NodeId,
        name: &str,
        pid: Pid,
    ) -> Result<(), RegisterOnError> {
        self.ask_to_register(node, name, pid, false).await
    }

    /// As [`Node::reregister`], on another node.
    ///
    /// # Errors
    /// See [`RegisterOnError`]. When there was no answer, the name may be given.
    pub async fn reregister_on(
        &self,
        node: NodeId,
        name: &str,
        pid: Pid,
    ) -> Result<(), RegisterOnError> {
        self.ask_to_register(node, name, pid, true).await
    }

    async fn ask_to_register(
        &self,
        node: NodeId,
        name: &str,
        process: Pid,
        again: bool,
    ) -> Result<(), RegisterOnError> {
        if !is_name(name) {
            return Err(RegisterError::BadName(name.len()).into());
        }
        let question = Question::Register { name: name.to_owned(), process, again };
        match self.ask(node, question).await? {
            Answer::Register(result) => Ok(result?),
            _ => Err(AskError::NoAnswer(node).into()),
        }
    }

    /// As [`Node::unregister`], on another node.
    ///
    /// # Errors
    /// See [`AskError`]. When there was no answer, the name may be taken away.
    pub async fn unregister_on(&self, node: NodeId, name: &str) -> Result<bool, AskError> {
        if !is_name(name) {
            return Ok(false);
        }
        match self.ask(node, Question::Unregister(name.to_owned())).await? {
            Answer::Unregister(had) => Ok(had),
            _ => Err(AskError::NoAnswer(node)),
        }
    }
}

impl Inner {
    /// Gives a name, which with `again` another process must have, to a process.
    pub(crate) fn register(
        self: &Arc<Self>,
        name: &str,
        pid: Pid,
        again: bool,
    ) -> Result<(), RegisterError> {
        if !is_name(name) {
            return Err(RegisterError::BadName(name.len()));
        }
        let mut watched_over = None;
        let cell = self.cell_for(pid).map(Route::Local);
        let Entered { is_new, had } = match cell.unwrap_or_else(|| self.route(pid)) {
            Route::Local(place) => {
                let entered = self.register_local(name, pid, place, again)?;
                trace::note(self, place, || Traced::Registered { name: name.to_owned() });
                entered
            }
            Route::Remote(peer, place) => {
                let monitor = MonitorRef(self.next());
                let watched = RemoteMonitor { watcher: Place::NOBODY, target: pid, tell: None };
                if !peer.pending.add_monitor(monitor, watched) {
                    return Err(RegisterError::NotConnected(pid));
                }
                let entered = self.enter(name, Owner { pid, monitor: Some(monitor) }, again);
                if let Ok(Entered { is_new: true, .. }) = entered {
                    let signal = Signal::Monitor { to: place, from: Place::NOBODY, monitor };
                    self.signal_pair(&peer, Place::NOBODY, place, signal);
                    watched_over = Some((peer, monitor));
                } else {
                    peer.pending.take_monitor(monitor, Place::NOBODY);
                }
                entered?
            }
            Route::NotConnected(_) => return Err(RegisterError::NotConnected(pid)),
        };
        if let Some(had) = had {
            self.name_taken(name, had);
        }
        if is_new {
            self.tell_registered(name, pid);
        }
        if let Some((peer, monitor)) = watched_over
            && peer.is_lost()
        {
            // Its loss may have come before the name was there.
            self.name_is_down(monitor);
        }
        Ok(())
    }

    /// Tells that a process has got a name, and that it has lost it, where that has come meanwhile: it may have
    /// been told too early.
    fn tell_registered(&self, name: &str, pid: Pid) {
        let owned = || name.to_owned();
        self.event(EventKinds::NAMES, || Happened::Registered { pid, name: owned() });
        if self.registry.whereis(name) != Some(pid) {
            self.event(EventKinds::NAMES, || Happened::Unregistered { pid, name: owned() });
        }
    }

    /// What this node watched by `monitor`, as it has a name here, is gone.
    pub(crate) fn name_is_down(&self, monitor: MonitorRef) {
        if let Some((name, pid)) = self.registry.is_down(monitor) {
            self.event(EventKinds::NAMES, || Happened::Unregistered { pid, name });
        }
    }

    fn register_local(
        &self,
        name: &str,
        pid: Pid,
        place: Place,
        again: bool,
    ) -> Result<Entered, RegisterError> {
        let slot = self.table.slot(place.index).ok_or(RegisterError::NoProcess(pid))?;
        let mut slot = slot.lock();
        if !slot.is(place.generation) {
            return Err(RegisterError::NoProcess(pid));
        }
        // Under the cell's lock, so that the process cannot end between the two.
        let entered = self.enter(name, Owner { pid, monitor: None }, again)?;
        if entered.is_new {
            slot.rare().names.push(name.to_owned());
        }
        Ok(entered)
    }

    fn enter(&self, name: &str, owner: Owner, again: bool) -> Result<Entered, RegisterError> {
        if !again {
            let is_new = self.registry.register(name, owner, self.limits.names)?;
            return Ok(Entered { is_new, had: None });
        }
        let had = self.registry.replace(name, owner)?;
        let is_new = had.pid != owner.pid;
        Ok(Entered { is_new, had: is_new.then_some(had) })
    }

    pub(crate) fn unregister(self: &Arc<Self>, name: &str) -> bool {
        let had = self.registry.unregister(name);
        had.map(|had| self.name_taken(name, had)).is_some()
    }

    /// `had` does not have the name any more.
    fn name_taken(self: &Arc<Self>, name: &str, had: Owner) {
        self.event(EventKinds::NAMES, || Happened::Unregistered {
            pid: had.pid,
            name: name.to_owned(),
        });
        if let Some(monitor) = had.monitor {
            return self.forget_monitor(Place::NOBODY, monitor, Watched::Process(had.pid));
        }
        if let Some(slot) = self.table.slot(had.pid.index) {
            let mut slot = slot.lock();
            // It may have got the name anew meanwhile: then it must lose it at its end.
            let has_it = || self.registry.whereis(name) == Some(had.pid);
            if slot.is(had.pid.generation) && !has_it() {
                slot.rare().names.retain(|known| known != name);
            }
        }
    }
}

/// Whether a process can be called so.
fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
}

/// A name was given.
struct Entered {
    /// Whether the process did not have it before.
    is_new: bool,
    /// Who had it.
    had: Option<Owner>,
}

#[cfg(test)]
mod tests {
    use midflight_runtime::SimRuntime;
    use midflight_transport_inmem::Hub;

    use super::*;
    use crate::{ExitReason, NodeEvent};

    /// A name is taken away and given anew to the same process between the two steps of taking it.
    #[test]
    fn a_name_that_is_given_anew_while_it_is_taken_goes_with_its_process() {
        let sim = SimRuntime::new(1);
        let runtime = sim.handle();
        let transport = Hub::new(1).transport(runtime.clone());
        let main = async move {
            let node = Node::builder("a").start(&transport, runtime).await.unwrap();
            let process = node.spawn("p", |_| std::future::pending::<()>()).unwrap();
            node.register("name", process).unwrap();
            let had = node.inner.registry.unregister("name").unwrap();
            node.register("name", process).unwrap();
            node.inner.name_taken("name", had);
            let watching = node.run("watcher", move |cx| async move {
                cx.monitor(process).await;
                cx.exit(process, ExitReason::Killed("done".into())).await;
                cx.expect::<crate::Down>().await;
            });
            watching.await.unwrap();
            assert_eq!(node.whereis("name"), None);
        };
        sim.run(100_000, main).unwrap();
    }

    /// A process ends between the two steps of giving it a name.
    #[test]
    fn a_name_that_is_told_after_its_owners_end_is_told_to_be_taken() {
        let sim = SimRuntime::new(1);
        let runtime = sim.handle();
        let transport = Hub::new(1).transport(runtime.clone());
        let main = async move {
            let node = Node::builder("a").start(&transport, runtime).await.unwrap();
            let listening = node.run("listener", |cx| async move {
                cx.watch_events(EventKinds::NAMES);
                let node = cx.node();
                let process = node.spawn("p", |_| std::future::pending::<()>()).unwrap();
                node.register("name", process).unwrap();
                node.inner.tell_registered("name", process);
                node.unregister("name");
                node.inner.tell_registered("name", process);
                let mut told = Vec::new();
                for _ in 0..5 {
                    let what = cx.expect::<NodeEvent>().await.what;
                    told.push(matches!(what, Happened::Registered { .. }));
                }
                told
            });
            assert_eq!(listening.await.unwrap(), [true, true, false, true, false]);
        };
        sim.run(100_000, main).unwrap();
    }
}
