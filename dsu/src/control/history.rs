//! A bundle's past, and going back to it.

use std::time::Duration;

use midflight_process::Context;

use super::Control;
use super::deploy::Bring;
use crate::history::{Cause, Change, short};
use crate::protocol::{ChangeStatus, Changes, Course, Deployed, HistoryRequest, Rollback, millis};

impl Control {
    /// What was current here.
    pub(super) fn history(&self, request: &HistoryRequest) -> Changes {
        let node = self.server.node().name().to_owned();
        let changes = self.server.history(request.name.as_deref());
        Changes { node, changes: changes.into_iter().map(status).collect() }
    }

    /// Deploys what was current here before: a rollback is an update like any other, and is checked as one.
    pub(super) async fn rollback(&self, cx: &Context, rollback: Rollback) -> Deployed {
        let Rollback { name, to, watcher } = rollback;
        let Some(address) = self.server.earlier(&name, to) else {
            if self.server.history(Some(&name)).is_empty() {
                let reason = format!(
                    "no bundle called `{name}` has been current on this node: `midflight history` lists those that were"
                );
                return Deployed::Refused(vec![self.objection("rollback", reason)]);
            }
            let wanted = to.map_or_else(|| "nothing else".into(), |to| format!("no version {to}"));
            let reason = format!(
                "{wanted} of `{name}` was current on this node before the present version: push the bundle that you \
                 want to go back to"
            );
            return Deployed::Refused(vec![self.objection("rollback", reason)]);
        };
        let (policy, course) = (self.server.way_back(&name), Course::default());
        let how = Bring { watcher, policy, course, back: None, is_rollback: true };
        self.bring(cx, address, how).await
    }
}

/// What another node says was current there; `None`: it does not read.
pub(super) fn change(status: ChangeStatus) -> Option<Change> {
    let address = status.address.map(|address| address.parse()).transpose().ok()?;
    let cause = match &*status.cause {
        "taken back" => Cause::TakenBack,
        "went back" => Cause::WentBack,
        _ => Cause::Activated,
    };
    let why = status.why.map(|why| short(&why));
    let at = Duration::from_millis(status.unix_millis);
    Some(Change { current: status.version.zip(address), at, cause, why })
}

fn status((name, change): (String, Change)) -> ChangeStatus {
    let Change { current, at, cause, why } = change;
    let cause = match cause {
        Cause::Activated => "activated",
        Cause::TakenBack => "taken back",
        Cause::WentBack => "went back",
    };
    ChangeStatus {
        name,
        version: current.map(|(version, _)| version),
        address: current.map(|(_, address)| address.to_string()),
        unix_millis: millis(at),
        cause: cause.to_owned(),
        why,
    }
}
