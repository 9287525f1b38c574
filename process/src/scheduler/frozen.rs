//! A process whose body has been taken out between two messages. Its mailbox, pid, monitors and
//! names stay where they are; messages wait.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures_channel::oneshot;
use midflight_message::Pid;
use midflight_runtime::{Instant, timeout_at};

use crate::mailbox::envelope::{Envelope, Sender};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::body::{Body, Label};
use crate::table::slot::Run;

/// A frozen process. [`Frozen::thaw`] gives it a body again; dropping it gives back the one it had.
pub struct Frozen {
    pub(crate) inner: Arc<Inner>,
    pub(crate) place: Place,
    body: Option<Box<dyn Body>>,
}

/// A process could not be frozen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// It does not live on this node.
    #[error("{0} does not live on this node")]
    NoProcess(Pid),
    /// Somebody else is freezing it, or has frozen it.
    #[error("{0} is being frozen by somebody else")]
    Busy(Pid),
    /// It did not come to rest between two messages in time.
    #[error("{pid} did not come to rest in time: {what}")]
    Overrun {
        /// The process.
        pid: Pid,
        /// What it was in.
        what: String,
    },
}

impl Frozen {
    pub(crate) fn new(inner: Arc<Inner>, place: Place, body: Box<dyn Body>) -> Self {
        Self { inner, place, body: Some(body) }
    }

    /// Asks for the body of `pid` and waits for it until `deadline`.
    pub(crate) async fn take(
        inner: &Arc<Inner>,
        pid: Pid,
        deadline: Instant,
    ) -> Result<Self, FreezeError> {
        // One that has left is another node's.
        let place = inner.local_place(pid).ok_or(FreezeError::NoProcess(pid))?;
        if inner.relocation.gone_from(place).is_some() {
            return Err(FreezeError::NoProcess(pid));
        }
        let told = match Self::ask(inner, pid, place)? {
            Asked::Had(body) => return Ok(Self::new(inner.clone(), place, body)),
            Asked::Waiting(told) => told,
        };
        match timeout_at(&*inner.runtime, deadline, told).await {
            Ok(Ok(frozen)) => Ok(frozen),
            Ok(Err(_ended)) => Err(FreezeError::NoProcess(pid)),
            Err(_elapsed) => Err(Self::overrun(inner, pid, place)),
        }
    }

    fn ask(inner: &Inner, pid: Pid, place: Place) -> Result<Asked, FreezeError> {
        let slot = inner.table.slot(place.index).ok_or(FreezeError::NoProcess(pid))?;
        let mut slot = slot.lock();
        if !slot.is(place.generation) {
            return Err(FreezeError::NoProcess(pid));
        }
        if slot.run == Run::Frozen {
            return Err(FreezeError::Busy(pid));
        }
        let at_rest = matches!(slot.run, Run::Idle | Run::Queued);
        if at_rest && let Some(body) = slot.body.take_if(|body| body.is_quiescent()) {
            slot.woken = slot.run == Run::Queued;
            slot.run = Run::Frozen;
            slot.rare().label = Some(body.label());
            return Ok(Asked::Had(body));
        }
        let rare = slot.rare();
        if rare.freeze.as_ref().is_some_and(|freeze| !freeze.is_canceled()) {
            return Err(FreezeError::Busy(pid));
        }
        let (tell, told) = oneshot::channel();
        rare.freeze = Some(tell);
        Ok(Asked::Waiting(told))
    }

    fn overrun(inner: &Inner, pid: Pid, place: Place) -> FreezeError {
        let mut what = String::from("it is in the middle of a message");
        if let Some(slot) = inner.table.slot(place.index) {
            let mut slot = slot.lock();
            if slot.is(place.generation) {
                // Only this caller's own request: another may have been made since.
                slot.rare().freeze.take_if(|freeze| freeze.is_canceled());
                if let Some(suspended) = slot.body.as_ref().and_then(|b| b.label().suspended) {
                    what = suspended;
                }
            }
        }
        FreezeError::Overrun { pid, what }
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.inner.local_pid(self.place)
    }

    /// The body it had.
    ///
    /// # Panics
    /// Never: the body is there until the process is thawed.
    #[must_use]
    pub fn body(&mut self) -> &mut Box<dyn Body> {
        self.body.as_mut().expect("there until it is thawed")
    }

    /// Whose messages lie in its mailbox, each once. What was sent from outside any process is nobody's, and replies and
    /// exit signals are no messages.
    #[must_use]
    pub fn mail_from(&self) -> BTreeSet<Pid> {
        let Some(slot) = self.inner.table.slot(self.place.index) else { return BTreeSet::new() };
        let mut senders: Vec<Sender> = {
            let slot = slot.lock();
            if !slot.is(self.place.generation) || !slot.has_mail() {
                return BTreeSet::new();
            }
            let front = slot.front.iter().flat_map(|front| &front.entries);
            let all = front.chain(slot.mailbox.iter());
            all.filter(|entry| !entry.is_signal()).map(Envelope::origin).collect()
        };
        senders.sort_unstable();
        senders.dedup();
        senders.into_iter().filter_map(|sender| self.inner.pid(sender)).collect()
    }

    /// Lets the process go on with `body`. Answers the one it had.
    pub fn thaw(mut self, body: Box<dyn Body>) -> Option<Box<dyn Body>> {
        let before = self.body.replace(body);
        drop(self);
        before
    }
}

enum Asked {
    Had(Box<dyn Body>),
    Waiting(oneshot::Receiver<Frozen>),
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        let Some(slot) = self.inner.table.slot(self.place.index) else { return };
        let queue = {
            let mut slot = slot.lock();
            if !slot.is(self.place.generation) || slot.run != Run::Frozen {
                return;
            }
            slot.rare().label = Some(body.label());
            let has_work = body.has_work();
            slot.body = Some(body);
            let queue = std::mem::take(&mut slot.woken) || slot.has_mail() || has_work;
            slot.run = if queue { Run::Queued } else { Run::Idle };
            queue
        };
        if queue {
            self.inner.queues.push(self.place.index);
        }
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label: Option<Label> = self.body.as_ref().map(|body| body.label());
        f.debug_struct("Frozen").field("pid", &self.pid()).field("label", &label).finish()
    }
}
