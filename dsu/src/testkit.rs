//! Trying an update before anybody runs it: what authors test their conversions and new versions with (feature `test`).
//!
//! An [`UpdateTest`] has two versions of a behaviour and runs both without a node: each input is given to the code in
//! turn, what it does is written down and goes nowhere, and time passes when the test says so.
//! - [`UpdateTest::at_every_point`]: a script of messages, with the update at every point at which it could come.
//! - [`UpdateTest::round_trip`]: states that go to the new version and back, and must be what they were.
//! - [`UpdateTest::shadow`]: the new version on a copy of the state, with the same messages as the old one.
//!
//! What is tested is what a node does: the same conversions, schemas and safe points. What is not: other processes,
//! the order in which their messages come, and how long anything takes. Code that never returns keeps the test.

mod answers;
mod difference;
mod fields;
mod form;
mod host;
mod load;
mod output;
mod points;
mod process;
mod rest;
mod round_trip;
mod script;
mod shadow;
mod waits;

use std::sync::Arc;

use crate::code::{Code, CodeError};
use crate::code_server::with_sources;
use crate::compare::compare;
use crate::convert::{ConvertError, find};
use crate::hosted::SavedState;
use answers::Answers;
pub use answers::{Answered, Asked};
use difference::Allowed;
pub use difference::Difference;
pub use load::{LoadBundleError, bundle};
pub use output::{Handled, Output};
pub use points::{Failure, Point, Points};
use process::TestProcess;
pub use round_trip::{RoundTrip, Violation};
pub use script::{Input, Script};
pub use shadow::{Finding, Shadow};

/// Two versions of one behaviour, and what they may do differently.
#[derive(Debug, Clone)]
pub struct UpdateTest {
    old: Arc<dyn Code>,
    new: Arc<dyn Code>,
    behaviour: String,
    answers: Answers,
    allowed: Allowed,
    lossy: Vec<String>,
}

impl UpdateTest {
    /// The update of `behaviour` from `old` to `new`: [compiled](crate::compiled::compiled) in, or from a
    /// [`bundle`].
    ///
    /// # Errors
    /// [`TestError::Conflict`] where a node would refuse it before anything of it runs.
    pub fn new(
        old: Arc<dyn Code>,
        new: Arc<dyn Code>,
        behaviour: impl Into<String>,
    ) -> Result<Self, TestError> {
        let behaviour = behaviour.into();
        find(old.description(), &behaviour).map_err(TestError::Convert)?;
        let compared = compare(old.description(), new.description());
        let conflicts: Vec<_> = compared.conflicts().map(ToString::to_string).collect();
        if !conflicts.is_empty() {
            return Err(TestError::Conflict(conflicts.join("; ")));
        }
        let (answers, allowed) = (Answers::default(), Allowed::default());
        Ok(Self { old, new, behaviour, answers, allowed, lossy: Vec::new() })
    }

    /// Has `answer` answer the calls that the behaviour makes. Without it there is nobody to call. It must say the same
    /// to the same question, since it is asked in every run.
    #[must_use]
    pub fn answering(
        mut self,
        answer: impl Fn(&Asked) -> Answered + Send + Sync + 'static,
    ) -> Self {
        self.answers = Answers::by(answer);
        self
    }

    /// Takes differences for which `rule` says yes for meant.
    #[must_use]
    pub fn allowing(mut self, rule: impl Fn(&Difference) -> bool + Send + Sync + 'static) -> Self {
        self.allowed.add(rule);
        self
    }

    /// Declares that the way back loses a field of the old state, such as `lines[].price`.
    #[must_use]
    pub fn lossy(mut self, field: impl Into<String>) -> Self {
        self.lossy.push(field.into());
        self
    }

    /// The states that the old version has at every point of the script, to be tried by
    /// [`UpdateTest::round_trip_of`].
    ///
    /// # Errors
    /// [`TestError`]: the old version cannot run the script.
    pub fn recorded(&self, script: &Script) -> Result<Vec<SavedState>, TestError> {
        let run = self.run(&self.old, script, true)?;
        Ok(run.rests.into_iter().map(|rest| rest.state).collect())
    }

    /// Gives `code` all of a script.
    fn run(
        &self,
        code: &Arc<dyn Code>,
        script: &Script,
        notes_rests: bool,
    ) -> Result<Run, TestError> {
        let (mut process, _) = self.begin(code, script, notes_rests)?;
        let given = script.inputs.iter().map(|input| process.give(input));
        let handled = given.collect::<Result<_, _>>()?;
        Ok(Run { handled, rests: process.take_rests(), process })
    }

    fn begin(
        &self,
        code: &Arc<dyn Code>,
        script: &Script,
        notes_rests: bool,
    ) -> Result<(TestProcess, Handled), TestError> {
        if let Some(error) = &script.broken {
            return Err(TestError::Script(error.to_string()));
        }
        TestProcess::begin(code, &self.behaviour, &script.start, &self.answers, notes_rests)
    }
}

/// A script that was run.
struct Run {
    process: TestProcess,
    /// What became of each input.
    handled: Vec<Handled>,
    rests: Vec<rest::Rest>,
}

/// A test that cannot be made, or not to its end. What versions do wrong is in the reports.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// A node would refuse the update before anything of it runs.
    #[error("the update is refused: {0}")]
    Conflict(String),
    /// A message of the script cannot be encoded.
    #[error("a message of the script cannot be encoded: {0}")]
    Script(String),
    /// A process cannot be started.
    #[error("a process cannot be started: {0}")]
    Start(String),
    /// A state cannot be converted.
    #[error("{}", with_sources(.0))]
    Convert(ConvertError),
    /// The code fails.
    #[error(transparent)]
    Code(CodeError),
    /// The code cannot save a state that it has come to: a node could not switch the process then.
    #[error("after {inputs} inputs its state cannot be saved: {source}")]
    Save {
        /// After how many inputs.
        inputs: usize,
        /// What the code says.
        source: CodeError,
    },
    /// It goes on for ever by itself.
    #[error("it does not come to rest: it has gone on {steps} times without an input")]
    Restless {
        /// How often.
        steps: usize,
    },
    /// Its loop is at no update point.
    #[error("the process is at no point at which it can be switched")]
    NoPoint,
    /// The states given are not those of the old version.
    #[error("the states are of the form {given}, and the old version's are of {expected}")]
    State {
        /// What was given.
        given: String,
        /// What the old version has.
        expected: String,
    },
    /// Bytes that do not fit their schema.
    #[error("{0}")]
    Unreadable(String),
}

/// The page on testing updates, and its examples.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing-updates.md")]
struct Page;
