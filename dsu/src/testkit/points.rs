//! A script with the update at every point at which it could come (Hayden et al., 2012): is the process then where one
//! that was started in the new version would be (Gupta's criterion, as far as it can be observed)?

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::difference::{of_handling, of_values, unallowed};
use super::output::Handled;
use super::process::TestProcess;
use super::rest::Rest;
use super::{Difference, Input, Run, Script, TestError, UpdateTest};
use crate::code::Code;
use crate::hosted::SavedState;

/// What came of the update at every point of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Points {
    /// The behaviour.
    pub behaviour: String,
    /// The version of its code before and after.
    pub versions: (u32, u32),
    /// Every point, in order; of points that are the same, the first.
    pub points: Vec<Point>,
}

/// A point at which the update could come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// How many inputs of the script the old version took, one that it was in the middle of included.
    pub inputs: usize,
    /// The last of them, in words.
    pub after: String,
    /// What was wrong with the update there.
    pub failure: Option<Failure>,
}

/// What is wrong with an update at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The state there cannot be converted.
    Conversion(String),
    /// A later input is not handled as by a process that was started in the new version.
    Handling {
        /// Which, from 1.
        input: usize,
        /// What it is.
        what: String,
        /// How.
        differences: Vec<Difference>,
    },
    /// In the end the state is not that of a process that was started in the new version.
    State(Vec<Difference>),
    /// The new version does not come to rest, or is no longer there to be compared.
    Lost(String),
}

/// A process that was started in the new version and got the same inputs.
struct Cold {
    handled: BTreeMap<usize, Handled>,
    state: Option<SavedState>,
}

impl UpdateTest {
    /// Runs the script in the old version and, for each point on the way, goes on from there in the new one. Every later
    /// input must be handled, and the state must end, as in a process that was started in the new version and got the
    /// same inputs: without those that the old version had refused.
    ///
    /// It runs the rest of the script once for each point: a script of a thousand inputs takes half a million.
    ///
    /// # Errors
    /// [`TestError`]: a version cannot run the script at all. What goes wrong at a point is in the report.
    pub fn at_every_point(&self, script: &Script) -> Result<Points, TestError> {
        let Run { handled, rests, .. } = self.run(&self.old, script, true)?;
        let mut colds = BTreeMap::new();
        let mut points = Vec::with_capacity(rests.len());
        for rest in &rests {
            let taken = handled.iter().take(rest.inputs).enumerate();
            let refused = taken.filter(|(_, handled)| matches!(handled, Handled::Refused(_)));
            let refused: Vec<_> = refused.map(|(index, _)| index).collect();
            let cold = match colds.entry(refused) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(free) => {
                    let cold = self.cold(script, free.key())?;
                    free.insert(cold)
                }
            };
            points.push(Point {
                inputs: rest.inputs,
                after: describe(script, rest),
                failure: self.at(script, rest, cold)?,
            });
        }
        let of = |code: &dyn Code| {
            code.description().behaviour(&self.behaviour).map_or(0, |(_, b)| b.code_version)
        };
        let versions = (of(&*self.old), of(&*self.new));
        Ok(Points { behaviour: self.behaviour.clone(), versions, points })
    }

    fn cold(&self, script: &Script, refused: &[usize]) -> Result<Cold, TestError> {
        let (mut process, _) = self.begin(&self.new, script, false)?;
        let mut handled = BTreeMap::new();
        for (index, input) in script.inputs.iter().enumerate() {
            if !refused.contains(&index) {
                handled.insert(index, process.give(input)?);
            }
        }
        Ok(Cold { handled, state: process.last_state()? })
    }

    /// What is wrong with the update at that point.
    fn at(&self, script: &Script, rest: &Rest, cold: &Cold) -> Result<Option<Failure>, TestError> {
        let (old, new) = (&self.old, &self.new);
        let switched = TestProcess::switched(old, new, &self.behaviour, rest, &self.answers);
        let mut process = match switched {
            Ok(process) => process,
            Err(error) => return Ok(Some(Failure::Conversion(error.to_string()))),
        };
        // The end of the input that it was in the middle of, of which the old version did the rest.
        match process.go_on() {
            Ok(Handled::Failed(why)) => return Ok(Some(Failure::Lost(why))),
            Ok(_) => {}
            Err(error) => return Ok(Some(Failure::Lost(error.to_string()))),
        }
        for (index, input) in script.inputs.iter().enumerate().skip(rest.inputs) {
            let found = match process.give(input) {
                Ok(found) => found,
                Err(error) => return Ok(Some(Failure::Lost(error.to_string()))),
            };
            let Some(expected) = cold.handled.get(&index) else { continue };
            let differences = of_handling(expected, &found).map_err(TestError::Unreadable)?;
            let differences = unallowed(differences, &self.allowed);
            if !differences.is_empty() {
                let (input, what) = (index + 1, input.to_string());
                return Ok(Some(Failure::Handling { input, what, differences }));
            }
        }
        self.in_the_end(&process, cold)
    }

    fn in_the_end(&self, process: &TestProcess, cold: &Cold) -> Result<Option<Failure>, TestError> {
        let lost = |why: &str| Ok(Some(Failure::Lost(why.to_owned())));
        let found = match process.last_state() {
            Ok(found) => found,
            Err(error) => return lost(&error.to_string()),
        };
        let (expected, found) = match (&cold.state, found) {
            (Some(expected), Some(found)) => (expected, found),
            // Both were lost, at the same input, or there would be a difference before.
            (None, None) => return Ok(None),
            (Some(_), None) => return lost("its state is lost, and should not be"),
            (None, Some(_)) => return lost("its state is there, and should be lost"),
        };
        let expected = (&expected.form, &*expected.bytes);
        let differences = of_values(Difference::STATE, expected, (&found.form, &*found.bytes));
        let differences = unallowed(differences.map_err(TestError::Unreadable)?, &self.allowed);
        Ok((!differences.is_empty()).then_some(Failure::State(differences)))
    }
}

fn describe(script: &Script, rest: &Rest) -> String {
    let last = rest.inputs.checked_sub(1).and_then(|last| script.inputs.get(last));
    last.map_or_else(|| "its start".to_owned(), Input::to_string)
}

impl Points {
    /// Those at which something was wrong.
    pub fn failures(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.failure.is_some())
    }

    /// Whether there was a point at least, and nothing was wrong at any.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.points.is_empty() && self.failures().next().is_none()
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = self.versions;
        let (all, failed) = (self.points.len(), self.failures().count());
        writeln!(f, "{} {old} -> {new}: {all} points, {failed} failures", self.behaviour)?;
        if all == 0 {
            return writeln!(
                f,
                "  FAILS: nothing was tried, for it was never where it could be switched"
            );
        }
        writeln!(f, "  inputs before  last of them              update")?;
        for point in &self.points {
            let Point { inputs, after, failure } = point;
            match failure {
                None => writeln!(f, "  {inputs:>13}  {after:<24}  ok")?,
                Some(failure) => writeln!(f, "  {inputs:>13}  {after:<24}  FAILS: {failure}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |differences: &[Difference]| {
            let texts: Vec<_> = differences.iter().map(Difference::to_string).collect();
            texts.join("; ")
        };
        match self {
            Self::Conversion(why) => write!(f, "the state is not converted: {why}"),
            Self::Handling { input, what, differences } => {
                write!(f, "input {input} ({what}): {}", all(differences))
            }
            Self::State(differences) => write!(f, "in the end, {}", all(differences)),
            Self::Lost(why) => write!(f, "the new version does not go on: {why}"),
        }
    }
}
