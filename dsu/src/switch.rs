//! Switching living processes to another version: each between two of its messages, with its
//! mailbox, pid, monitors and names kept (U1).
//!
//! Processes are switched in small groups: each is frozen, the states of the group are converted on
//! a thread apart, each goes on. A process whose conversion fails, panics or takes too long goes on
//! in its old code with its old state, and is named.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use midflight_message::Pid;
use midflight_process::{FreezeError, Frozen, Node};
use midflight_runtime::timeout;
use parking_lot::Mutex;

use crate::code::Instance;
use crate::convert::{ConvertError, convert};
use crate::hosted::{Hosted, SavedState};
use crate::versions::{Version, Versions};

/// Processes frozen at one time by one worker: the longest that one process waits for others.
const GROUP: usize = 32;

/// Bounds of a switch.
#[derive(Debug, Clone)]
pub struct SwitchLimits {
    /// How long a process may take to come to rest between two messages (default 5 s).
    pub rest_timeout: Duration,
    /// How long the conversion of one group of at most 32 states may take (default 5 s).
    pub convert_timeout: Duration,
    /// After so many conversions that did not end, no update is taken any more (default 4): their
    /// threads cannot be stopped in native code.
    pub abandoned_max: usize,
}

impl Default for SwitchLimits {
    fn default() -> Self {
        Self {
            rest_timeout: Duration::from_secs(5),
            convert_timeout: Duration::from_secs(5),
            abandoned_max: 4,
        }
    }
}

/// A process was not switched; it goes on as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// It has ended meanwhile: no failure.
    #[error("{0} has ended")]
    Ended(Pid),
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
    /// Too many conversions have not ended.
    #[error("{abandoned} conversions have never ended: restart the node to take updates again")]
    TooManyAbandoned {
        /// How many.
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

/// Switches the processes of one node.
#[derive(Debug)]
pub struct Switcher {
    node: Node,
    versions: Arc<Versions>,
    limits: SwitchLimits,
    abandoned: AtomicUsize,
}

impl Switcher {
    /// A switcher for the processes of `node`.
    #[must_use]
    pub fn new(node: Node, versions: Arc<Versions>, limits: SwitchLimits) -> Self {
        Self { node, versions, limits, abandoned: AtomicUsize::new(0) }
    }

    /// Switches one process to `new`.
    ///
    /// # Errors
    /// [`SwitchError`]; the process goes on as it was.
    ///
    /// # Cancel safety
    /// A dropped future leaves the process in the old version or the new one, running.
    pub async fn switch(&self, pid: Pid, new: &Arc<Version>) -> Result<(), SwitchError> {
        let switched = self.switch_group(&[pid], new).await;
        switched.failed.into_iter().next().map_or(Ok(()), Err)
    }

    /// Switches many processes to `new`, in parallel over the cores.
    ///
    /// # Cancel safety
    /// As for [`Switcher::switch`].
    pub async fn switch_all(&self, pids: &[Pid], new: &Arc<Version>) -> Switched {
        let workers = self.node.runtime().workers().max(1);
        let groups = Mutex::new(pids.chunks(GROUP));
        let work = || async {
            let mut sum = Switched::default();
            loop {
                let group = groups.lock().next();
                let Some(group) = group else { return sum };
                let mut switched = self.switch_group(group, new).await;
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

    async fn switch_group(&self, pids: &[Pid], new: &Arc<Version>) -> Switched {
        let mut switched = Switched::default();
        let abandoned = self.abandoned.load(Ordering::Acquire);
        if abandoned >= self.limits.abandoned_max {
            switched.failed.push(SwitchError::TooManyAbandoned { abandoned });
            return switched;
        }
        let deadline = self.node.runtime().now() + self.limits.rest_timeout;
        let freezing = pids.iter().map(|pid| self.node.freeze(*pid, deadline));
        let mut group = Vec::with_capacity(pids.len());
        for (pid, frozen) in pids.iter().zip(join_all(freezing).await) {
            match frozen {
                Err(FreezeError::NoProcess(_)) => {}
                Err(error) => switched.failed.push(SwitchError::Freeze(error)),
                Ok(frozen) => match save(frozen, new) {
                    Ok(None) => {}
                    Ok(Some(member)) => group.push(member),
                    Err(source) => {
                        switched.failed.push(SwitchError::Convert { pid: *pid, source });
                    }
                },
            }
        }
        if !group.is_empty() {
            self.convert_group(group, new, &mut switched).await;
        }
        switched
    }

    /// Converts copies on a thread apart, while the old instances stay frozen.
    async fn convert_group(&self, group: Vec<Member>, new: &Arc<Version>, switched: &mut Switched) {
        let (frozen, states): (Vec<_>, Vec<_>) =
            group.into_iter().map(|member| (member.frozen, member.state)).unzip();
        let at = Arc::new(AtomicUsize::new(0));
        let converted = self.on_a_thread_apart(states, new.clone(), at.clone()).await;
        let Some(converted) = converted else {
            self.abandoned.fetch_add(1, Ordering::AcqRel);
            let at = at.load(Ordering::Acquire).min(frozen.len() - 1);
            let (pid, after) = (frozen[at].pid(), self.limits.convert_timeout);
            tracing::error!(%pid, ?after, "a conversion does not end: its thread is abandoned");
            switched.failed.push(SwitchError::Overrun { pid, after });
            // Dropped here, all of the group go on in their old code.
            return;
        };
        for (frozen, (old, converted)) in frozen.into_iter().zip(converted) {
            let pid = frozen.pid();
            match converted {
                Ok((behaviour, instance)) => {
                    let (node, versions) = (&self.node, &self.versions);
                    let body = Hosted::new(node, versions, new.clone(), behaviour, pid, instance);
                    drop(frozen.thaw(Box::new(body)));
                    switched.done.push((pid, old));
                }
                Err(source) => switched.failed.push(SwitchError::Convert { pid, source }),
            }
        }
    }

    /// `None`: it did not end in time.
    async fn on_a_thread_apart(
        &self,
        states: Vec<State>,
        new: Arc<Version>,
        at: Arc<AtomicUsize>,
    ) -> Option<Vec<(Arc<Version>, Converted)>> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let work = move || {
            let mut converted = Vec::with_capacity(states.len());
            for (index, state) in states.into_iter().enumerate() {
                at.store(index, Ordering::Release);
                let State { old, behaviour, saved } = state;
                let result = convert(&old, &new, &behaviour, saved);
                converted.push((old, result));
            }
            // After its deadline nobody waits.
            let _ = tell.send(converted);
        };
        self.node.runtime().spawn_blocking("convert states", Box::new(work));
        let limit = self.limits.convert_timeout;
        timeout(&**self.node.runtime(), limit, told).await.ok()?.ok()
    }
}

type Converted = Result<(u32, Box<dyn Instance>), ConvertError>;

/// A frozen process and a copy of its state.
struct Member {
    frozen: Frozen,
    state: State,
}

struct State {
    old: Arc<Version>,
    behaviour: String,
    saved: SavedState,
}

/// Saves the state of a frozen process. `None`: it is no hosted behaviour, or runs in `new` already.
fn save(mut frozen: Frozen, new: &Version) -> Result<Option<Member>, ConvertError> {
    let body: &mut dyn Any = &mut **frozen.body();
    let Some(hosted) = body.downcast_mut::<Hosted>() else { return Ok(None) };
    if hosted.version().address == new.address {
        return Ok(None);
    }
    let behaviour = hosted.behaviour().to_owned();
    let saved = hosted
        .save()
        .map_err(|source| ConvertError::Code { behaviour: behaviour.clone(), source })?;
    let old = hosted.version().clone();
    Ok(Some(Member { frozen, state: State { old, behaviour, saved } }))
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
