//! A node that has joined late, slept, or was cut off learns from the others what was decided, fetches it and
//! switches to it before it takes part again (R4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use midflight_process::{Context, Pid};

use super::Control;
use super::history::change;
use super::others::control_of;
use crate::code_server::{CodeServer, Follows, Order, Whole, with_sources};
use crate::committed::Standing;
use crate::hash::ContentAddress;
use crate::history::Change;
use crate::protocol::{Changes, HistoryRequest};
use crate::versions::Behind;

/// How long another node may take to say what was current there.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a node that joins waits for a peer to say which code it has.
const WORD_WITHIN: Duration = Duration::from_secs(2);
/// The time to the next try where one was in vain, and the longest that it grows to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// Whether somebody is at it.
#[derive(Debug, Default, Clone)]
pub(super) struct CatchingUp(Arc<AtomicBool>);

impl CatchingUp {
    fn begin(&self) -> Option<Guard> {
        let first = !self.0.swap(true, Ordering::AcqRel);
        first.then(|| Guard(self.0.clone()))
    }
}

struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Control {
    /// Compares with the others, and begins to catch up where this node is behind.
    pub(super) fn look_at_the_others(&self) {
        if !self.look_for_decisions() {
            return;
        }
        let Some(guard) = self.catching_up.begin() else { return };
        let control = self.clone();
        let spawned = self.server.node().spawn("midflight.catch-up", |cx| async move {
            control.catch_up(&cx).await;
            drop(guard);
            // What was told between the last look and now.
            control.look_at_the_others();
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "this node stays behind for now");
        }
    }

    /// Looks where this node is behind. Answers whether there is something to follow.
    fn look_for_decisions(&self) -> bool {
        self.server.versions().set_behind(self.server.find_behind());
        !self.to_follow().is_empty()
    }

    /// Where this node is behind and may do something about it. What is being deployed here is about to be decided anew.
    fn to_follow(&self) -> BTreeMap<String, Behind> {
        let mut behind = self.server.versions().behind();
        behind.retain(|bundle, _| !self.is_claimed(bundle));
        behind
    }

    fn is_claimed(&self, bundle: &str) -> bool {
        self.leases.lock().is_claimed(bundle, |node| self.is_linked(node))
    }

    async fn catch_up(&self, cx: &Context) {
        let (mut pause, longest) = PAUSES;
        while self.look_for_decisions() {
            let mut all_well = true;
            for (bundle, behind) in self.to_follow() {
                let Behind { standing, at_name, .. } = &behind;
                match self.follow(cx, &bundle, &behind).await {
                    Ok(()) => {
                        let version = standing.version;
                        tracing::info!(bundle, version, node = %at_name, "caught up");
                    }
                    Err(why) => {
                        tracing::warn!(bundle, node = %at_name, why, "cannot catch up yet");
                        self.server.versions().cannot_follow(&bundle, &why);
                        all_well = false;
                    }
                }
            }
            if !all_well {
                cx.sleep(pause).await;
                pause = (2 * pause).min(longest);
            }
        }
    }

    /// Does what was decided about one bundle.
    async fn follow(&self, cx: &Context, bundle: &str, behind: &Behind) -> Result<(), String> {
        let Behind { standing, at, .. } = *behind;
        if self.server.current(bundle) != Some(standing.address) {
            let from = control_of(cx.node(), at).await?;
            let past = past(cx, from, bundle).await?;
            let lead = Lead { cx, from, bundle, standing, past };
            if let Err(why) = self.step_to(&lead, standing.address).await {
                let went = self.step_by_step(&lead).await;
                went.map_err(|no| no.unwrap_or(why))?;
            }
        }
        self.server.commit(bundle, standing).await;
        Ok(())
    }

    async fn step_to(&self, lead: &Lead<'_>, address: ContentAddress) -> Result<(), String> {
        let &Lead { cx, from, bundle, standing, ref past } = lead;
        self.obtain(cx, address, from).await.map_err(|(_, why)| why)?;
        self.server.stage_to_follow(bundle, address).await?;
        let own = self.server.history(Some(bundle));
        let own = own.last().and_then(|(_, change)| change.current);
        let missed = missed(past, own.map(|(_, own)| own), address);
        let control = self.clone();
        let name = bundle.to_owned();
        let is_claimed = Box::new(move || control.is_claimed(&name));
        let follows = Some(Follows { standing, missed, is_claimed });
        let order = Order { policy: standing.policy, follows, ..Order::default() };
        let activated = self.server.activate_in(address, order).await;
        activated.map(drop).map_err(|error| with_sources(&error))
    }

    /// What was decided cannot take the place of what runs here, but it took the place of what ran there: goes the way
    /// that the other node went. `None`: there is no such way.
    async fn step_by_step(&self, lead: &Lead<'_>) -> Result<(), Option<String>> {
        let Lead { bundle, standing, past, .. } = lead;
        let here = self.server.current(bundle).ok_or(None)?;
        let addresses: Vec<_> = past.iter().filter_map(address).collect();
        for next in way(&addresses, here, standing.address).ok_or(None)? {
            tracing::info!(bundle, address = %next, "catching up, one version after the other");
            self.step_to(lead, next).await.map_err(Some)?;
        }
        Ok(())
    }
}

/// Whom a node follows, and where to.
struct Lead<'a> {
    cx: &'a Context,
    /// The control process of the other node.
    from: Pid,
    bundle: &'a str,
    standing: Standing,
    /// What was current there.
    past: Vec<Change>,
}

/// What was current of a bundle at another node.
async fn past(cx: &Context, from: Pid, bundle: &str) -> Result<Vec<Change>, String> {
    let request = HistoryRequest { name: Some(bundle.to_owned()) };
    let past: Result<Changes, _> = cx.call(from, request, HISTORY_TIMEOUT).await;
    let of_it = past.map_err(|error| error.to_string())?.changes.into_iter();
    Ok(of_it.filter(|status| status.name == bundle).filter_map(change).collect())
}

fn address(change: &Change) -> Option<ContentAddress> {
    change.current.map(|(_, address)| address)
}

/// What was current elsewhere since it was `own`, up to `there`; from the beginning where it never was. Nothing where
/// that is not known.
fn missed(past: &[Change], own: Option<ContentAddress>, there: ContentAddress) -> Vec<Change> {
    let end = past.iter().rposition(|change| address(change) == Some(there));
    let Some(end) = end.filter(|_| own != Some(there)) else { return Vec::new() };
    let begin = past[..end].iter().rposition(|change| own.is_some() && address(change) == own);
    past[begin.map_or(0, |begin| begin + 1)..=end].to_vec()
}

/// What was current one after the other from `here` to `there`, without `here`; `None` where that is not known, or is
/// one step.
fn way(
    past: &[ContentAddress],
    here: ContentAddress,
    there: ContentAddress,
) -> Option<Vec<ContentAddress>> {
    let end = past.iter().rposition(|address| *address == there)?;
    let begin = past[..end].iter().rposition(|address| *address == here)?;
    let way = &past[begin + 1..=end];
    (way.len() > 1).then(|| way.to_vec())
}

impl CodeServer {
    /// Waits until this node runs what was committed when it was stopped, and has caught up with the nodes that it has a
    /// link to, or has tried in vain; then it goes on trying, and starts none of these behaviours. For the word of a node that does not let this one
    /// inspect it, it waits two seconds. Not bounded by itself: give it a deadline.
    ///
    /// # Errors
    /// Why the node cannot begin with what it kept; it serves nevertheless, as one that has nothing.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn caught_up(&self) -> Result<(), String> {
        if let Whole::Never(why) = self.restored().await {
            return Err(why);
        }
        let runtime = self.node().runtime();
        let (began, mut pause) = (runtime.now(), Duration::from_millis(1));
        loop {
            let silent = self.node().peers_code().iter().any(|peer| peer.details.is_none());
            let waits_for_word = silent && runtime.now().since(began) < WORD_WITHIN;
            let tried = self.versions().behind();
            let is_tried = |bundle| tried.get(bundle).is_some_and(|behind| behind.why.is_some());
            let found = self.find_behind();
            if !waits_for_word && found.keys().chain(tried.keys()).all(is_tried) {
                return Ok(());
            }
            runtime.sleep(pause).await;
            pause = (2 * pause).min(PAUSES.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Cause;

    fn addresses(bytes: &[u8]) -> Vec<ContentAddress> {
        bytes.iter().map(|byte| ContentAddress::from([*byte; 32])).collect()
    }

    fn ways(past: &[u8], here: u8, there: u8) -> Option<Vec<ContentAddress>> {
        let [here, there] = [here, there].map(|byte| ContentAddress::from([byte; 32]));
        way(&addresses(past), here, there)
    }

    #[test]
    fn the_way_is_the_shortest_that_the_other_went() {
        assert_eq!(ways(&[1, 2, 3, 4], 1, 4), Some(addresses(&[2, 3, 4])));
        assert_eq!(ways(&[1, 2, 1, 3, 4], 1, 4), Some(addresses(&[3, 4])));
        assert_eq!(ways(&[1, 2], 1, 2), None, "one step was tried");
        assert_eq!(ways(&[2, 3], 1, 3), None, "it was never there");
        assert_eq!(ways(&[1, 2], 1, 3), None);
        assert_eq!(ways(&[], 1, 3), None);
    }

    #[test]
    fn what_was_missed_begins_where_this_node_left_off() {
        let missed = |past: &[u8], own: Option<u8>, there: u8| {
            let change = |address: ContentAddress| Change {
                current: Some((1, address)),
                at: Duration::ZERO,
                cause: Cause::Activated,
                why: None,
            };
            let past: Vec<_> = addresses(past).into_iter().map(change).collect();
            let [own, there] = [own, Some(there)].map(|it| Some(addresses(&[it?])[0]));
            let missed = missed(&past, own, there.unwrap());
            missed.iter().map(|change| address(change).unwrap().as_bytes()[0]).collect::<Vec<_>>()
        };
        assert_eq!(missed(&[1, 2, 3], None, 3), [1, 2, 3], "it was never there");
        assert_eq!(missed(&[1, 2, 3, 4], Some(2), 4), [3, 4]);
        assert_eq!(missed(&[1, 2, 3, 4], Some(2), 3), [3], "what is not decided is left out");
        assert_eq!(missed(&[1, 2, 3], Some(9), 3), [1, 2, 3]);
        assert_eq!(missed(&[1, 2, 3], Some(3), 3), [0; 0]);
        assert_eq!(missed(&[1, 2], Some(1), 3), [0; 0], "it does not say");
    }
}
