//! What others may ask of a supervisor, and what it answers.

use midflight_message::Pid;

use super::work::{Step, Work};
use super::{Action, Child, Kernel, Key, State, Ticket, counts};
use crate::supervisor::error::ChildProblem;
use crate::supervisor::spec::{ChildCounts, ChildInfo, ChildSpec, Restart};

/// Which child is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    Id(String),
    Pid(Pid),
}

/// A demand.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Enter a child, and start it if `start` says so.
    Add { spec: ChildSpec, start: bool },
    /// Start a child that does not run.
    Restart(Which),
    /// Stop a child.
    Terminate(Which),
    /// Forget a child that does not run.
    Delete(Which),
    /// Answer all children, in start order.
    List,
    /// Answer one child.
    Look(Which),
    /// Answer how many there are.
    Count,
}

/// What comes back.
pub(crate) type Answer = Result<Success, ChildProblem>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Success {
    /// The child runs; or does not, and wanted that.
    Started(Option<Pid>),
    Done,
    Children(Vec<ChildInfo>),
    Child(Option<ChildInfo>),
    Counts(ChildCounts),
}

impl Kernel {
    /// Answers a question at once; a demand waits until there is nothing else to do.
    pub(super) fn command(&mut self, ticket: Ticket, command: Command, out: &mut Vec<Action>) {
        let answer = match &command {
            Command::List => {
                Ok(Success::Children(self.children.values().map(Child::info).collect()))
            }
            Command::Look(which) => {
                let child = self.find(which).and_then(|key| self.children.get(&key));
                Ok(Success::Child(child.map(Child::info)))
            }
            Command::Count => Ok(Success::Counts(counts(self.children.values()))),
            _ if self.is_ending() => Err(ChildProblem::ShuttingDown),
            _ if self.commands.len() >= self.policy.bounds.commands => Err(ChildProblem::Busy),
            _ => return self.commands.push_back((ticket, command)),
        };
        out.push(Action::Reply(ticket, answer));
    }

    fn find(&self, which: &Which) -> Option<Key> {
        match which {
            Which::Id(id) => self.ids.get(id).copied(),
            Which::Pid(pid) => self.pids.get(pid).copied(),
        }
    }

    /// Does a demand whose turn has come, or makes it the present work.
    pub(super) fn begin(&mut self, ticket: Ticket, command: Command, out: &mut Vec<Action>) {
        let begun = match command {
            Command::Add { spec, start } => self.begin_add(ticket, spec, start, out),
            Command::Restart(which) => self.begin_restart(ticket, &which),
            Command::Terminate(which) => self.begin_terminate(ticket, &which, out),
            Command::Delete(which) => self.delete(&which, out).map(|()| Some(Success::Done)),
            Command::List | Command::Look(_) | Command::Count => Ok(None),
        };
        match begun {
            Ok(None) => {}
            Ok(Some(success)) => out.push(Action::Reply(ticket, Ok(success))),
            Err(problem) => out.push(Action::Reply(ticket, Err(problem))),
        }
    }

    fn begin_add(
        &mut self,
        ticket: Ticket,
        spec: ChildSpec,
        start: bool,
        out: &mut Vec<Action>,
    ) -> Result<Option<Success>, ChildProblem> {
        if let Some(child) = self.ids.get(&spec.id).and_then(|key| self.children.get(key)) {
            return Err(match child.state {
                State::Running(pid) | State::Stopping { pid, .. } => ChildProblem::Running(pid),
                _ => ChildProblem::AlreadyPresent,
            });
        }
        if self.children.len() >= self.policy.bounds.children {
            return Err(ChildProblem::TooManyChildren);
        }
        let key = self.add(spec);
        out.push(Action::Adopt(ticket, key));
        if !start {
            return Ok(Some(Success::Done));
        }
        self.work = Some(Work::start_new(ticket, key));
        Ok(None)
    }

    fn begin_restart(
        &mut self,
        ticket: Ticket,
        which: &Which,
    ) -> Result<Option<Success>, ChildProblem> {
        let key = self.idle(which)?;
        self.work = Some(Work::start_again(ticket, key));
        Ok(None)
    }

    /// A child that neither runs nor is about to.
    fn idle(&self, which: &Which) -> Result<Key, ChildProblem> {
        let key = self.find(which).ok_or(ChildProblem::NotFound)?;
        let child = self.children.get(&key).ok_or(ChildProblem::NotFound)?;
        match child.state {
            State::Stopped | State::Ignored => Ok(key),
            State::Running(pid) | State::Stopping { pid, .. } => Err(ChildProblem::Running(pid)),
            State::Starting { .. } | State::Died(_) | State::Delayed { .. } | State::Due { .. } => {
                Err(ChildProblem::Restarting)
            }
        }
    }

    fn begin_terminate(
        &mut self,
        ticket: Ticket,
        which: &Which,
        out: &mut Vec<Action>,
    ) -> Result<Option<Success>, ChildProblem> {
        let key = self.find(which).ok_or(ChildProblem::NotFound)?;
        let child = self.children.get(&key).ok_or(ChildProblem::NotFound)?;
        if let State::Running(_) | State::Stopping { .. } = child.state {
            self.work = Some(Work::stop(ticket, Step::Stop(vec![key])));
            return Ok(None);
        }
        let temporary = child.spec.restart == Restart::Temporary;
        self.set(key, State::Stopped);
        if temporary {
            self.forget(key, out);
        }
        Ok(Some(Success::Done))
    }

    fn delete(&mut self, which: &Which, out: &mut Vec<Action>) -> Result<(), ChildProblem> {
        let key = self.idle(which)?;
        self.forget(key, out);
        Ok(())
    }
}
