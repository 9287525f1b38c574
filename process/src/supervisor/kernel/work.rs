//! The one piece of work that a supervisor has in hand: steps that stop or start children, each
//! waited for before the next.

use std::collections::VecDeque;

use midflight_message::Pid;
use midflight_runtime::Instant;

use super::command::Success;
use super::{Action, Kernel, Key, State, Ticket};
use crate::ExitReason;
use crate::supervisor::error::{ChildProblem, NoStart};
use crate::supervisor::spec::{
    AutoShutdown, Order, Restart, RestartMode, Shutdown, ShutdownOrder, Strategy, SupervisorEvent,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Stop these, all at once, and wait until they are gone.
    Stop(Vec<Key>),
    /// Start this one, and wait until it runs.
    Start(Key),
}

/// Why the work is done, and so what a failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Boot,
    Restart(String),
    /// `new`: a child that cannot be started is forgotten.
    Start {
        ticket: Ticket,
        key: Key,
        new: bool,
    },
    Terminate(Ticket),
    End(ExitReason),
}

#[derive(Debug)]
pub(super) struct Work {
    why: Why,
    /// The first one is the present one, once `begun`.
    steps: VecDeque<Step>,
    begun: bool,
}

impl Work {
    fn new(why: Why, steps: impl IntoIterator<Item = Step>) -> Self {
        Self { why, steps: steps.into_iter().collect(), begun: false }
    }

    pub(super) fn boot(keys: &[Key]) -> Self {
        Self::new(Why::Boot, keys.iter().copied().map(Step::Start))
    }

    pub(super) fn start_new(ticket: Ticket, key: Key) -> Self {
        Self::new(Why::Start { ticket, key, new: true }, [Step::Start(key)])
    }

    pub(super) fn start_again(ticket: Ticket, key: Key) -> Self {
        Self::new(Why::Start { ticket, key, new: false }, [Step::Start(key)])
    }

    pub(super) fn stop(ticket: Ticket, step: Step) -> Self {
        Self::new(Why::Terminate(ticket), [step])
    }
}

/// The keys in that order.
fn ordered(keys: &[Key], order: Order) -> Vec<Key> {
    match order {
        Order::LeftToRight => keys.to_vec(),
        Order::RightToLeft => keys.iter().rev().copied().collect(),
    }
}

const fn reversed(order: Order) -> Order {
    match order {
        Order::LeftToRight => Order::RightToLeft,
        Order::RightToLeft => Order::LeftToRight,
    }
}

const fn is_normal(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Normal | ExitReason::Shutdown)
}

impl Kernel {
    pub(super) fn is_ending(&self) -> bool {
        matches!(&self.work, Some(Work { why: Why::End(_), .. }))
    }

    /// Goes on with the work as far as it goes, then with what waits.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Action>) {
        while !self.ended {
            let Some(mut work) = self.work.take() else {
                if self.take_up_next(now, out) {
                    continue;
                }
                return;
            };
            let Some(step) = work.steps.front().cloned() else {
                self.finish(work.why, out);
                continue;
            };
            if !work.begun {
                work.begun = true;
                self.begin_step(&step, &work.why, now, out);
            }
            let over = self.is_over(&step);
            if over {
                work.begun = false;
                work.steps.pop_front();
                if let Step::Stop(keys) = step {
                    self.forget_temporary(&keys, out);
                }
            }
            self.work = Some(work);
            if !over {
                return;
            }
        }
    }

    fn begin_step(&mut self, step: &Step, why: &Why, now: Instant, out: &mut Vec<Action>) {
        match step {
            Step::Stop(keys) => {
                for key in keys {
                    if let Why::Restart(_) = why {
                        out.push(Action::Report(SupervisorEvent::Restarting { id: self.id(*key) }));
                    }
                    self.begin_stop(*key, now, out);
                }
            }
            Step::Start(key) => {
                let Some(child) = self.children.get(key) else { return };
                if let State::Running(_) | State::Stopping { .. } = child.state {
                    return;
                }
                let by = now + child.spec.start_timeout;
                self.set(*key, State::Starting { by });
                out.push(Action::Start(*key));
            }
        }
    }

    fn begin_stop(&mut self, key: Key, now: Instant, out: &mut Vec<Action>) {
        let Some(child) = self.children.get(&key) else { return };
        let pid = match child.state {
            State::Running(pid) => pid,
            State::Stopping { .. } => return,
            _ => return self.set(key, State::Stopped),
        };
        let (killed, wait) = match child.spec.shutdown {
            Shutdown::BrutalKill => (true, super::KILL_WAIT),
            Shutdown::Timeout(time) => (false, time.min(self.policy.bounds.shutdown_max)),
            Shutdown::Infinity => (false, self.policy.bounds.shutdown_max),
        };
        self.set(key, State::Stopping { pid, killed, by: now + wait });
        out.push(if killed { Action::Kill(pid) } else { Action::Exit(pid) });
    }

    fn is_over(&self, step: &Step) -> bool {
        match step {
            Step::Stop(keys) => {
                !keys.iter().any(|key| matches!(self.state(*key), Some(State::Stopping { .. })))
            }
            Step::Start(key) => !matches!(self.state(*key), Some(State::Starting { .. })),
        }
    }

    /// A temporary child that was stopped is not started again by anything.
    fn forget_temporary(&mut self, keys: &[Key], out: &mut Vec<Action>) {
        for key in keys {
            let temporary = |child: &super::Child| {
                child.spec.restart == Restart::Temporary && child.state == State::Stopped
            };
            if self.children.get(key).is_some_and(temporary) {
                self.forget(*key, out);
            }
        }
    }

    pub(super) fn started(&mut self, key: Key, pid: Pid, now: Instant, out: &mut Vec<Action>) {
        if !matches!(self.state(key), Some(State::Starting { .. })) {
            return;
        }
        let id = self.id(key);
        if self.pids.contains_key(&pid) {
            // The start function answered a process that is another child already.
            let why = NoStart::Failed(format!("{pid} is another child already"));
            return self.start_came_to_nothing(key, why, now, out);
        }
        self.set(key, State::Running(pid));
        self.pids.insert(pid, key);
        out.push(Action::Report(SupervisorEvent::Started { id, pid }));
    }

    pub(super) fn not_started(
        &mut self,
        key: Key,
        why: NoStart,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if matches!(self.state(key), Some(State::Starting { .. })) {
            self.start_came_to_nothing(key, why, now, out);
        }
    }

    fn start_came_to_nothing(
        &mut self,
        key: Key,
        why: NoStart,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let Some(child) = self.children.get(&key) else { return };
        let (id, delay) = (child.spec.id.clone(), child.spec.delay);
        let temporary = child.spec.restart == Restart::Temporary;
        let NoStart::Failed(why) = why else {
            self.set(key, State::Ignored);
            out.push(Action::Report(SupervisorEvent::Ignored { id }));
            if temporary {
                self.forget(key, out);
            }
            return;
        };
        self.set(key, State::Stopped);
        out.push(Action::Report(SupervisorEvent::StartFailed { id: id.clone(), why: why.clone() }));
        let Some(work) = &mut self.work else { return };
        match work.why.clone() {
            Why::Boot => {
                let reason = ExitReason::Error(format!("child `{id}` did not start: {why}"));
                self.shut_down(reason, out);
            }
            Why::Restart(_) => {
                // The same step again, counted as another restart.
                work.begun = false;
                if self.may_restart(now) {
                    return;
                }
                let Some(delay) = delay else { return self.give_up(id, out) };
                self.set(key, State::Delayed { until: now + delay, alone: true });
                if let Some(work) = &mut self.work {
                    work.steps.pop_front();
                }
                out.push(Action::Report(SupervisorEvent::Delayed { id }));
            }
            Why::Start { ticket, new, .. } => {
                if new {
                    self.forget(key, out);
                }
                self.work = None;
                out.push(Action::Reply(ticket, Err(ChildProblem::NotStarted(why))));
            }
            Why::Terminate(_) | Why::End(_) => {}
        }
    }

    /// There were too many restarts.
    fn give_up(&mut self, id: String, out: &mut Vec<Action>) {
        out.push(Action::Report(SupervisorEvent::IntensityExceeded { id }));
        self.shut_down(ExitReason::Shutdown, out);
    }

    /// The work is done.
    fn finish(&mut self, why: Why, out: &mut Vec<Action>) {
        match why {
            Why::Boot => {
                self.ready = true;
                out.push(Action::Ready);
            }
            Why::Restart(id) => out.push(Action::Report(SupervisorEvent::BranchRestarted { id })),
            Why::Start { ticket, key, .. } => {
                let pid = match self.state(key) {
                    Some(State::Running(pid)) => Some(*pid),
                    _ => None,
                };
                out.push(Action::Reply(ticket, Ok(Success::Started(pid))));
            }
            Why::Terminate(ticket) => out.push(Action::Reply(ticket, Ok(Success::Done))),
            Why::End(reason) => {
                self.ended = true;
                out.push(Action::End(reason));
            }
        }
    }

    /// Takes up what has waited longest: a death, a restart that is due, a command. Answers
    /// whether there was any.
    fn take_up_next(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        if let Some(key) = self.died.pop_front() {
            if let Some(State::Died(reason)) = self.state(key).cloned() {
                self.look_after(key, &reason, now, out);
            }
            return true;
        }
        if let Some(key) = self.due.pop_front() {
            if let Some(State::Due { alone }) = self.state(key).cloned() {
                // Its delay was the brake: it is not counted.
                self.restart(key, alone);
            }
            return true;
        }
        let Some((ticket, command)) = self.commands.pop_front() else { return false };
        self.begin(ticket, command, out);
        true
    }

    /// Decides what a child's death means.
    fn look_after(&mut self, key: Key, reason: &ExitReason, now: Instant, out: &mut Vec<Action>) {
        let Some(child) = self.children.get(&key) else { return };
        let significant = child.spec.significant;
        match child.spec.restart {
            Restart::Temporary => self.forget(key, out),
            Restart::Transient if is_normal(reason) => self.set(key, State::Stopped),
            Restart::Intrinsic if is_normal(reason) => {
                self.set(key, State::Stopped);
                return self.shut_down(ExitReason::Normal, out);
            }
            _ => return self.try_restart(key, now, out),
        }
        let another = self.children.values().any(|child| {
            let at_rest = matches!(child.state, State::Stopped | State::Ignored);
            child.spec.significant && !at_rest
        });
        let enough = match self.policy.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => significant,
            AutoShutdown::AllSignificant => significant && !another,
        };
        if enough {
            self.shut_down(ExitReason::Shutdown, out);
        }
    }

    /// Restarts a child if that is not one too many; lets it wait, or gives up.
    fn try_restart(&mut self, key: Key, now: Instant, out: &mut Vec<Action>) {
        if self.may_restart(now) {
            return self.restart(key, false);
        }
        let id = self.id(key);
        let delay = self.children.get(&key).and_then(|child| child.spec.delay);
        let Some(delay) = delay else { return self.give_up(id, out) };
        self.set(key, State::Delayed { until: now + delay, alone: false });
        out.push(Action::Report(SupervisorEvent::Delayed { id }));
    }

    /// Restarts a child, with its siblings as the strategy says.
    fn restart(&mut self, key: Key, alone: bool) {
        let id = self.id(key);
        let group: Vec<Key> = match self.policy.strategy {
            _ if alone => vec![key],
            Strategy::OneForOne => vec![key],
            Strategy::OneForAll => self.children.keys().copied().collect(),
            Strategy::RestForOne => self.children.range(key..).map(|(key, _)| *key).collect(),
            Strategy::RestartLeft => self.children.range(..=key).map(|(key, _)| *key).collect(),
        };
        let stop = |key: &Key| Step::Stop(vec![*key]);
        let start = |key: &Key| Step::Start(*key);
        let steps: Vec<Step> = match self.policy.mode {
            RestartMode::Each(order) => {
                ordered(&group, order).iter().flat_map(|key| [stop(key), start(key)]).collect()
            }
            RestartMode::InOrder(order) => {
                let keys = ordered(&group, order);
                keys.iter().map(stop).chain(keys.iter().map(start)).collect()
            }
            RestartMode::RevOrder(order) => {
                let (down, up) = (ordered(&group, order), ordered(&group, reversed(order)));
                down.iter().map(stop).chain(up.iter().map(start)).collect()
            }
        };
        self.work = Some(Work::new(Why::Restart(id), steps));
    }

    /// Ends the supervisor: whatever it has in hand is given up, its children are stopped.
    pub(super) fn shut_down(&mut self, reason: ExitReason, out: &mut Vec<Action>) {
        match self.work.take() {
            Some(work @ Work { why: Why::End(_), .. }) => {
                self.work = Some(work);
                return;
            }
            Some(Work { why: Why::Start { ticket, .. } | Why::Terminate(ticket), .. }) => {
                out.push(Action::Reply(ticket, Err(ChildProblem::ShuttingDown)));
            }
            _ => {}
        }
        for (ticket, _) in self.commands.drain(..) {
            out.push(Action::Reply(ticket, Err(ChildProblem::ShuttingDown)));
        }
        self.died.clear();
        self.due.clear();
        out.push(Action::Report(SupervisorEvent::ShuttingDown { reason: reason.clone() }));
        let keys: Vec<Key> = self.children.keys().copied().collect();
        for key in &keys {
            if let Some(State::Starting { .. }) = self.state(*key) {
                self.set(*key, State::Stopped);
                out.push(Action::CancelStart(*key));
            }
        }
        let steps: Vec<Step> = match self.policy.shutdown_order {
            ShutdownOrder::Sequential(order) => {
                ordered(&keys, order).into_iter().map(|key| Step::Stop(vec![key])).collect()
            }
            ShutdownOrder::Parallel => vec![Step::Stop(keys)],
        };
        self.work = Some(Work::new(Why::End(reason), steps));
    }
}
