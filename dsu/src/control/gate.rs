//! Looking at a wave: a node says what its versions do, and whoever drives the rollout asks all and judges (R3).

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use midflight_process::Node;
use midflight_runtime::Instant;

use super::Control;
use super::drive::Drive;
use crate::hash::ContentAddress;
use crate::protocol::{GateStatus, Measure, Sides};
use crate::rollout::gates::{Gates, Watch};
use crate::rollout::steps::{Input, Looked, Phase};
use crate::versions::Version;

/// How long a node may take to say what it has counted.
const MEASURE_WITHIN: Duration = Duration::from_secs(10);
/// Processes of a version whose mailboxes are looked at; the others are taken to be alike.
const MAILBOXES_MAX: usize = 1_000;

/// The wave that is looked at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    wave: usize,
    /// When it was looked at first.
    began: Option<Instant>,
    /// What each node has said first and last, by its number in the plan.
    said: BTreeMap<usize, [Sides; 2]>,
    watch: Watch,
}

impl Watched {
    pub(super) fn status(&self) -> &[GateStatus] {
        self.watch.status()
    }

    fn said(&mut self, member: usize, sides: Sides) {
        let [_, last] = self.said.entry(member).or_insert_with(|| [sides.clone(), <_>::default()]);
        *last = sides;
    }

    /// Begins anew where it is another wave.
    fn of(&mut self, wave: usize) -> &mut Self {
        if self.wave != wave {
            *self = Self { wave, ..Self::default() };
        }
        self
    }
}

impl Control {
    /// What the versions of a bundle do here.
    pub(super) fn measure(&self, node: &Node, measure: &Measure) -> Sides {
        let Measure { bundle, new } = measure;
        // Of what is no address nothing runs.
        let Ok(new) = new.parse::<ContentAddress>() else { return Sides::default() };
        let now = node.runtime().now();
        self.server.versions().measure(bundle, new, now, |version| waiting(node, version))
    }
}

/// How many messages wait for the processes of a version.
fn waiting(node: &Node, version: &Version) -> u64 {
    let mut pids = version.processes();
    let all = pids.len() as u64;
    pids.truncate(MAILBOXES_MAX);
    let looked_at = pids.len().max(1) as u64;
    let waiting = pids.iter().filter_map(|pid| node.process(*pid));
    waiting.map(|process| process.mailbox as u64).sum::<u64>().saturating_mul(all) / looked_at
}

impl Drive<'_> {
    /// Looks at a wave, when it is time.
    pub(super) async fn look(&self, wave: usize) -> Input {
        let (bundle, new, gates) = {
            let rollout = self.rollout.lock();
            let plan = rollout.plan();
            (plan.bundle.clone(), plan.address.clone(), plan.gates.clone().unwrap_or_default())
        };
        if self.watched.lock().of(wave).began.is_some() {
            self.cx.sleep(gates.every()).await;
        }
        let measure = Measure { bundle, new };
        let each = (0..self.members.len()).map(|member| self.measure(member, measure.clone()));
        for (member, said) in join_all(each).await.into_iter().enumerate() {
            match said {
                Ok(sides) => self.watched.lock().of(wave).said(member, sides),
                // What it said last stands until it is known whether it lives.
                Err(_) if !self.is_gone(self.members[member].id).await => {}
                Err(why) => {
                    let node = &self.members[member].name;
                    let why = format!("{node} is gone: {why}");
                    return Input::Looked { wave, looked: Looked::Stop(why) };
                }
            }
        }
        let looked = self.judge(wave, &gates);
        let is_news = self.rollout.lock().phase() == Phase::Gate(wave);
        if let Looked::Go(numbers) | Looked::Unsure(numbers) | Looked::Stop(numbers) = &looked
            && is_news
        {
            self.tell_of(&format!("wave {}", wave + 1), "gate", numbers.clone());
        }
        Input::Looked { wave, looked }
    }

    async fn measure(&self, member: usize, measure: Measure) -> Result<Sides, String> {
        self.call::<_, Sides>(&self.members[member], measure, MEASURE_WITHIN).await
    }

    fn judge(&self, wave: usize, gates: &Gates) -> Looked {
        let now = self.cx.now();
        let mut watched = self.watched.lock();
        let watched = watched.of(wave);
        let began = *watched.began.get_or_insert(now);
        let mut since = Sides::default();
        watched.said.values().for_each(|[first, last]| since.add(&last.since(first)));
        watched.watch.look(gates, &since, now.since(began))
    }
}
