//! Switching living processes to another version: each between two of its messages, with its
//! mailbox, pid, monitors and names kept (U1).
//!
//! Processes are switched in small groups: each is frozen, the states of the group are saved and
//! converted on a thread apart, each goes on. A process whose conversion fails, panics or takes too
//! long goes on in its old code with its old state, and is named. One thing cannot be taken back
//! from a thread: a process whose state is being *saved*, which is done by its old code on the state
//! itself. Where that never ends the process stays frozen, named, as it would hang in a handler.
//!
//! Processes that must change together do so all at once (`together`).

mod apart;
mod bench;
mod rest;
mod together;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use midflight_message::Pid;
use midflight_process::{FreezeError, Frozen, Node};
use parking_lot::Mutex;

use crate::convert::ConvertError;
use crate::hosted::probation::Probation;
use crate::hosted::{Hosted, ProbationLimits, SavedState};
use crate::versions::{Version, Versions};
use apart::Abandoned;
pub(crate) use apart::ThreadEnd;
use bench::{Bench, Outcome, Stage};
pub use rest::Rest;
pub(crate) use together::Group;

/// Processes frozen at one time by one worker: the longest that one process waits for others.
const GROUP: usize = 30;

/// Bounds of a switch.
#[derive(Debug, Clone)]
pub struct SwitchLimits {
    /// How long a process, or a group of them that change together, may take to come to rest between two messages
    /// (default 5 s).
    pub rest_timeout: Duration,
    /// How long the saving and converting of one group of at most 30 states may take (default 5 s).
    /// The state at which that passes counts as the one that takes too long; what comes after it
    /// gets a time of its own. Of processes that change together all are converted in twice the time, or none.
    pub convert_timeout: Duration,
    /// While so many conversions have not ended, no update is taken any more (default 4): their
    /// threads cannot be stopped in native code.
    pub abandoned_max: usize,
    /// The largest state that a conversion may make, in bytes (default 64 MiB); of a large one it may make one four
    /// times as large.
    pub state_bytes: u64,
    /// How long the new code is on probation in each process.
    pub probation: ProbationLimits,
}

impl Default for SwitchLimits {
    fn default() -> Self {
        Self {
            rest_timeout: Duration::from_secs(5),
            convert_timeout: Duration::from_secs(5),
            abandoned_max: 4,
            state_bytes: 64 << 20,
            probation: ProbationLimits::default(),
        }
    }
}

/// A process was not switched; it goes on as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// It did not come to rest, or somebody else is at it.
    #[error(transparent)]
    Freeze(FreezeError),
    /// Its state could not be saved or converted.
    #[error("{pid}: {source}")]
    Convert {
        /// The process.
        pid: Pid,
        /// Why.
        source: ConvertError,
    },
    /// The conversion took too long.
    #[error("{pid}: the conversion of its state did not end within {after:?}")]
    Overrun {
        /// The process.
        pid: Pid,
        /// The limit.
        after: Duration,
    },
    /// Saving its state took too long: it stands still until that ends.
    #[error("{pid}: its state was not saved within {after:?}; it stands still until it is")]
    Saving {
        /// The process.
        pid: Pid,
        /// The limit.
        after: Duration,
    },
    /// The thread that converted its state panicked: a bug in this node, or in its runtime.
    #[error("{pid}: the thread that converted its state has died")]
    Broken {
        /// The process.
        pid: Pid,
    },
    /// It kept its group from changing code together, for as long as a group may take.
    #[error("{pid} keeps its group from changing together: {what}")]
    HeldUp {
        /// The process.
        pid: Pid,
        /// What it was in.
        what: String,
    },
    /// Too many conversions have not ended.
    #[error(
        "{pid} was not tried: {abandoned} conversions have never ended: restart the node to take \
         updates again"
    )]
    TooManyAbandoned {
        /// The process that was not tried.
        pid: Pid,
        /// How many have not ended.
        abandoned: usize,
    },
}

/// What came of switching many processes.
#[derive(Debug, Default)]
pub struct Switched {
    /// Those that run in the new version, with the one they came from.
    pub done: Vec<(Pid, Arc<Version>)>,
    /// Those that do not.
    pub failed: Vec<SwitchError>,
}

impl Switched {
    /// One that is frozen is kept in `group`; one that has ended is no failure.
    fn keep(&mut self, frozen: Result<Frozen, FreezeError>, group: &mut Vec<Frozen>) {
        match frozen {
            Ok(frozen) => group.push(frozen),
            Err(FreezeError::NoProcess(_)) => {}
            Err(error) => self.failed.push(SwitchError::Freeze(error)),
        }
    }
}

/// How processes are switched.
#[derive(Debug, Clone, Copy)]
struct How {
    /// No more are tried once so many conversions have not ended.
    abandoned_max: usize,
    /// None: the new code is the one to go back to.
    probation: Option<ProbationLimits>,
}

/// Switches the processes of one node.
#[derive(Debug)]
pub struct Switcher {
    node: Node,
    versions: Arc<Versions>,
    limits: SwitchLimits,
    abandoned: Abandoned,
}

impl Switcher {
    /// A switcher for the processes of `node`.
    #[must_use]
    pub fn new(node: Node, versions: Arc<Versions>, limits: SwitchLimits) -> Self {
        Self { node, versions, limits, abandoned: Abandoned::default() }
    }

    /// Switches one process to `new`. One that has ended meanwhile is no failure.
    ///
    /// # Errors
    /// [`SwitchError`]; the process goes on as it was.
    ///
    /// # Cancel safety
    /// A dropped future leaves the process in the old version or the new one, running.
    pub async fn switch(&self, pid: Pid, new: &Arc<Version>) -> Result<(), SwitchError> {
        let switched = self.switch_group(&[pid], new, self.forth()).await;
        switched.failed.into_iter().next().map_or(Ok(()), Err)
    }

    /// Switches many processes to `new`, in parallel over the cores.
    ///
    /// # Cancel safety
    /// As for [`Switcher::switch`].
    pub async fn switch_all(&self, pids: &[Pid], new: &Arc<Version>) -> Switched {
        self.switch_many(pids, new, self.forth()).await
    }

    /// As [`Switcher::switch_all`], for an update that is being undone: conversions that never ended
    /// may be why, so that as many again may be abandoned.
    pub(crate) async fn switch_back(&self, pids: &[Pid], old: &Arc<Version>) -> Switched {
        let abandoned_max = self.limits.abandoned_max.saturating_mul(2);
        self.switch_many(pids, old, How { abandoned_max, probation: None }).await
    }

    /// Its bounds.
    pub(crate) const fn limits(&self) -> &SwitchLimits {
        &self.limits
    }

    const fn forth(&self) -> How {
        let SwitchLimits { abandoned_max, probation, .. } = self.limits;
        How { abandoned_max, probation: Some(probation) }
    }

    async fn switch_many(&self, pids: &[Pid], new: &Arc<Version>, how: How) -> Switched {
        let workers = self.node.runtime().workers().max(1);
        let groups = Mutex::new(pids.chunks(GROUP));
        let work = || async {
            let mut sum = Switched::default();
            loop {
                let group = groups.lock().next();
                let Some(group) = group else { return sum };
                let mut switched = self.switch_group(group, new, how).await;
                sum.done.append(&mut switched.done);
                sum.failed.append(&mut switched.failed);
            }
        };
        let mut all = Switched::default();
        for mut part in join_all((0..workers).map(|_| work())).await {
            all.done.append(&mut part.done);
            all.failed.append(&mut part.failed);
        }
        all
    }

    async fn switch_group(&self, pids: &[Pid], new: &Arc<Version>, how: How) -> Switched {
        let mut switched = Switched::default();
        if let Some(abandoned) = self.too_many(how.abandoned_max) {
            let refused = |pid: &Pid| SwitchError::TooManyAbandoned { pid: *pid, abandoned };
            switched.failed.extend(pids.iter().map(refused));
            return switched;
        }
        let deadline = self.node.runtime().now() + self.limits.rest_timeout;
        let freeze = |pid: Pid| self.node.freeze(pid, deadline);
        let (mut group, mut slow) = (Vec::with_capacity(pids.len()), FuturesUnordered::new());
        for pid in pids {
            match freeze(*pid).now_or_never() {
                Some(frozen) => switched.keep(frozen, &mut group),
                None => slow.push(freeze(*pid)),
            }
        }
        self.convert_rounds(group, new, how, &mut switched).await;
        // Nobody stands still while another is waited for, who may wait for a reply of his.
        while let Some(frozen) = slow.next().await {
            let mut group = Vec::new();
            switched.keep(frozen, &mut group);
            while let Some(Some(frozen)) = slow.next().now_or_never() {
                switched.keep(frozen, &mut group);
            }
            self.convert_rounds(group, new, how, &mut switched).await;
        }
        switched
    }

    /// One that takes too long is taken out; those behind it are tried again. Each round ends with one less, or one more
    /// abandoned.
    async fn convert_rounds(
        &self,
        mut group: Vec<Frozen>,
        new: &Arc<Version>,
        how: How,
        switched: &mut Switched,
    ) {
        while !group.is_empty() {
            if let Some(abandoned) = self.too_many(how.abandoned_max) {
                let refused = |f: Frozen| SwitchError::TooManyAbandoned { pid: f.pid(), abandoned };
                switched.failed.extend(group.into_iter().map(refused));
                return;
            }
            group = self.convert_group(group, new, how, switched).await;
        }
    }

    /// How many conversions have not ended, where that is as many as may be.
    fn too_many(&self, max: usize) -> Option<usize> {
        let abandoned = self.abandoned.count();
        (abandoned >= max).then_some(abandoned)
    }

    /// Converts a group, and lets each go on. Answers those that it did not get to.
    async fn convert_group(
        &self,
        group: Vec<Frozen>,
        new: &Arc<Version>,
        how: How,
        switched: &mut Switched,
    ) -> Vec<Frozen> {
        let Benched { done, left, failed } = self.bench(group, new).await;
        for (frozen, outcome) in done {
            self.finish(frozen, outcome, (new, how), switched);
        }
        switched.failed.extend(failed);
        left
    }

    /// Converts copies on a thread apart, while the old instances stay frozen.
    async fn bench(&self, group: Vec<Frozen>, new: &Arc<Version>) -> Benched {
        // However this future ends, whatever is left on the bench goes on.
        let bench = ClearedInTheEnd(Bench::new(group));
        let (work, to, state_bytes) = (bench.0.clone(), new.clone(), self.limits.state_bytes);
        let work = move || work.work(&to, state_bytes);
        let ended = self.on_a_thread_apart("convert states", work).await;
        let after = self.limits.convert_timeout;
        let mut benched = Benched::default();
        for piece in bench.0.clear() {
            let pid = piece.pid;
            let saving = matches!(piece.stage, Stage::Saving);
            match (piece.stage, &ended) {
                (Stage::Untouched(frozen), _) => benched.left.push(frozen),
                (Stage::Done(frozen, outcome), _) => benched.done.push((frozen, outcome)),
                (_, ThreadEnd::Died) => benched.failed.push(SwitchError::Broken { pid }),
                (_, _) if saving => benched.failed.push(SwitchError::Saving { pid, after }),
                (_, _) => benched.failed.push(SwitchError::Overrun { pid, after }),
            }
        }
        benched
    }

    fn finish(
        &self,
        frozen: Frozen,
        outcome: Outcome,
        (new, how): (&Arc<Version>, How),
        switched: &mut Switched,
    ) {
        let pid = frozen.pid();
        match outcome {
            Outcome::Nothing => {}
            Outcome::Converted { old, saved, behaviour, instance } => {
                let (node, versions) = (&self.node, &self.versions);
                let body = Hosted::new(node, versions, new.clone(), behaviour, pid, instance);
                let now = node.runtime().now();
                let probation = how.probation.and_then(|limits| {
                    Probation::new(&limits, pid, &old, new, body.behaviour(), saved, now)
                });
                drop(frozen.thaw(Box::new(body.on_probation(probation))));
                switched.done.push((pid, old));
            }
            Outcome::Failed(source) => switched.failed.push(SwitchError::Convert { pid, source }),
        }
    }

    /// Calls into code on a thread apart, within the limit for conversions.
    pub(crate) async fn on_a_thread_apart<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ThreadEnd<T> {
        let limit = self.limits.convert_timeout;
        self.abandoned.or_done(self.node.runtime(), limit, name, work).await
    }
}

/// What came of a group on the bench.
#[derive(Default)]
struct Benched {
    done: Vec<(Frozen, Outcome)>,
    /// Those that it did not get to.
    left: Vec<Frozen>,
    failed: Vec<SwitchError>,
}

struct ClearedInTheEnd(Bench);

impl Drop for ClearedInTheEnd {
    fn drop(&mut self) {
        drop(self.0.clear());
    }
}

/// A copy of the state of a process, with its version and behaviour's name; `None` when it is no
/// hosted behaviour, or could not be frozen in time. The process goes on.
pub(crate) async fn copy_state(
    node: &Node,
    pid: Pid,
    rest_timeout: Duration,
) -> Option<(Arc<Version>, String, SavedState)> {
    let deadline = node.runtime().now() + rest_timeout;
    let mut frozen = node.freeze(pid, deadline).await.ok()?;
    let body: &mut dyn Any = &mut **frozen.body();
    let hosted = body.downcast_mut::<Hosted>()?;
    let saved = hosted.save().ok()?;
    Some((hosted.version().clone(), hosted.behaviour().to_owned(), saved))
}
