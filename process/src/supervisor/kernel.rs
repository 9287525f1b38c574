//! A supervisor's decisions. Pure: what happened and the time go in, what is to be done comes out.
//!
//! As in Erlang there is one piece of work at a time: the first start, a restart, a command, the
//! end. What comes meanwhile waits, deaths before commands; only questions are answered at once,
//! and the end interrupts everything. All waits are bounded: a start by its time-out, a stop by
//! the child's own, a kill by [`KILL_WAIT`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use midflight_message::Pid;
use midflight_runtime::Instant;
use rustc_hash::FxHashMap;

use super::error::{ChildProblem, NoStart};
use super::spec::{
    ChildCounts, ChildInfo, ChildKind, ChildSpec, ChildState, Policy, SupervisorEvent,
};
use crate::ExitReason;

mod command;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use command::{Answer, Command, Success, Which};
use work::Work;

/// How long a child that was killed is waited for before it is left behind.
pub(crate) const KILL_WAIT: Duration = Duration::from_secs(5);

/// Names a child inside its supervisor; the order is the start order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

/// Names a command until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The start of a child succeeded.
    Started(Key, Pid),
    /// The start of a child came to nothing.
    NotStarted(Key, NoStart),
    /// A process ended.
    Exited(Pid, ExitReason),
    /// Somebody wants something.
    Command(Ticket, Command),
    /// The supervisor is to end.
    ShutDown(ExitReason),
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run the child's start function; answer `Started` or `NotStarted`.
    Start(Key),
    /// Give a start up, and end what it made. No answer is wanted.
    CancelStart(Key),
    /// Tell a process to exit with `Shutdown`.
    Exit(Pid),
    /// Kill a process.
    Kill(Pid),
    /// The command's start function belongs to this child now.
    Adopt(Ticket, Key),
    /// The child's specification is gone.
    Forget(Key),
    /// Answer a command.
    Reply(Ticket, Answer),
    /// All children have been started.
    Ready,
    /// Tell whoever observes.
    Report(SupervisorEvent),
    /// End with this reason. Nothing follows.
    End(ExitReason),
}

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Stopped,
    Ignored,
    Starting {
        by: Instant,
    },
    Running(Pid),
    /// It ended by itself, and nobody has looked after it yet.
    Died(ExitReason),
    /// Its restart waits. `alone`: its siblings have been seen to already.
    Delayed {
        until: Instant,
        alone: bool,
    },
    /// Its delay is over.
    Due {
        alone: bool,
    },
    Stopping {
        pid: Pid,
        killed: bool,
        by: Instant,
    },
}

impl State {
    const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Starting { by } | Self::Stopping { by, .. } => Some(*by),
            Self::Delayed { until, .. } => Some(*until),
            _ => None,
        }
    }
}

/// One supervisor's decisions.
#[derive(Debug)]
pub(crate) struct Kernel {
    policy: Policy,
    children: BTreeMap<Key, Child>,
    ids: FxHashMap<String, Key>,
    pids: FxHashMap<Pid, Key>,
    /// The children whose state has a deadline.
    timers: BTreeSet<(Instant, Key)>,
    next_key: u64,
    work: Option<Work>,
    died: VecDeque<Key>,
    /// Whose delay is over.
    due: VecDeque<Key>,
    commands: VecDeque<(Ticket, Command)>,
    /// When restarts were made, oldest first, within the period.
    restarts: VecDeque<Instant>,
    ready: bool,
    ended: bool,
}

impl Kernel {
    /// A supervisor with these children, in start order; two of one id are none. The first
    /// `Tick` starts them.
    pub(crate) fn new(policy: Policy, specs: Vec<ChildSpec>) -> Result<(Self, Vec<Key>), String> {
        let mut kernel = Self::empty(policy);
        let mut keys = Vec::with_capacity(specs.len());
        for spec in specs {
            if kernel.ids.contains_key(&spec.id) {
                return Err(format!("there are two children with the id `{}`", spec.id));
            }
            if keys.len() >= policy.bounds.children {
                return Err(String::from("there are more children than may be"));
            }
            keys.push(kernel.add(spec));
        }
        kernel.work = Some(Work::boot(&keys));
        Ok((kernel, keys))
    }

    pub(crate) fn empty(policy: Policy) -> Self {
        Self {
            policy,
            children: BTreeMap::new(),
            ids: FxHashMap::default(),
            pids: FxHashMap::default(),
            timers: BTreeSet::new(),
            next_key: 0,
            work: None,
            died: VecDeque::new(),
            due: VecDeque::new(),
            commands: VecDeque::new(),
            restarts: VecDeque::new(),
            ready: false,
            ended: false,
        }
    }

    /// Takes in what happened, and answers what is to be done.
    pub(crate) fn step(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        if self.ended {
            if let Event::Command(ticket, _) = event {
                out.push(Action::Reply(ticket, Err(ChildProblem::ShuttingDown)));
            }
            return;
        }
        match event {
            Event::Started(key, pid) => self.started(key, pid, now, out),
            Event::NotStarted(key, why) => self.not_started(key, why, now, out),
            Event::Exited(pid, reason) => self.exited(pid, reason, out),
            Event::Command(ticket, command) => self.command(ticket, command, out),
            Event::ShutDown(reason) => self.shut_down(reason, out),
            Event::Tick => {}
        }
        self.look_at_clock(now, out);
        self.advance(now, out);
        debug_assert!(self.is_sound(), "{self:?}");
    }

    /// When `Tick` is due at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (first, _) = self.timers.first()?;
        (!self.ended).then_some(*first)
    }

    fn add(&mut self, spec: ChildSpec) -> Key {
        let key = Key(self.next_key);
        self.next_key += 1;
        self.ids.insert(spec.id.clone(), key);
        self.children.insert(key, Child { spec, state: State::Stopped });
        key
    }

    /// Every change of a child's state comes through here.
    fn set(&mut self, key: Key, state: State) {
        let Some(child) = self.children.get_mut(&key) else { return };
        if let Some(deadline) = child.state.deadline() {
            self.timers.remove(&(deadline, key));
        }
        if let Some(deadline) = state.deadline() {
            self.timers.insert((deadline, key));
        }
        child.state = state;
    }

    fn state(&self, key: Key) -> Option<&State> {
        self.children.get(&key).map(|child| &child.state)
    }

    fn forget(&mut self, key: Key, out: &mut Vec<Action>) {
        self.set(key, State::Stopped);
        if let Some(child) = self.children.remove(&key) {
            self.ids.remove(&child.spec.id);
            out.push(Action::Forget(key));
        }
    }

    fn id(&self, key: Key) -> String {
        self.children.get(&key).map(|child| child.spec.id.clone()).unwrap_or_default()
    }

    /// A process ended. Whoever is being stopped has done as it was told; the others have died.
    fn exited(&mut self, pid: Pid, reason: ExitReason, out: &mut Vec<Action>) {
        let Some(key) = self.pids.remove(&pid) else { return };
        let id = self.id(key);
        if let Some(State::Stopping { .. }) = self.state(key) {
            self.set(key, State::Stopped);
            out.push(Action::Report(SupervisorEvent::Stopped { id, pid, reason }));
        } else {
            out.push(Action::Report(SupervisorEvent::Died { id, pid, reason: reason.clone() }));
            self.set(key, State::Died(reason));
            self.died.push_back(key);
        }
    }

    /// Kills who had its time to end, gives up who did not even end then, and starts that took too
    /// long.
    fn look_at_clock(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some((by, key)) = self.timers.first().copied().filter(|(by, _)| *by <= now) {
            match self.state(key).cloned() {
                Some(State::Starting { .. }) => {
                    let limit = self.children.get(&key).map(|child| child.spec.start_timeout);
                    let why = format!("it had not started after {:?}", limit.unwrap_or_default());
                    out.push(Action::CancelStart(key));
                    self.not_started(key, NoStart::Failed(why), now, out);
                }
                Some(State::Stopping { pid, killed: false, .. }) => {
                    self.set(key, State::Stopping { pid, killed: true, by: now + KILL_WAIT });
                    out.push(Action::Kill(pid));
                }
                Some(State::Stopping { pid, killed: true, .. }) => {
                    self.set(key, State::Stopped);
                    self.pids.remove(&pid);
                    let id = self.id(key);
                    out.push(Action::Report(SupervisorEvent::LeftBehind { id, pid }));
                }
                Some(State::Delayed { alone, .. }) => {
                    self.set(key, State::Due { alone });
                    self.due.push_back(key);
                }
                _ => {
                    self.timers.remove(&(by, key));
                }
            }
        }
    }

    /// Counts a restart. Answers whether it may be made (Erlang's count: restarts within the
    /// period, this one included, against the intensity).
    fn may_restart(&mut self, now: Instant) -> bool {
        let period = self.policy.intensity.period;
        self.restarts.retain(|at| now.since(*at) <= period);
        if self.restarts.len() >= self.policy.intensity.restarts as usize {
            return false;
        }
        self.restarts.push_back(now);
        true
    }

    /// What must hold after every step.
    fn is_sound(&self) -> bool {
        let with_pid = self.children.iter().filter(|(key, child)| match child.state {
            State::Running(pid) | State::Stopping { pid, .. } => self.pids.get(&pid) == Some(key),
            _ => false,
        });
        let starting = self.children.values().filter(|c| matches!(c.state, State::Starting { .. }));
        let timed = self.children.iter().filter_map(|(key, c)| Some((c.state.deadline()?, *key)));
        timed.collect::<BTreeSet<_>>() == self.timers
            && with_pid.count() == self.pids.len()
            && self.ids.len() == self.children.len()
            && starting.count() <= 1
            && (!self.ended || self.pids.is_empty())
    }
}

impl Child {
    fn info(&self) -> ChildInfo {
        let state = match self.state {
            State::Running(pid) => ChildState::Running(pid),
            State::Starting { .. } => ChildState::Starting,
            State::Died(_) | State::Delayed { .. } | State::Due { .. } => ChildState::Restarting,
            State::Stopping { pid, .. } => ChildState::Stopping(pid),
            State::Stopped => ChildState::Stopped,
            State::Ignored => ChildState::Ignored,
        };
        ChildInfo {
            id: self.spec.id.clone(),
            state,
            kind: self.spec.kind,
            restart: self.spec.restart,
            shutdown: self.spec.shutdown,
        }
    }

    const fn is_supervisor(&self) -> bool {
        matches!(self.spec.kind, ChildKind::Supervisor)
    }
}

fn counts<'a>(children: impl Iterator<Item = &'a Child>) -> ChildCounts {
    children.fold(ChildCounts::default(), |counts, child| ChildCounts {
        specs: counts.specs + 1,
        active: counts.active + u32::from(matches!(child.state, State::Running(_))),
        supervisors: counts.supervisors + u32::from(child.is_supervisor()),
        workers: counts.workers + u32::from(!child.is_supervisor()),
    })
}
