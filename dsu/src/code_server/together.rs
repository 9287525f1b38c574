//! Switching the processes of a bundle together, where its policy says so.

use std::sync::Arc;

use midflight_message::Pid;

use super::error::{LISTED_MAX, with_sources};
use super::{ActivateError, CodeServer, Order};
use crate::policy::Policy;
use crate::switch::{Group, SwitchError, Switched};
use crate::versions::Version;

impl CodeServer {
    /// The processes that an order switches together, at rest. Nothing has changed yet: what starts meanwhile starts in the
    /// version before, and belongs to them. `None`: it switches each by itself, or none.
    pub(super) async fn at_rest(
        &self,
        new: &Version,
        order: &Order,
    ) -> Result<Option<Group>, ActivateError> {
        let Some(rest) = order.policy.together() else { return Ok(None) };
        let mut group = self.inner.switcher.group(rest);
        let shown = &self.inner.held_up;
        let tell = |held_up: Vec<SwitchError>| {
            let listed = held_up.iter().take(LISTED_MAX).map(ToString::to_string).collect();
            shown.lock().insert(new.name.clone(), listed);
        };
        let rests = group.come_to_rest(|| self.members(new, order), tell).await;
        shown.lock().remove(&new.name);
        match rests {
            Ok(()) => Ok(Some(group)),
            Err(held_up) => {
                let held_up = ActivateError::HeldUp(held_up);
                if order.back.is_none() {
                    return Err(held_up);
                }
                tracing::error!(why = %held_up, "a group does not go back together: it goes one by one");
                Ok(None)
            }
        }
    }

    /// Switches those that rest, and whatever has started in the version before just before this one became current.
    pub(super) async fn switch_together(
        &self,
        mut group: Group,
        (new, others): (&Arc<Version>, &[Arc<Version>]),
        order: &Order,
    ) -> Switched {
        if let Err(failed) = group.come_to_rest(|| self.members(new, order), drop).await {
            return Switched { done: Vec::new(), failed };
        }
        let switched = self.inner.switcher.switch_together(group, new).await;
        match switched.failed.first().filter(|_| order.back.is_some()) {
            None => switched,
            Some(why) => {
                let why = with_sources(why);
                tracing::error!(why, "a group does not go back together: it goes one by one");
                self.switch_to(new, others, order).await
            }
        }
    }

    /// Who holds up processes that are to change together, now.
    pub(crate) fn held_up(&self) -> Vec<String> {
        self.inner.held_up.lock().values().flatten().cloned().collect()
    }

    /// The processes of a bundle that run in another version; on a way back, in the one that it leads from.
    fn members(&self, new: &Version, order: &Order) -> Vec<Pid> {
        let mut from = self.others(new);
        if let Some(back) = &order.back {
            from.retain(|version| version.address == back.from);
        }
        from.iter().flat_map(|version| version.processes()).collect()
    }

    /// The policy by which the processes of a bundle go back from what is current.
    pub(crate) fn way_back(&self, bundle: &str) -> Policy {
        let activations = self.inner.activations.lock();
        activations.get(bundle).map_or_else(Policy::default, |last| last.policy.back())
    }
}
