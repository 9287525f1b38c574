//! What a node does for a rollout that it is part of: it is claimed, stages, activates, goes back, and hears how it ended.

use midflight_process::{Context, NodeId};

use super::Control;
use super::lease::NotNow;
use crate::code_server::{
    ActivateError, Conflicts, DeactivateError, GoingBack, Order, StageError, with_sources,
};
use crate::committed::Standing;
use crate::hash::{ContentAddress, HashError};
use crate::history::short;
use crate::protocol::{
    Activate, Activated, Back, Claim, Claimed, Deactivate, Deactivated, Objection, Release,
    Released, Stage, Vote, millis,
};
use crate::rollout::ledger::{Party, Ticket};
use crate::switch::SwitchError;

impl Control {
    /// Claims a bundle's name for a rollout that another node, or this one, drives.
    pub(super) fn claim(&self, claim: Claim, from: Option<NodeId>) -> Claimed {
        let node = self.server.node();
        let id = from.unwrap_or_else(|| node.id());
        let Claim { ticket, by } = claim;
        let committed = self.server.versions().committed().number(&ticket.bundle);
        let mut leases = self.leases.lock();
        let number = committed.max(leases.ended(&ticket.bundle));
        let claimed = match ticket.number <= committed {
            true => Err(NotNow::Ended {
                bundle: ticket.bundle,
                number: ticket.number,
                ended: committed,
            }),
            false => leases.claim(&ticket, &Party { name: by, id }, |id| self.is_linked(id)),
        };
        let renumber = matches!(claimed, Err(NotNow::Ended { .. }));
        Claimed {
            no: claimed.err().map(|no| no.to_string()),
            number: if renumber { number } else { 0 },
        }
    }

    /// Whether a node can be heard.
    pub(super) fn is_linked(&self, id: NodeId) -> bool {
        let node = self.server.node();
        id == node.id() || node.peers().iter().any(|peer| peer.id == id)
    }

    /// Fetches, checks, probes and loads a bundle on this node.
    pub(super) async fn stage(&self, cx: &Context, stage: Stage) -> Vote {
        let no = |step: &str, reason: String| Vote::No(self.objection(step, reason));
        let Ok(address) = stage.address.parse::<ContentAddress>() else {
            return no("fetch", format!("`{}` is no content address", stage.address));
        };
        let now = || self.server.node().runtime().now();
        let began = now();
        if let Err((step, why)) = self.obtain(cx, address, stage.from).await {
            return no(step, why);
        }
        let fetched = now().since(began);
        if let Err(error) = self.server.refuse_older(address, stage.goes_back).await {
            // One that is catching up has yet to learn what was current before.
            let name = self.server.name_of(address).await;
            let behind = self.server.versions().behind();
            let passes = name.is_some_and(|name| behind.contains_key(&name));
            return no(if passes { "busy" } else { "release" }, with_sources(&error));
        }
        match self.server.stage(address).await {
            Ok(times) => {
                let all = [fetched, times.check, times.probe, times.load];
                Vote::Yes { millis: all.map(millis) }
            }
            Err(error) => {
                tracing::warn!(%address, %error, "not staged");
                Vote::No(self.stage_objection(&error))
            }
        }
    }

    /// Takes in that a rollout wants this node to switch, in the order in which requests come. Answers why it does not.
    pub(super) fn begin_activation(&self, activate: &Activate) -> Option<Activated> {
        let no = self.leases.lock().begin_activation(&activate.ticket).err()?;
        Some(not_activated(self.objection("switch", no.to_string())))
    }

    /// Switches this node to a staged bundle.
    pub(super) async fn activate(&self, activate: Activate) -> Activated {
        let ticket = activate.ticket.clone();
        let activated = self.activate_claimed(activate).await;
        let is_active = activated.undone.is_none() || activated.left > 0;
        self.leases.lock().end_activation(&ticket, is_active);
        activated
    }

    async fn activate_claimed(&self, activate: Activate) -> Activated {
        let began = self.server.node().runtime().now();
        let Activate { policy, ticket, back, address } = &activate;
        let parsed = address.parse::<ContentAddress>();
        let parsed = parsed.and_then(|it| Ok((it, back.as_ref().map(going_back).transpose()?)));
        let (address, back) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return not_activated(self.objection("switch", error.to_string())),
        };
        let order = Order { policy: *policy, rollout: Some(ticket.number), back, follows: None };
        let activated = self.server.activate_in(address, order).await;
        let millis = millis(self.server.node().runtime().now().since(began));
        match activated {
            Ok(switched) => Activated { switched: switched as u64, undone: None, left: 0, millis },
            Err(error) => {
                tracing::warn!(%error, "not activated");
                let left = match &error {
                    ActivateError::Switch { not_back, .. } => not_back.len() as u64,
                    _ => 0,
                };
                let undone = Some(self.activate_objection(&error));
                Activated { switched: 0, undone, left, millis }
            }
        }
    }

    /// Takes in that a rollout wants this node to go back. `Ok(false)`: it runs what it ran before.
    pub(super) fn begin_way_back(&self, ticket: &Ticket) -> Result<bool, NotNow> {
        self.leases.lock().begin_way_back(ticket)
    }

    pub(super) fn not_back(&self, no: &NotNow) -> Deactivated {
        let again = matches!(no, NotNow::Busy(_));
        Deactivated { objection: Some(self.objection("back", no.to_string())), again }
    }

    /// Takes back what a rollout has activated here.
    pub(super) async fn deactivate(&self, deactivate: Deactivate) -> Deactivated {
        let Deactivate { address, ticket, why } = deactivate;
        let why = why.map(|why| short(&why));
        let undone = match address.parse::<ContentAddress>() {
            Ok(address) => self.server.deactivate(address, ticket.number, why).await,
            Err(error) => {
                self.leases.lock().end_activation(&ticket, true);
                let objection = Some(self.objection("back", error.to_string()));
                return Deactivated { objection, again: false };
            }
        };
        if let Err(DeactivateError::Busy(_)) = &undone {
            self.leases.lock().end_activation(&ticket, true);
            let objection = Some(self.objection("back", "it is being switched".into()));
            return Deactivated { objection, again: true };
        }
        self.leases.lock().end_way_back(&ticket);
        let objection = undone.err().map(|error| self.objection("back", error.to_string()));
        Deactivated { objection, again: false }
    }

    /// A rollout is over. What was committed is on disk before this is answered.
    pub(super) async fn release(&self, release: Release) -> Released {
        let Release { ticket, done } = release;
        let Ticket { bundle, number, .. } = &ticket;
        let decided = done.then(|| self.server.activated_by(bundle, *number)).flatten();
        if let Some((version, address, policy)) = decided {
            let standing = Standing { number: *number, version, address, policy };
            self.server.commit(bundle, standing).await;
        }
        let settled = self.leases.lock().settle(&ticket);
        let had = match settled {
            Ok(had) => had,
            Err(no) => return Released { no: Some(no.to_string()) },
        };
        if had {
            self.server.settle(bundle, Some(*number), done);
        }
        self.look_at_the_others();
        Released { no: None }
    }

    pub(super) fn objection(&self, step: &str, reason: String) -> Objection {
        let node = self.server.node().name().to_owned();
        Objection { node, step: step.to_owned(), reason, type_name: None, field: None }
    }

    fn stage_objection(&self, error: &StageError) -> Objection {
        let step = match error {
            StageError::Conflicts { .. } => "schemas",
            StageError::Probe(_) | StageError::State { .. } => "probe",
            StageError::Load(_) => "load",
            StageError::Busy(_) => "busy",
            _ => "check",
        };
        let mut objection = self.objection(step, error.to_string());
        if let StageError::Conflicts(conflicts) = error {
            name_type(&mut objection, conflicts);
        }
        objection
    }

    fn activate_objection(&self, error: &ActivateError) -> Objection {
        let mut objection = self.objection("switch", error.to_string());
        match error {
            ActivateError::Conflicts(conflicts) => name_type(&mut objection, conflicts),
            ActivateError::Switch { failed, .. } => {
                if let Some(SwitchError::Convert { source, .. }) = failed.first()
                    && let crate::convert::ConvertError::Mismatch(mismatch) = source
                {
                    objection.type_name = Some(mismatch.type_name.clone());
                    objection.field = Some(mismatch.field_path.clone());
                }
            }
            _ => {}
        }
        objection
    }
}

fn not_activated(undone: Objection) -> Activated {
    Activated { switched: 0, undone: Some(undone), left: 0, millis: 0 }
}

fn name_type(objection: &mut Objection, conflicts: &Conflicts) {
    let named = conflicts.conflicts.iter().find_map(|conflict| conflict.type_and_field());
    if let Some((type_name, field)) = named {
        objection.type_name = Some(type_name.to_owned());
        objection.field = Some(field.to_owned());
    }
}

fn going_back(back: &Back) -> Result<GoingBack, HashError> {
    Ok(GoingBack { from: back.from.parse()?, why: back.why.clone() })
}
