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
use crate::committed::Standing;
use crate::hash::ContentAddress;
use crate::history::{Cause, Change};
use crate::policy::Policy;
use crate::switch::{Rest, Switched};
use crate::versions::{self, Hold, Residents, Version};

/// The last activation of a bundle.
#[derive(Debug)]
pub(super) struct Activation {
    pub(super) address: ContentAddress,
    /// The deployment it was part of.
    pub(super) rollout: Option<u64>,
    pub(super) policy: Policy,
    /// What was current before; the bundle itself, where it was current already and what was before is not known.
    pub(super) before: Option<ContentAddress>,
    /// What it takes to go back; none when it is over.
    pub(super) undo: Option<Undo>,
}

/// What it takes to go back from the version that is current.
#[derive(Debug)]
pub(super) struct Undo {
    before: Option<Hold>,
    /// Processes that ran in it already, and are to stay.
    residents: Residents,
    /// Processes that ran in yet another version than the one that was current.
    strays: Vec<(Pid, Hold)>,
    /// The versions that were kept by their policy.
    kept: Vec<Arc<Version>>,
    /// How far they come to rest that go back together, as they came.
    together: Option<Rest>,
}

/// That an activation is the way back from a version that has failed on probation.
#[derive(Debug, Clone)]
pub(crate) struct GoingBack {
    pub(crate) from: ContentAddress,
    pub(crate) why: String,
}

/// That an activation follows what was decided while this node was away or not yet there. The others have tried the
/// version: it is on no probation here, where it could fail by what is this node's alone.
pub(crate) struct Follows {
    pub(crate) standing: Standing,
    /// What was current one after the other at a node that was there, up to the version itself: as if this one had
    /// been there, too, so that it can go back with the others.
    pub(crate) missed: Vec<Change>,
    /// Whether a deployment has claimed the bundle's name here.
    pub(crate) is_claimed: Box<dyn Fn() -> bool + Send + Sync>,
}

/// How a version is activated.
#[derive(Default)]
pub(crate) struct Order {
    pub(crate) policy: Policy,
    /// The deployment it is part of.
    pub(crate) rollout: Option<u64>,
    pub(crate) back: Option<GoingBack>,
    pub(crate) follows: Option<Follows>,
}

impl Order {
    /// The way back is one from the version that is current. Answers whether `new`, which it leads to, is
    /// current already.
    fn refuse_replaced(
        &self,
        running: Option<&Version>,
        new: ContentAddress,
    ) -> Result<bool, ActivateError> {
        match (&self.back, running) {
            (Some(_), Some(running)) if running.address == new => Ok(true),
            (Some(back), Some(running)) if back.from != running.address => {
                Err(ActivateError::Replaced(running.name.clone()))
            }
            _ => Ok(false),
        }
    }
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
        self.activate_by(address, Policy::Migrate).await
    }

    /// As [`CodeServer::activate`]; the policy says what becomes of the processes of other versions.
    ///
    /// # Errors
    /// [`ActivateError`].
    ///
    /// # Cancel safety
    /// A dropped future leaves the activation going on.
    pub async fn activate_by(
        &self,
        address: ContentAddress,
        policy: Policy,
    ) -> Result<usize, ActivateError> {
        self.activate_in(address, Order { policy, ..Order::default() }).await
    }

    /// As [`CodeServer::activate_by`], as part of a deployment to several nodes.
    ///
    /// # Errors
    /// [`ActivateError`].
    pub(crate) async fn activate_in(
        &self,
        address: ContentAddress,
        order: Order,
    ) -> Result<usize, ActivateError> {
        let server = self.clone();
        let work = async move {
            let activated = server.activate_here(address, order).await;
            if activated.is_ok() {
                server.remember_release(address).await;
            }
            server.retire();
            activated
        };
        self.apart("activate", work).await.unwrap_or(Err(ActivateError::BrokenOff))
    }

    /// Takes the activation of a bundle by a deployment back: new processes start in what was
    /// current before it, if anything was, and those that it has switched go back to where they
    /// came from; the history says why. Where the deployment has activated nothing, nothing is done.
    ///
    /// # Errors
    /// [`DeactivateError`].
    pub(crate) async fn deactivate(
        &self,
        address: ContentAddress,
        rollout: u64,
        why: Option<String>,
    ) -> Result<(), DeactivateError> {
        let server = self.clone();
        let work = async move {
            let deactivated = server.deactivate_here(address, rollout, why).await;
            server.retire();
            deactivated
        };
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
        order: Order,
    ) -> Result<usize, ActivateError> {
        let inner = &*self.inner;
        let new = inner.versions.get(address).ok_or(ActivateError::NotStaged(address))?;
        let busy = || ActivateError::Busy(new.name.clone());
        let _busy = Busy::at(inner, &new.name).ok_or_else(busy)?;
        // Since it was staged another one may have become current.
        let running = inner.versions.current(&new.name);
        if order.refuse_replaced(running.as_deref(), address)? {
            return Ok(new.process_count());
        }
        if let Some(follows) = &order.follows {
            self.refuse_overtaken(&new.name, follows)?;
        }
        let replaced = self.to_replace(&new.name, order.follows.is_some());
        refuse_conflicts(replaced.as_deref(), new.code.description())?;
        let residents = new.residents();
        let group = self.at_rest(&new, &order).await?;
        let before = inner.versions.make_current(&new);
        if order.back.is_none()
            && order.follows.is_none()
            && let Some(before) = before.as_ref().filter(|before| before.address != address)
        {
            let now = inner.node.runtime().now();
            new.begin_probation(inner.switcher.limits().probation, before.address, now);
        }
        let others = self.others(&new);
        let Switched { done, failed } = match group {
            Some(group) => self.switch_together(group, (&new, &others), &order).await,
            None => self.switch_to(&new, &others, &order).await,
        };
        let before_address = before.as_ref().map(|before| before.address);
        let hold = |version, pid| Hold::new(version, versions::Cause::Undo, pid);
        let strays = done.into_iter().filter(|(_, old)| Some(old.address) != before_address);
        let undo = Undo {
            before: before.map(|before| hold(before, None)),
            residents,
            strays: strays.map(|(pid, old)| (pid, hold(old, Some(pid)))).collect(),
            kept: self.kept(&new.name),
            together: order.policy.together(),
        };
        let result = if failed.is_empty() {
            let processes = self.activated(&new, &others, order, before_address, undo);
            inner.versions.all_are_there(&new, inner.node.runtime().now());
            Ok(processes)
        } else {
            let not_back = self.go_back(&new, undo).await;
            Err(ActivateError::Switch { failed, not_back })
        };
        inner.versions.tell(&inner.node);
        result
    }

    /// Switches the living processes, as far as they are to be. On the way back one that cannot be switched stays
    /// where it is: that is no reason to leave the others there, too.
    pub(super) async fn switch_to(
        &self,
        new: &Arc<Version>,
        others: &[Arc<Version>],
        order: &Order,
    ) -> Switched {
        let switcher = &self.inner.switcher;
        if let Some(back) = &order.back {
            let from = others.iter().filter(|version| version.address == back.from);
            let pids: Vec<_> = from.flat_map(|version| version.processes()).collect();
            let Switched { done, failed } = switcher.switch_back(&pids, new).await;
            for why in failed {
                let why = with_sources(&why);
                tracing::error!(bundle = %new.name, version = new.version, why, "not switched back");
            }
            return Switched { done, failed: Vec::new() };
        }
        match order.policy {
            Policy::Migrate => {
                let pids: Vec<_> = others.iter().flat_map(|version| version.processes()).collect();
                switcher.switch_all(&pids, new).await
            }
            // Those that are switched together have been.
            Policy::Quiescent | Policy::Tranquil => Switched::default(),
            Policy::Keep | Policy::Drain | Policy::Erlang => Switched::default(),
        }
    }

    /// All has gone well: writes down what is current, and what it takes to go back. Answers how many run in it.
    fn activated(
        &self,
        new: &Arc<Version>,
        others: &[Arc<Version>],
        order: Order,
        before: Option<ContentAddress>,
        undo: Undo,
    ) -> usize {
        let Order { policy, rollout, back, follows } = order;
        let (address, processes) = (new.address, new.process_count());
        tracing::info!(bundle = %new.name, version = new.version, %policy, processes, "activated");
        new.mark(versions::Cause::Staged, false);
        new.mark(versions::Cause::Kept, false);
        for other in others {
            other.end_probation();
            // Those that stay in other versions have nothing to do with a way back.
            if back.is_some() {
                continue;
            }
            if policy != Policy::Keep {
                other.mark(versions::Cause::Kept, false);
            } else if Some(other.address) == before || other.process_count() > 0 {
                other.mark(versions::Cause::Kept, true);
            }
        }
        let undo = Some(undo);
        let mut activations = self.inner.activations.lock();
        let before = match activations.get(&new.name) {
            // Activated again: it has taken the place of what it took the place of then.
            Some(last) if before == Some(address) && last.address == address => last.before,
            _ => before,
        };
        let activation = Activation { address, rollout, policy, before, undo };
        activations.insert(new.name.clone(), activation);
        drop(activations);
        for missed in follows.into_iter().flat_map(|follows| follows.missed) {
            self.inner.history.lock().record(&new.name, missed);
        }
        let cause = if back.is_some() { Cause::WentBack } else { Cause::Activated };
        self.record(&new.name, cause, back.map(|back| back.why));
        if rollout.is_none() {
            self.settle(&new.name, None, true);
        }
        processes
    }

    async fn deactivate_here(
        &self,
        address: ContentAddress,
        rollout: u64,
        why: Option<String>,
    ) -> Result<(), DeactivateError> {
        let inner = &*self.inner;
        let Some(new) = inner.versions.get(address) else { return Ok(()) };
        let busy = || DeactivateError::Busy(new.name.clone());
        let _busy = Busy::at(inner, &new.name).ok_or_else(busy)?;
        let Some(undo) = self.last_activation(&new, rollout)? else { return Ok(()) };
        let not_back = self.go_back(&new, undo).await;
        inner.versions.tell(&inner.node);
        self.record(&new.name, Cause::TakenBack, why);
        tracing::info!(bundle = %new.name, version = new.version, "deactivated");
        if not_back.is_empty() { Ok(()) } else { Err(DeactivateError::NotBack(not_back)) }
    }

    /// Writes down what is current now.
    fn record(&self, bundle: &str, cause: Cause, why: Option<String>) {
        let current = self.inner.versions.current(bundle);
        let current = current.map(|version| (version.version, version.address));
        let at = self.inner.node.runtime().unix_time();
        self.inner.history.lock().record(bundle, Change { current, at, cause, why });
    }

    /// Takes what undoes the last activation, if it was of `new` by that deployment.
    fn last_activation(
        &self,
        new: &Version,
        rollout: u64,
    ) -> Result<Option<Undo>, DeactivateError> {
        let mut activations = self.inner.activations.lock();
        let Some(last) = activations.get(&new.name) else { return Ok(None) };
        if last.address == new.address && last.rollout == Some(rollout) {
            let last = activations.remove(&new.name);
            let undo = last.and_then(|last| last.undo);
            return undo.map(Some).ok_or_else(|| DeactivateError::Over(new.name.clone()));
        }
        if last.before == Some(new.address) && last.address != new.address {
            return Err(DeactivateError::Replaced(new.name.clone()));
        }
        Ok(None)
    }

    /// The versions of a bundle that are kept by their policy.
    fn kept(&self, bundle: &str) -> Vec<Arc<Version>> {
        let mut all = self.inner.versions.of(bundle);
        all.retain(|version| version.is_held_by(versions::Cause::Kept));
        all
    }

    /// The other versions of the same bundle.
    pub(super) fn others(&self, new: &Version) -> Vec<Arc<Version>> {
        let mut others = self.inner.versions.of(&new.name);
        others.retain(|other| other.address != new.address);
        others
    }

    /// Makes what was current before `new` current again, and switches back what was switched to `new`,
    /// and what was started in it meanwhile. Answers what of it runs there still.
    async fn go_back(&self, new: &Arc<Version>, undo: Undo) -> Vec<NotBack> {
        let Undo { before, residents, strays, kept, together } = undo;
        new.end_probation();
        let before = before.as_ref().map(|hold| &hold.version);
        let inner = &*self.inner;
        for version in inner.versions.of(&new.name) {
            let was_kept = kept.iter().any(|kept| kept.address == version.address);
            version.mark(versions::Cause::Kept, was_kept);
        }
        match before {
            // It was current already: what runs in it belongs there.
            Some(before) if before.address == new.address => {}
            Some(before) => drop(inner.versions.make_current(before)),
            None => inner.versions.clear_current(&new.name),
        }
        let mut not_back = Vec::new();
        for (pid, old) in strays {
            let switched = inner.switcher.switch_back(&[pid], &old.version).await;
            not_back.extend(switched.failed.into_iter().map(NotBack::Switch));
        }
        let newcomers = new.newcomers(&residents);
        match before {
            Some(before) if before.address == new.address => {}
            Some(before) => {
                let switched = match together {
                    Some(rest) => {
                        inner.switcher.switch_back_together(&newcomers, before, rest).await
                    }
                    None => inner.switcher.switch_back(&newcomers, before).await,
                };
                not_back.extend(switched.failed.into_iter().map(NotBack::Switch));
            }
            None => not_back.extend(newcomers.into_iter().map(NotBack::Nowhere)),
        }
        for why in &not_back {
            let why = with_sources(why);
            tracing::error!(bundle = %new.name, version = new.version, why, "not switched back");
        }
        not_back
    }
}
