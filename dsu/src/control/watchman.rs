//! What a node looks after once a second: rollouts that nobody drives, and what it has promised to somebody who is lost (R4).
//!
//! A rollout whose driver is gone is taken over by whoever leads the voters: what is not decided is aborted, what is decided is
//! carried out. A node that has activated something and hears nothing more asks the log; as long as that does not answer, it stays as
//! it is.

use std::collections::BTreeMap;
use std::time::Duration;

use midflight_process::Context;

use super::Control;
use super::others::ask;
use crate::protocol::{Deactivate, Release, Rollouts, RolloutsRequest};
use crate::rollout::kernel::Rollout;
use crate::rollout::ledger::{Answer, Command, Open, Party, Ticket, Verdict};

/// How often a node looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// At so many looks also those are asked about whose driver can be heard: it may have forgotten this node.
const ALL_EVERY: u64 = 30;
/// How long a node may take to say what it drives.
const DRIVES_WITHIN: Duration = Duration::from_secs(2);
/// So many looks in a row a driver must not have been there.
const MISSED_MAX: u32 = 3;

impl Control {
    /// Begins the log, if this node is a voter, and looks from then on.
    pub(super) fn begin_to_watch(&self) {
        let control = self.clone();
        let spawned = self.server.node().spawn("midflight.watchman", |cx| async move {
            if let Err(error) = control.voting.begin(control.server.data()).await {
                let error = crate::code_server::with_sources(&error);
                tracing::error!(
                    error,
                    "this node keeps no decision log: rollouts that need its vote wait"
                );
            }
            let mut missed = BTreeMap::new();
            for look in 1_u64.. {
                cx.sleep(LOOK_EVERY).await;
                control.look_for_undriven(&cx, &mut missed).await;
                control.look_after_promises(look % ALL_EVERY == 0).await;
            }
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "this node keeps no decision log");
        }
    }

    async fn look_for_undriven(
        &self,
        cx: &Context,
        missed: &mut BTreeMap<(String, u64, u64), u32>,
    ) {
        if !self.voting.leads() {
            missed.clear();
            return;
        }
        let ledger = self.voting.ledger();
        let open: Vec<Open> = ledger.names().filter_map(|(_, name)| name.open.clone()).collect();
        let key = |open: &Open| (open.plan.bundle.clone(), open.number, open.epoch);
        missed.retain(|missed, _| open.iter().any(|open| key(open) == *missed));
        for open in open {
            if self.is_driven(cx, &open).await {
                missed.remove(&key(&open));
                continue;
            }
            let times = missed.entry(key(&open)).or_insert(0);
            *times += 1;
            // This node knows for certain what it drives itself, but for what it is just about to.
            if *times >= if open.by.name == self.party().name { 2 } else { MISSED_MAX } {
                missed.remove(&key(&open));
                self.take_over(open);
            }
        }
    }

    async fn is_driven(&self, cx: &Context, open: &Open) -> bool {
        let Open { by, number, plan, .. } = open;
        if *by == self.party() {
            return self.drivers.drives(&plan.bundle, *number);
        }
        if by.name == self.party().name {
            return false;
        }
        let request = RolloutsRequest { bundle: Some(plan.bundle.clone()) };
        let answer = ask::<_, Rollouts>(cx, by.id, request, DRIVES_WITHIN).await;
        answer.is_ok_and(|it| it.driven.iter().any(|driven| driven.number == *number))
    }

    fn take_over(&self, open: Open) {
        let control = self.clone();
        let Open { plan, by, .. } = &open;
        tracing::warn!(
            bundle = plan.bundle,
            number = open.number,
            from = by.name,
            "takes a rollout over"
        );
        let spawned = self.server.node().spawn("midflight.take-over", |cx| async move {
            let take = Command::Take { ticket: open.ticket(), by: control.party() };
            let ticket = match control.voting.propose(&take).await {
                Ok(Answer::Yours(ticket)) => ticket,
                other => {
                    tracing::warn!(?other, "a rollout was not taken over");
                    return;
                }
            };
            // What was decided meanwhile the log answers to the decision.
            let begun = Rollout::taken_over(open.plan, ticket, open.verdict.as_ref());
            let driving = control.drive(&cx, begun, None).await;
            tracing::info!(end = ?driving.end, "a rollout that was taken over has ended");
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "a rollout was not taken over");
        }
    }

    /// Asks the log about the rollouts that have this node and whose drivers are lost.
    async fn look_after_promises(&self, all: bool) {
        let own = self.party();
        let orphans = self.leases.lock().orphans(|by, bundle, number| {
            let is_own = by == own.id;
            if is_own { self.drivers.drives(bundle, number) } else { !all && self.is_linked(by) }
        });
        for (ticket, by, _) in orphans {
            let voters = self.deciders(&by);
            let Ticket { bundle, number, .. } = ticket.clone();
            let look = Command::Look { bundle, number };
            match self.voting.propose_to(&voters, &look).await {
                Ok(Answer::Decided(Verdict { commit, why })) => {
                    self.do_what_was_decided(ticket, commit, &why).await;
                }
                Ok(Answer::Open(by)) => self.waits(&ticket, &by),
                Ok(_) => {}
                Err(error) => {
                    let Ticket { bundle, number, .. } = ticket;
                    tracing::warn!(bundle, number, %error, "waits for a decision");
                }
            }
        }
    }

    /// Who decides a rollout that `by` drives.
    pub(super) fn deciders(&self, by: &str) -> Vec<String> {
        match self.voting.is_declared() {
            true => self.voting.voters().to_vec(),
            false => vec![by.to_owned()],
        }
    }

    fn waits(&self, ticket: &Ticket, by: &Party) {
        let Ticket { bundle, number, .. } = ticket;
        tracing::info!(bundle, number, by = by.name, "waits for a decision");
    }

    async fn do_what_was_decided(&self, ticket: Ticket, commit: bool, why: &str) {
        let Ticket { bundle, number, .. } = &ticket;
        tracing::info!(bundle, number, commit, "has asked how a rollout ended");
        if !commit && let Ok(true) = self.begin_way_back(&ticket) {
            let active = self.server.activated_by(bundle, *number);
            match active {
                Some((_, address, _)) => {
                    let address = address.to_string();
                    let why = Some(why.to_owned());
                    let ticket = ticket.clone();
                    let back = self.deactivate(Deactivate { address, ticket, why }).await;
                    if back.again {
                        return;
                    }
                }
                None => self.leases.lock().end_way_back(&ticket),
            }
        }
        let released = self.release(Release { ticket, done: commit }).await;
        if let Some(why) = released.no {
            tracing::warn!(why, "a rollout that is over is asked about again");
        }
    }

    /// The rollouts in whose middle this node waits.
    pub(super) fn waiting(&self) -> Vec<(String, u64)> {
        let orphans = self.leases.lock().orphans(|by, _, _| self.is_linked(by));
        orphans.into_iter().map(|(ticket, ..)| (ticket.bundle, ticket.number)).collect()
    }
}
