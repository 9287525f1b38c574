//! Joining a cluster: sources are asked, and what they name is dialled. What is decided is in
//! [`Search`](super::search::Search).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use midflight_message::NodeId;
use midflight_runtime::{BoxFuture, spawn, timeout};
use midflight_transport_api::{Address, ConnectErrorKind};

use crate::membership::member::Member;
use crate::membership::search::{CANDIDATES_MAX, Outcome, Search};
use crate::membership::sources::{Found, Seed, Source, resolve};
use crate::node::Node;
use crate::peer::connect::JoinError;

impl Node {
    /// Joins the cluster through `seeds`, for as long as the node is open: each is dialled until it is
    /// reached, and again when its node is down. Returns at once.
    ///
    /// A seed may be a name that stands for several nodes, as one in DNS does whose addresses are a
    /// service's members: then it is each of them that is dialled. The name is looked up again while this
    /// node knows no other member, and every half a minute after that, since they come and go. This node
    /// may be among them. Pauses grow from a tenth of a second to five seconds, give or take a fifth; 16
    /// are dialled at a time, and 1,024 looked at.
    pub fn join(&self, seeds: Vec<Address>) {
        for address in seeds {
            self.join_through(Seed { node: Arc::downgrade(&self.inner), address });
        }
    }

    /// As [`join`](Self::join), through what `source` names.
    pub fn join_through(&self, source: impl Source) {
        let node = self.clone();
        spawn(&self.inner.runtime, "join", async move {
            let mut joining = Joining { node, source: Box::new(source), asking: None };
            let mut search = Search::new();
            while !joining.node.inner.is_leaving() {
                joining.round(&mut search).await;
                let runtime = &joining.node.inner.runtime;
                runtime.sleep(search.rest(runtime.random_u64())).await;
            }
        });
    }

    /// Dials a seed once: where it stands for several nodes, 16 of them at the most, chosen by chance.
    /// Answers those that are linked then. None is no error where the seed stands for this node alone.
    /// ([`join`](Self::join) dials each, in time.)
    ///
    /// # Errors
    /// None was reached: what one of them said, or why the seed cannot be looked up.
    ///
    /// # Cancel safety
    /// Dropping the future may leave links.
    pub async fn try_join(&self, seed: &Address) -> Result<Vec<NodeId>, JoinError> {
        let end_point = self.inner.end_point.get().ok_or(JoinError::Closed)?;
        let after = self.inner.limits.connect_timeout;
        let resolved = timeout(&*self.inner.runtime, after, resolve(&**end_point, seed)).await;
        let resolved =
            resolved
                .unwrap_or_else(|_elapsed| Err(ConnectErrorKind::TimedOut.into()))
                .map_err(|source| JoinError::Unreachable { address: seed.to_string(), source })?;
        let mut linked = Vec::new();
        let mut said = None;
        let own = end_point.address();
        let mut search = Search::new();
        search.named(self.inner.runtime.now(), resolved, own);
        let chance = self.inner.runtime.random_u64();
        let due = match seed == own {
            true => vec![seed.clone()],
            false => search.due(|_| false, &BTreeSet::new(), chance),
        };
        let dials = due.iter().map(|address| self.connect(address));
        for (address, dialled) in due.iter().zip(join_all(dials).await) {
            match dialled {
                Ok(node) => linked.push(node),
                // One of several is this node itself.
                Err(error) if address != seed && is_useless(&error) => {}
                // A no says more than a silence.
                Err(error) if error.says_no() => said = Some(error),
                Err(error) => said = said.or(Some(error)),
            }
        }
        match said {
            Some(error) if linked.is_empty() => Err(error),
            _ => Ok(linked),
        }
    }
}

/// One source, and the node that asks it.
struct Joining {
    node: Node,
    source: Box<dyn Source>,
    /// What it has been asked and not answered yet.
    asking: Option<BoxFuture<Found>>,
}

impl Joining {
    async fn round(&mut self, search: &mut Search) {
        let others = self.others();
        if search.asks(self.node.inner.runtime.now(), others.is_empty()) {
            self.ask(search).await;
        }
        let others = self.others();
        let ids: BTreeSet<_> = others.iter().map(|member| member.id).collect();
        let known = others.iter().filter_map(|member| member.address.as_ref()?.parse().ok());
        let chance = self.node.inner.runtime.random_u64();
        let due = search.due(|id| ids.contains(&id), &known.collect(), chance);
        let dials = due.iter().map(|address| self.node.connect(address));
        for (address, dialled) in due.iter().zip(join_all(dials).await) {
            let outcome = outcome(dialled);
            if search.dialled(address, outcome.clone()) {
                self.say(address, &outcome);
            }
        }
    }

    /// The other members that are up.
    fn others(&self) -> Vec<Member> {
        let mut members = self.node.members();
        members.retain(|member| member.id != self.node.id() && member.is_up());
        members
    }

    /// Asks the source, or waits on for what it was asked before.
    async fn ask(&mut self, search: &mut Search) {
        let inner = &self.node.inner;
        let Some(own) = inner.end_point.get().map(|end_point| end_point.address()) else { return };
        let asking = self.asking.get_or_insert_with(|| self.source.find());
        let after = inner.limits.connect_timeout;
        let answer = timeout(&*inner.runtime, after, asking).await;
        let now = inner.runtime.now();
        let why = match answer {
            Ok(Ok(found)) => {
                self.asking = None;
                let changes = search.named(now, found, own);
                let source = self.source.name();
                tracing::debug!(source, ?changes, "asked for members");
                if changes.too_many {
                    tracing::warn!(
                        source,
                        "names more than {CANDIDATES_MAX}: the rest is left out"
                    );
                }
                return;
            }
            Ok(Err(error)) => {
                self.asking = None;
                error.to_string()
            }
            Err(_elapsed) => format!("no answer within {after:?}"),
        };
        if search.unanswered(now, why.clone()) {
            tracing::warn!(
                source = self.source.name(),
                why,
                "cannot find members, and will go on trying"
            );
        }
    }

    fn say(&self, address: &Address, outcome: &Outcome) {
        match outcome {
            Outcome::Reached(id) => tracing::debug!(%address, %id, "joined through"),
            Outcome::Useless(why) => tracing::info!(%address, why, "not dialled any more"),
            Outcome::Refused(why) => tracing::error!(%address, why, "cannot join"),
            Outcome::Failed(why) => tracing::info!(%address, why, "cannot join yet"),
        }
    }
}

/// Whether dialling the address again makes no sense.
fn is_useless(error: &JoinError) -> bool {
    let JoinError::Unreachable { source, .. } = error else { return false };
    *source.kind() == ConnectErrorKind::BadAddress
}

fn outcome(dialled: Result<NodeId, JoinError>) -> Outcome {
    match dialled {
        Ok(node) => Outcome::Reached(node),
        Err(error) if is_useless(&error) => Outcome::Useless(error.to_string()),
        Err(error) if error.says_no() => Outcome::Refused(error.to_string()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
