//! States that go to the new version and back: `down(up(s)) == s`, but for what is declared lost.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use midflight_abi::State;
use midflight_message::{Render, TypeInfo};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestError as PropError, TestRunner};

use super::difference::of_values;
use super::fields::is_in;
use super::{Difference, TestError, UpdateTest};
use crate::code::Code;
use crate::code_server::with_sources;
use crate::convert::{ConvertError, find, for_restoring, restore};
use crate::hosted::SavedState;

/// What came of states on their way to the new version and back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundTrip {
    /// How many states went.
    pub states: u64,
    /// Of how many each field that is declared lost was lost indeed.
    pub lost: BTreeMap<String, u64>,
    /// The first state of which something else was lost; of generated states the simplest that was found.
    pub violation: Option<Violation>,
}

/// A state that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The state.
    pub state: String,
    /// What is wrong with it, in words.
    pub why: String,
}

impl UpdateTest {
    /// Sends `cases` states that `strategy` draws to the new version and back. The same states are drawn every time.
    ///
    /// # Errors
    /// [`TestError::State`] where they are not the old version's, or one cannot be drawn. What is lost on the way is in
    /// the report.
    pub fn round_trip<S: State + fmt::Debug>(
        &self,
        strategy: impl Strategy<Value = S>,
        cases: u32,
    ) -> Result<RoundTrip, TestError> {
        let form = TypeInfo::of_schema::<S>(&self.behaviour, S::VERSION)
            .map_err(|error| TestError::Unreadable(error.to_string()))?;
        let (_, old) = find(self.old.description(), &self.behaviour).map_err(TestError::Convert)?;
        if form != old.state {
            let text = |form: &TypeInfo| format!("{form} {}", form.fingerprint());
            return Err(TestError::State { given: text(&form), expected: text(&old.state) });
        }
        let report = RefCell::new(RoundTrip::default());
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let ran = runner.run(&strategy, |state| {
            let bytes = postcard::to_stdvec(&state);
            let bytes = bytes.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let saved = SavedState { form: form.clone(), bytes };
            self.trip(saved, &mut report.borrow_mut()).map_err(TestCaseError::fail)
        });
        let mut report = report.into_inner();
        match ran {
            Ok(()) => {}
            Err(PropError::Fail(why, state)) => {
                let (state, why) = (format!("{state:?}"), why.to_string());
                report.violation = Some(Violation { state, why });
            }
            Err(PropError::Abort(why)) => return Err(TestError::Unreadable(why.to_string())),
        }
        Ok(report)
    }

    /// As [`UpdateTest::round_trip`], of states that were [recorded](UpdateTest::recorded) or kept.
    pub fn round_trip_of(&self, states: impl IntoIterator<Item = SavedState>) -> RoundTrip {
        let mut report = RoundTrip::default();
        for state in states {
            let text = Render::new(&state.form, &state.bytes).to_string();
            if let Err(why) = self.trip(state, &mut report) {
                report.violation = Some(Violation { state: text, why });
                break;
            }
        }
        report
    }

    /// There and back. `Err`: what is wrong, in words.
    fn trip(&self, state: SavedState, report: &mut RoundTrip) -> Result<(), String> {
        let up = self.converted(&*self.old, &*self.new, state.clone());
        let up = up.map_err(|error| format!("there: {}", with_sources(&error)))?;
        let down = self.converted(&*self.new, &*self.old, up);
        let down = down.map_err(|error| format!("back: {}", with_sources(&error)))?;
        report.states += 1;
        let (before, after) = ((&state.form, &*state.bytes), (&down.form, &*down.bytes));
        let (mut lost, mut undeclared) = (BTreeSet::new(), Vec::new());
        for difference in of_values(Difference::STATE, before, after)? {
            match self.lossy.iter().find(|field| is_in(&difference.field, field)) {
                Some(field) => drop(lost.insert(field.clone())),
                None => undeclared.push(difference.to_string()),
            }
        }
        for field in lost {
            *report.lost.entry(field).or_default() += 1;
        }
        if undeclared.is_empty() { Ok(()) } else { Err(undeclared.join("; ")) }
    }

    /// A state of `from` as `to` would save it.
    fn converted(
        &self,
        from: &dyn Code,
        to: &dyn Code,
        saved: SavedState,
    ) -> Result<SavedState, ConvertError> {
        let name = &self.behaviour;
        let saved = for_restoring(from, to.description(), name, saved)?;
        let (index, instance) = restore(to, name, &saved)?;
        let form = to.description().behaviours[index as usize].state.clone();
        let failed = |source| ConvertError::Code { behaviour: name.clone(), source };
        let bytes = instance.save(form.version()).map_err(failed)?;
        Ok(SavedState { form, bytes })
    }
}

impl RoundTrip {
    /// Whether there was a state at least, and nothing of any was lost but what is declared.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.states > 0 && self.violation.is_none()
    }
}

impl fmt::Display for RoundTrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} states went to the new version and back", self.states)?;
        for (field, states) in &self.lost {
            writeln!(f, "  `{field}`, as declared, was lost of {states}")?;
        }
        if let Some(Violation { state, why }) = &self.violation {
            writeln!(f, "  FAILS: {why}\n  at {state}")?;
        } else if self.states == 0 {
            writeln!(f, "  FAILS: nothing was tried")?;
        }
        Ok(())
    }
}
