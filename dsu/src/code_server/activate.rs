//! Making a version the one that runs, and going back.
//!
//! Both run as tasks of their own: whoever asked for it may go away in the middle, or be ended.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use futures_util::poll;
use midflight_message::Pid;
use midflight_runtime::spawn;
use tokio::sync::oneshot;

use super::error::{NotBack, with_sources};
use super::{ActivateError, Busy, CodeServer, DeactivateError, refuse_conflicts};
use crate::hash::ContentAddress;
use crate::history::{Cause, Change};
use crate::switch::Switched;
use crate::versions::Version;

/// What it takes to go back from the version that is current.
#[derive(Debug)]
pub(super) struct Activation {
    address: ContentAddress,
    /// The deployment it was part of.
    rollout: Option<u64>,
    before: Option<Arc<Version>>,
    /// Processes that ran in yet another version than the one that was current.
    strays: Vec<(Pid, Arc<Version>)>,
}

impl CodeServer {
    /// Lets new processes start in a staged bundle, and switches the living ones of its other
    /// versions. All or none: when one cannot be switched, those that were are switched back.
    /// Answers how many run in it.
    ///
    /// # Errors
    /// [`ActivateError`]; everything runs as before, but for processes it names.
    ///
    /// # Cancel safety
    /// A dropped future leaves the activation going on.
    pub async fn activate(&self, address: ContentAddress) -> Result<usize, ActivateError> {
        self.activate_in(address, None).await
    }

    /// As [`CodeServer::activate`], as part of a deployment to several nodes.
    ///
    /// # Errors
    /// [`ActivateError`].
    pub(crate) async fn activate_in(
        &self,
        address: ContentAddress,
        rollout: Option<u64>,
    ) -> Result<usize, ActivateError> {
        let server = self.clone();
        let work = async move { server.activate_here(address, rollout).await };
        self.apart("activate", work).await.unwrap_or(Err(ActivateError::BrokenOff))
    }

    /// Takes the activation of a bundle by a deployment back: new processes start in what was
    /// current before it, if anything was, and those that it has switched go back to where they
    /// came from. Where the deployment has activated nothing, nothing is done.
    ///
    /// # Errors
    /// [`DeactivateError`].
    pub(crate) async fn deactivate(
        &self,
        address: ContentAddress,
        rollout: u64,
    ) -> Result<(), DeactivateError> {
        let server = self.clone();
        let work = async move { server.deactivate_here(address, rollout).await };
        self.apart("deactivate", work).await.unwrap_or(Err(DeactivateError::BrokenOff))
    }

    /// Begins `work` here, so that it is under way once this has been polled, and goes on with it in
    /// a task of its own. `None`: it was broken off.
    async fn apart<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut work = Box::pin(work);
        if let Poll::Ready(done) = poll!(&mut work) {
            return Some(done);
        }
        let (tell, told) = oneshot::channel();
        spawn(self.node().runtime(), name, async move {
            // Whoever asked may have gone.
            let _ = tell.send(work.await);
        });
        told.await.ok()
    }

    async fn activate_here(
        &self,
        address: ContentAddress,
        rollout: Option<u64>,
    ) -> Result<usize, ActivateError> {
        let inner = &*self.inner;
        let new = inner.versions.get(address).ok_or(ActivateError::NotStaged(address))?;
        let busy = || ActivateError::Busy(new.name.clone());
        let _busy = Busy::at(inner, &new.name).ok_or_else(busy)?;
        // Since it was staged another one may have become current.
        let running = inner.versions.current(&new.name);
        refuse_conflicts(running.as_deref(), new.code.description())?;
        let before = inner.versions.make_current(&new);
        let pids = self.processes_of_others(&new);
        let Switched { done, failed } = inner.switcher.switch_all(&pids, &new).await;
        let before_address = before.as_ref().map(|before| before.address);
        let strays = done.into_iter().filter(|(_, old)| Some(old.address) != before_address);
        let activation = Activation { address, rollout, before, strays: strays.collect() };
        let result = if failed.is_empty() {
            let processes = new.process_count();
            tracing::info!(bundle = %new.name, version = new.version, processes, "activated");
            inner.activations.lock().insert(new.name.clone(), activation);
            self.record(&new.name, Cause::Activated);
            Ok(processes)
        } else {
            let not_back = self.go_back(&new, activation).await;
            Err(ActivateError::Switch { failed, not_back })
        };
        inner.versions.tell(&inner.node);
        result
    }

    async fn deactivate_here(
        &self,
        address: ContentAddress,
        rollout: u64,
    ) -> Result<(), DeactivateError> {
        let inner = &*self.inner;
        let Some(new) = inner.versions.get(address) else { return Ok(()) };
        let busy = || DeactivateError::Busy(new.name.clone());
        let _busy = Busy::at(inner, &new.name).ok_or_else(busy)?;
        let Some(activation) = self.last_activation(&new, rollout)? else { return Ok(()) };
        let not_back = self.go_back(&new, activation).await;
        inner.versions.tell(&inner.node);
        self.record(&new.name, Cause::TakenBack);
        tracing::info!(bundle = %new.name, version = new.version, "deactivated");
        if not_back.is_empty() { Ok(()) } else { Err(DeactivateError::NotBack(not_back)) }
    }

    /// Writes down what is current now.
    fn record(&self, bundle: &str, cause: Cause) {
        let current = self.inner.versions.current(bundle);
        let current = current.map(|version| (version.version, version.address));
        let at = self.inner.node.runtime().unix_time();
        self.inner.history.lock().record(bundle, Change { current, at, cause });
    }

    /// Takes what is known of the last activation, if it was of `new` by that deployment.
    fn last_activation(
        &self,
        new: &Version,
        rollout: u64,
    ) -> Result<Option<Activation>, DeactivateError> {
        let mut activations = self.inner.activations.lock();
        let Some(last) = activations.get(&new.name) else { return Ok(None) };
        if last.address == new.address && last.rollout == Some(rollout) {
            return Ok(activations.remove(&new.name));
        }
        let followed = last.before.as_ref().is_some_and(|before| before.address == new.address);
        if followed && last.address != new.address {
            return Err(DeactivateError::Replaced(new.name.clone()));
        }
        Ok(None)
    }

    fn processes_of_others(&self, new: &Version) -> Vec<Pid> {
        let all = self.inner.versions.all();
        let others = all.iter().map(|(version, _)| version);
        let others = others.filter(|v| v.name == new.name && v.address != new.address);
        others.flat_map(|version| version.processes()).collect()
    }

    /// Makes what was current before `new` current again, and switches all that runs in `new` back:
    /// what was switched to it, and what was started in it meanwhile. Answers what runs in it still.
    async fn go_back(&self, new: &Arc<Version>, activation: Activation) -> Vec<NotBack> {
        let Activation { before, strays, .. } = activation;
        let inner = &*self.inner;
        match &before {
            // It was current already: what runs in it belongs there.
            Some(before) if before.address == new.address => {}
            Some(before) => drop(inner.versions.make_current(before)),
            None => inner.versions.clear_current(&new.name),
        }
        let mut not_back = Vec::new();
        for (pid, old) in strays {
            let switched = inner.switcher.switch_back(&[pid], &old).await;
            not_back.extend(switched.failed.into_iter().map(NotBack::Switch));
        }
        match before {
            Some(before) if before.address == new.address => {}
            Some(before) => {
                let switched = inner.switcher.switch_back(&new.processes(), &before).await;
                not_back.extend(switched.failed.into_iter().map(NotBack::Switch));
            }
            None => not_back.extend(new.processes().into_iter().map(NotBack::Nowhere)),
        }
        for why in &not_back {
            let why = with_sources(why);
            tracing::error!(bundle = %new.name, version = new.version, why, "not switched back");
        }
        not_back
    }
}
