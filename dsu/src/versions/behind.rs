//! Where this node knows that it runs less than was decided: until it has caught up, nothing is started there (R4).

use std::collections::BTreeMap;

use midflight_message::NodeId;

use super::Versions;
use crate::committed::Standing;

/// A decision that this node has yet to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// What was decided.
    pub standing: Standing,
    /// A node that runs it.
    pub at: NodeId,
    /// Its name.
    pub at_name: String,
    /// Why this node could not follow so far, if it has tried.
    pub why: Option<String>,
}

impl Versions {
    /// Where this node is behind, by the bundles' names.
    #[must_use]
    pub fn behind(&self) -> BTreeMap<String, Behind> {
        self.inner.lock().behind.clone()
    }

    /// Where this node is behind, as it is known now. What could not be followed before keeps its reason.
    pub(crate) fn set_behind(&self, mut behind: BTreeMap<String, Behind>) {
        let mut inner = self.inner.lock();
        for (bundle, now) in &mut behind {
            let before = inner.behind.get(bundle);
            now.why = before.filter(|it| it.standing == now.standing).and_then(|it| it.why.clone());
        }
        inner.behind = behind;
    }

    /// This node could not follow.
    pub(crate) fn cannot_follow(&self, bundle: &str, why: &str) {
        if let Some(behind) = self.inner.lock().behind.get_mut(bundle) {
            behind.why = Some(why.to_owned());
        }
    }

    /// The bundle whose decision this node has yet to follow before it may start processes of a behaviour. What runs
    /// already and is only not known to be decided keeps nothing.
    pub(crate) fn fenced(&self, behaviour: &str) -> Option<String> {
        let inner = self.inner.lock();
        let fenced = inner.behind.iter().find(|(bundle, behind)| {
            let current = inner.current.get(*bundle).and_then(|at| inner.loaded.get(at));
            current.is_some_and(|version| {
                version.address != behind.standing.address && version.behaviour(behaviour).is_some()
            })
        });
        fenced.map(|(bundle, _)| bundle.clone())
    }
}
