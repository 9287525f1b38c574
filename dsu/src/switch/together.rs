//! Switching a group of processes together: all of them, or none (E41, E42).
//!
//! They come to rest together ([`rest`](super::rest) decides when that is), their states are converted while all stand still, and
//! then all go on in the new code. What others send them meanwhile waits in their mailboxes. When they do not come to rest in
//! time, or one state does not convert, all go on in their old code, and who held the others up is named.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use midflight_message::Pid;
use midflight_process::{FreezeError, Frozen, Node};
use midflight_runtime::{Instant, timeout_at};
use parking_lot::Mutex;

use super::bench::Outcome;
use super::rest::{At, HoldsUp, Rest, Verdict, held_up_by, look};
use super::{GROUP, How, SwitchError, Switched, Switcher};
use crate::hosted::Hosted;
use crate::hosted::gate::{Gate, Lift};
use crate::versions::Version;

/// How long those that were let go go on before they are frozen again: at first, and at the most. They may have much to say to
/// each other, and would have to be let go for each word.
const LOOK_AFTER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

type Freezing = BoxFuture<'static, (Pid, Result<Frozen, FreezeError>)>;

/// Processes that come to rest together. Dropped, they go on as they were.
pub(crate) struct Group {
    node: Node,
    rest: Rest,
    deadline: Instant,
    lift: Lift,
    /// Who rests. Goes before `lifted`.
    resting: BTreeMap<Pid, Frozen>,
    /// Who does not.
    going: BTreeSet<Pid>,
    /// Of these, who was let go and is not to be frozen yet.
    loose: Vec<Pid>,
    freezing: FuturesUnordered<Freezing>,
    /// What each was in that did not come to rest in time.
    overran: BTreeMap<Pid, FreezeError>,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.lift.lift();
    }
}

impl Group {
    /// Waits until all that `members` lists, again and again, rest together. Who holds them up meanwhile is told to `tell`.
    ///
    /// # Errors
    /// Who held the others up until the deadline.
    pub(crate) async fn come_to_rest(
        &mut self,
        members: impl Fn() -> Vec<Pid>,
        tell: impl Fn(Vec<SwitchError>),
    ) -> Result<(), Vec<SwitchError>> {
        let runtime = self.node.runtime().clone();
        let (mut pause, mut next) = (LOOK_AFTER.0, runtime.now() + LOOK_AFTER.0);
        loop {
            let now = runtime.now();
            self.ask(members());
            self.take_those_that_rest();
            let seen = self.see();
            match look(self.rest, &seen, |pid| self.waits_on(pid)) {
                Verdict::Rests => return Ok(()),
                Verdict::LetGo { pids, admitted } => self.let_go(&pids, &Arc::new(admitted)),
                Verdict::Wait => {}
            }
            if now >= self.deadline {
                return Err(self.held_up_by(&seen));
            }
            let until = self.deadline.min(next);
            match timeout_at(&*runtime, until, self.freezing.next()).await {
                Ok(Some(frozen)) => self.froze(frozen),
                Ok(None) => runtime.sleep(until.since(runtime.now())).await,
                Err(_elapsed) => {}
            }
            if runtime.now() >= next {
                std::mem::take(&mut self.loose).into_iter().for_each(|pid| self.freeze(pid));
                tell(self.held_up_by(&seen));
                pause = LOOK_AFTER.1.min(pause * 2);
                next = runtime.now() + pause;
            }
        }
    }

    /// Asks for those that are neither at rest nor asked for.
    fn ask(&mut self, members: Vec<Pid>) {
        for pid in members {
            if !self.resting.contains_key(&pid) && self.going.insert(pid) {
                self.freeze(pid);
            }
        }
    }

    fn freeze(&self, pid: Pid) {
        let (node, deadline) = (self.node.clone(), self.deadline);
        let freezing = async move {
            loop {
                match node.freeze(pid, deadline).await {
                    // Somebody copies its state, or it is about to move.
                    Err(FreezeError::Busy(_)) if node.runtime().now() < deadline => {
                        node.runtime().sleep(LOOK_AFTER.0).await;
                    }
                    frozen => return (pid, frozen),
                }
            }
        };
        self.freezing.push(freezing.boxed());
    }

    fn take_those_that_rest(&mut self) {
        while let Some(Some(frozen)) = self.freezing.next().now_or_never() {
            self.froze(frozen);
        }
    }

    fn froze(&mut self, (pid, frozen): (Pid, Result<Frozen, FreezeError>)) {
        match frozen {
            Ok(frozen) => {
                self.going.remove(&pid);
                self.resting.insert(pid, frozen);
            }
            // It has ended, or left.
            Err(FreezeError::NoProcess(_)) => {
                self.going.remove(&pid);
            }
            // It counts as one that goes on.
            Err(error) => {
                self.overran.insert(pid, error);
            }
        }
    }

    fn see(&self) -> BTreeMap<Pid, At> {
        let resting = self.resting.iter();
        let resting =
            resting.map(|(pid, frozen)| (*pid, At::Resting { mail_from: frozen.mail_from() }));
        let going = self.going.iter();
        let going = going.map(|pid| (*pid, At::Going { waits_on: self.waits_on(*pid) }));
        resting.chain(going).collect()
    }

    fn waits_on(&self, pid: Pid) -> Vec<Pid> {
        let info = self.node.process(pid);
        info.iter().flat_map(|info| &info.waits).filter_map(|wait| wait.on).collect()
    }

    fn let_go(&mut self, pids: &[Pid], admitted: &Arc<BTreeSet<Pid>>) {
        for &pid in pids {
            let Some(mut frozen) = self.resting.remove(&pid) else { continue };
            let body: &mut dyn Any = &mut **frozen.body();
            if let Some(hosted) = body.downcast_mut::<Hosted>() {
                hosted.keep_to(Gate::new(self.lift.clone(), admitted.clone()));
            }
            drop(frozen);
            self.going.insert(pid);
            self.loose.push(pid);
        }
    }

    fn held_up_by(&self, seen: &BTreeMap<Pid, At>) -> Vec<SwitchError> {
        let held_up = held_up_by(self.rest, seen).into_iter().map(|(pid, why)| {
            let what = match why {
                HoldsUp::Going { waits_on } => self.what(pid) + &on(" and waits for", &waits_on),
                HoldsUp::Mail { from } => {
                    format!("there is always another message for it{}", on(" from", &from))
                }
            };
            SwitchError::HeldUp { pid, what }
        });
        held_up.collect()
    }

    fn what(&self, pid: Pid) -> String {
        if let Some(FreezeError::Overrun { what, .. }) = self.overran.get(&pid) {
            return what.clone();
        }
        if let Some(error) = self.overran.get(&pid) {
            return error.to_string();
        }
        let label = self.node.process(pid).and_then(|info| info.label);
        let suspended = label.and_then(|label| label.suspended);
        suspended.unwrap_or_else(|| "it is in the middle of a message".into())
    }
}

fn on(words: &str, pids: &[Pid]) -> String {
    let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
    if pids.is_empty() { String::new() } else { format!("{words} {}", pids.join(", ")) }
}

impl Switcher {
    /// A group of nobody yet, which has from now on as long to come to rest as a process has alone.
    pub(crate) fn group(&self, rest: Rest) -> Group {
        Group {
            node: self.node.clone(),
            rest,
            deadline: self.node.runtime().now() + self.limits.rest_timeout,
            lift: Lift::default(),
            resting: BTreeMap::new(),
            going: BTreeSet::new(),
            loose: Vec::new(),
            freezing: FuturesUnordered::new(),
            overran: BTreeMap::new(),
        }
    }

    /// Switches a group that rests, all of it or nobody. None of it is on probation by itself: one that went back alone
    /// would not be together with the others.
    pub(crate) async fn switch_together(&self, mut group: Group, new: &Arc<Version>) -> Switched {
        let how = How { probation: None, ..self.forth() };
        let frozen: Vec<_> = std::mem::take(&mut group.resting).into_values().collect();
        let (converted, failed) = self.convert_all(frozen, new, how).await;
        let mut switched = Switched { done: Vec::new(), failed };
        if switched.failed.is_empty() {
            for (frozen, outcome) in converted {
                self.finish(frozen, outcome, (new, how), &mut switched);
            }
        }
        switched
    }

    /// Switches processes back together; where they do not come to rest, or one does not convert, one by one.
    pub(crate) async fn switch_back_together(
        &self,
        pids: &[Pid],
        old: &Arc<Version>,
        rest: Rest,
    ) -> Switched {
        let mut group = self.group(rest);
        let why = match group.come_to_rest(|| pids.to_vec(), drop).await {
            Ok(()) => {
                let switched = self.switch_together(group, old).await;
                if switched.failed.is_empty() {
                    return switched;
                }
                switched.failed
            }
            Err(held_up) => held_up,
        };
        let why = why.first().map(ToString::to_string);
        tracing::error!(why, "a group does not go back together: it goes one by one");
        self.switch_back(pids, old).await
    }

    /// Converts all, in parallel over the cores, and stops at the first that fails.
    async fn convert_all(
        &self,
        frozen: Vec<Frozen>,
        new: &Arc<Version>,
        how: How,
    ) -> (Vec<(Frozen, Outcome)>, Vec<SwitchError>) {
        let workers = self.node.runtime().workers().max(1);
        let until = self.node.runtime().now() + self.limits.convert_timeout;
        let mut frozen = frozen.into_iter();
        let groups = std::iter::from_fn(|| {
            let group: Vec<_> = frozen.by_ref().take(GROUP).collect();
            (!group.is_empty()).then_some(group)
        });
        let groups = Mutex::new(groups.collect::<Vec<_>>());
        let failed = Mutex::new(Vec::new());
        let work = || async {
            let mut converted = Vec::new();
            while let Some(group) = next(&groups, &failed) {
                if let Some(no) = self.no_more(&group, until, how) {
                    failed.lock().push(no);
                    break;
                }
                let benched = self.bench(group, new).await;
                converted.extend(benched.done);
                let mut failed = failed.lock();
                failed.extend(benched.failed);
            }
            converted
        };
        let all = join_all((0..workers).map(|_| work())).await;
        let converted: Vec<_> = all.into_iter().flatten().collect();
        let mut failed = failed.into_inner();
        failed.extend(converted.iter().filter_map(|(frozen, outcome)| match outcome {
            Outcome::Failed(source) => {
                Some(SwitchError::Convert { pid: frozen.pid(), source: source.clone() })
            }
            _ => None,
        }));
        (converted, failed)
    }

    /// Why a group is not converted any more.
    fn no_more(&self, group: &[Frozen], until: Instant, how: How) -> Option<SwitchError> {
        let pid = group.first().map(Frozen::pid)?;
        if let Some(abandoned) = self.too_many(how.abandoned_max) {
            return Some(SwitchError::TooManyAbandoned { pid, abandoned });
        }
        let after = self.limits.convert_timeout;
        let is_late = self.node.runtime().now() >= until;
        is_late.then_some(SwitchError::Overrun { pid, after })
    }
}

fn next(groups: &Mutex<Vec<Vec<Frozen>>>, failed: &Mutex<Vec<SwitchError>>) -> Option<Vec<Frozen>> {
    if failed.lock().is_empty() { groups.lock().pop() } else { None }
}
