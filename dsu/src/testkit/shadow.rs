//! The new version as the old one's shadow: it gets the same inputs on a copy of the state, and nobody else sees what it
//! does.

use std::fmt;

use super::difference::{of_handling, unallowed};
use super::output::Handled;
use super::process::TestProcess;
use super::{Difference, Input, Script, TestError, UpdateTest};

/// An old version with its shadow.
#[derive(Debug)]
pub struct Shadow<'t> {
    test: &'t UpdateTest,
    old: TestProcess,
    /// None once it has done something wrong.
    new: Option<TestProcess>,
    given: u64,
    finding: Option<Finding>,
}

/// What the new version did wrong. It was dropped then; the old one went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// At which input since the shadow was made, from 1.
    pub input: u64,
    /// What it was.
    pub what: String,
    /// What was wrong.
    pub differences: Vec<Difference>,
}

impl UpdateTest {
    /// Runs `script` in the old version, and makes the new one its shadow where that has brought it.
    ///
    /// # Errors
    /// [`TestError`]: the old version cannot run it, or its state there cannot be converted.
    pub fn shadow(&self, script: &Script) -> Result<Shadow<'_>, TestError> {
        let old = self.run(&self.old, script, false)?.process;
        let rest = old.rest()?.ok_or(TestError::NoPoint)?;
        let mut new =
            TestProcess::switched(&self.old, &self.new, &self.behaviour, &rest, &self.answers)?;
        new.go_on()?;
        Ok(Shadow { test: self, old, new: Some(new), given: 0, finding: None })
    }
}

impl Shadow<'_> {
    /// Gives both an input, and answers what the old version made of it, whatever the new one did.
    ///
    /// # Errors
    /// [`TestError`]: the old version does not come to rest.
    pub fn give(&mut self, input: &Input) -> Result<Handled, TestError> {
        self.given += 1;
        let expected = self.old.give(input)?;
        let Some(new) = &mut self.new else { return Ok(expected) };
        let differences = match new.give(input) {
            Ok(found) => of_handling(&expected, &found).map_err(TestError::Unreadable)?,
            Err(error) => vec![Difference {
                place: Difference::HANDLING.to_owned(),
                field: String::new(),
                expected: Some(expected.to_string()),
                found: Some(error.to_string()),
            }],
        };
        let differences = unallowed(differences, &self.test.allowed);
        if !differences.is_empty() {
            self.new = None;
            let (input, what) = (self.given, input.to_string());
            self.finding = Some(Finding { input, what, differences });
        }
        Ok(expected)
    }

    /// What the new version did wrong, if it has.
    #[must_use]
    pub const fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at input {} ({})", self.input, self.what)?;
        self.differences.iter().try_for_each(|difference| write!(f, ", {difference}"))
    }
}
