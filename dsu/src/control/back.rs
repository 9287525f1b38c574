//! A version has failed on probation: brings every member back to what was current before (U6).
//!
//! That is a deployment like any other, claims and checks and all, so that of several nodes that decide at once one
//! does it, and all are of one mind. Only what it switches differs: what runs in the version that failed, and nothing
//! else; and one process that cannot go back does not keep the others.

use std::time::Duration;

use midflight_process::Context;

use super::Control;
use super::deploy::Bring;
use crate::protocol::{Back, Course, Deployed, Objection, Wanting, Wish};
use crate::rollout::ledger::{Answer, Command};
use crate::versions::GoBack;

/// How often it is tried while another update of the name is under way, or a member cannot be asked.
const TRIES_MAX: u32 = 60;
/// The time between two tries, and as much again by chance.
const PAUSE: Duration = Duration::from_secs(1);

impl Control {
    /// Begins to go back, in a process of its own.
    pub(super) fn begin_to_go_back(&self, back: GoBack) {
        let (control, versions) = (self.clone(), self.server.versions().clone());
        let from = back.from;
        let spawned = self.server.node().spawn("midflight.back", |cx| async move {
            control.go_back(&cx, back).await;
        });
        if let (Err(error), Some(version)) = (spawned, versions.get(from)) {
            tracing::error!(%error, "a version that failed on probation stays");
            version.cannot_go_back(&error.to_string());
        }
    }

    async fn go_back(&self, cx: &Context, back: GoBack) {
        let GoBack { bundle, from, to, why } = back;
        let mut no = String::from("it was not tried");
        for _ in 0..TRIES_MAX {
            // Another node was faster, or an operator.
            if self.server.current(&bundle) != Some(from) {
                return;
            }
            self.abort_what_brought_it(&bundle, &why).await;
            let back = Some(Back { from: from.to_string(), why: why.clone() });
            let (watcher, course) = (None, Course::default());
            let policy = self.server.way_back(&bundle);
            let how = Bring { watcher, policy, course, back, is_rollback: false };
            match self.bring(cx, to, how).await {
                Deployed::Refused(objections) => {
                    no = listed(&objections);
                    if !objections.iter().all(passes) {
                        break;
                    }
                }
                Deployed::Partly { missing, .. } => {
                    let missing = listed(&missing);
                    tracing::error!(
                        bundle,
                        why,
                        missing,
                        "went back by itself, but not everywhere"
                    );
                    return;
                }
                Deployed::Everywhere { version, switched, .. } => {
                    tracing::warn!(bundle, why, version, switched, "went back by itself");
                    return;
                }
            }
            let runtime = self.server.node().runtime();
            cx.sleep(
                PAUSE + PAUSE * u32::try_from(runtime.random_u64() % 1_000).unwrap_or(0) / 1_000,
            )
            .await;
        }
        tracing::error!(bundle, why, no, "failed on probation, and cannot go back");
        if let Some(version) = self.server.versions().get(from) {
            version.cannot_go_back(&no);
        }
    }

    /// Where the rollout that has brought the version is not decided yet, it is aborted for that, which brings all back.
    async fn abort_what_brought_it(&self, bundle: &str, why: &str) {
        let Some((ticket, by)) = self.leases.lock().active(bundle) else { return };
        let node = self.server.node().name();
        let why = format!("{node}: {why}");
        let (bundle, number) = (bundle.to_owned(), Some(ticket.number));
        let abort = Command::Abort { bundle: bundle.clone(), number, why: why.clone() };
        match self.voting.propose_to(&self.deciders(&by), &abort).await {
            Ok(Answer::Wanted(by)) => {
                let why = Some(why);
                let wish = Wish { bundle, wish: Wanting::Abort, is_written: true, why };
                self.pass_on(&by, wish).await;
            }
            // It is decided: then there is a way back from it.
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a rollout that has failed is not aborted yet"),
        }
    }
}

/// Whether what stands against it may be over in a while.
fn passes(objection: &Objection) -> bool {
    matches!(&*objection.step, "claim" | "fetch" | "stage" | "busy")
}

fn listed(objections: &[Objection]) -> String {
    let each = objections.iter().map(|no| format!("{} ({}): {}", no.node, no.step, no.reason));
    each.collect::<Vec<_>>().join("; ")
}
