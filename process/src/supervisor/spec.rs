//! What a supervisor is told of its children and of itself: plain data, with the words of Erlang's
//! `supervisor`.

use std::time::Duration;

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::ExitReason;

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// When it ended abnormally: with another reason than `Normal` or `Shutdown`.
    Transient,
    /// When it ended abnormally. When it ended normally, the supervisor ends as well, with
    /// `Normal` (Cloud Haskell's word; Erlang's is a transient significant child).
    Intrinsic,
    /// Never; it is forgotten when it ends.
    Temporary,
}

/// How a child is brought to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum Shutdown {
    /// It is killed.
    BrutalKill,
    /// It is told to exit with `Shutdown`, and killed when it has not ended after this time.
    Timeout(Duration),
    /// It is told to exit, and has as long as the supervisor lets anyone have
    /// ([`Supervisor::shutdown_max`](super::Supervisor::shutdown_max)). For supervisors.
    Infinity,
}

impl Default for Shutdown {
    /// Five seconds.
    fn default() -> Self {
        Self::Timeout(Duration::from_secs(5))
    }
}

/// Who is restarted when a child must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// That child.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// That child and those started after it.
    RestForOne,
    /// That child and those started before it (Cloud Haskell's; Erlang has none).
    RestartLeft,
}

/// A direction through the children: left is who was started first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In start order.
    LeftToRight,
    /// In the reverse of the start order.
    RightToLeft,
}

/// How several children are restarted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartMode {
    /// Each is stopped and started before the next one is stopped.
    Each(Order),
    /// All are stopped in that order, then started in the same.
    InOrder(Order),
    /// All are stopped in that order, then started in the reverse. From right to left it is
    /// Erlang's, and the default.
    RevOrder(Order),
}

impl Default for RestartMode {
    fn default() -> Self {
        Self::RevOrder(Order::RightToLeft)
    }
}

/// How the children are stopped when the supervisor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShutdownOrder {
    /// One after the other.
    Sequential(Order),
    /// All are told at once.
    Parallel,
}

impl Default for ShutdownOrder {
    fn default() -> Self {
        Self::Sequential(Order::RightToLeft)
    }
}

/// Whether a supervisor ends when its significant children have ended by themselves: temporary
/// ones however, transient ones normally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AutoShutdown {
    /// It goes on.
    #[default]
    Never,
    /// When the first of them has.
    AnySignificant,
    /// When the last of them has.
    AllSignificant,
}

/// How many restarts a supervisor puts up with before it gives up and ends with `Shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts within `period` that are still borne. One restart of several children counts
    /// once; each attempt to start a child anew that fails counts again.
    pub restarts: u32,
    /// The time in which they are counted.
    pub period: Duration,
}

impl Default for Intensity {
    /// One restart in five seconds, as Erlang has it.
    fn default() -> Self {
        Self { restarts: 1, period: Duration::from_secs(5) }
    }
}

/// Whether a child is a supervisor itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Schema)]
pub enum ChildKind {
    /// It does the work.
    #[default]
    Worker,
    /// It has children of its own.
    Supervisor,
}

/// What the supervisor's decisions need to know of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChildSpec {
    pub(crate) id: String,
    pub(crate) kind: ChildKind,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) significant: bool,
    /// How long a restart waits that would be one too many.
    pub(crate) delay: Option<Duration>,
    pub(crate) start_timeout: Duration,
}

/// Everything that a supervisor's decisions need to know of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    pub(crate) strategy: Strategy,
    pub(crate) mode: RestartMode,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) shutdown_order: ShutdownOrder,
    pub(crate) bounds: Bounds,
}

/// The bounds of one supervisor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// What `Shutdown::Infinity` comes to.
    pub(crate) shutdown_max: Duration,
    pub(crate) children: usize,
    /// Commands that wait while something else is done.
    pub(crate) commands: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { shutdown_max: Duration::from_secs(600), children: 65_536, commands: 1_024 }
    }
}

/// What becomes of a child at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum ChildState {
    /// It runs.
    Running(Pid),
    /// It is being started.
    Starting,
    /// It ended, and will be started again.
    Restarting,
    /// It is being stopped.
    Stopping(Pid),
    /// It does not run; its specification is kept.
    Stopped,
    /// It does not run, as its start function wanted (`NoStart::Ignore`).
    Ignored,
}

/// A child as [`SupervisorRef::which_children`](super::SupervisorRef::which_children) shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its id.
    pub id: String,
    /// What becomes of it.
    pub state: ChildState,
    /// Whether it is a supervisor.
    pub kind: ChildKind,
    /// When it is started again.
    pub restart: Restart,
    /// How it is ended.
    pub shutdown: Shutdown,
}

impl ChildInfo {
    /// Its process, while it has one.
    #[must_use]
    pub const fn pid(&self) -> Option<Pid> {
        match self.state {
            ChildState::Running(pid) | ChildState::Stopping(pid) => Some(pid),
            _ => None,
        }
    }
}

/// How many children there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub struct ChildCounts {
    /// Specifications, running or not.
    pub specs: u32,
    /// Children that run.
    pub active: u32,
    /// Children that are supervisors, running or not.
    pub supervisors: u32,
    /// All other children, running or not.
    pub workers: u32,
}

/// What a supervisor did or saw; sent to its observer as a message, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.supervisor.Event", version = 1)]
#[non_exhaustive]
pub enum SupervisorEvent {
    /// A child runs.
    Started {
        /// The child.
        id: String,
        /// Its process.
        pid: Pid,
    },
    /// A child's start function wanted no process.
    Ignored {
        /// The child.
        id: String,
    },
    /// A child could not be started.
    StartFailed {
        /// The child.
        id: String,
        /// Why.
        why: String,
    },
    /// A child ended by itself.
    Died {
        /// The child.
        id: String,
        /// Its process.
        pid: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// A child is restarted, alone or with others.
    Restarting {
        /// The child.
        id: String,
    },
    /// A child was stopped by its supervisor.
    Stopped {
        /// The child.
        id: String,
        /// Its process.
        pid: Pid,
        /// With which reason it ended.
        reason: ExitReason,
    },
    /// A child did not even end when it was killed; it is no longer waited for.
    LeftBehind {
        /// The child.
        id: String,
        /// Its process.
        pid: Pid,
    },
    /// A restart is over.
    BranchRestarted {
        /// The child that had ended.
        id: String,
    },
    /// A restart would be one too many, and waits (`Child::restart_delay`).
    Delayed {
        /// The child.
        id: String,
    },
    /// There were too many restarts: the supervisor ends.
    IntensityExceeded {
        /// The child that could not be restarted any more.
        id: String,
    },
    /// The supervisor stops its children and ends.
    ShuttingDown {
        /// Why.
        reason: ExitReason,
    },
}
