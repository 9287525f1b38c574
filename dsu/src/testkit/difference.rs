//! What two versions do differently, and which of it is meant to be.

use std::fmt;
use std::sync::Arc;

use midflight_message::TypeInfo;

use super::fields::{Fields, fields, is_in};
use super::output::{Handled, Output};

/// The most differences that are told of one comparison.
const DIFFERENCES_MAX: usize = 16;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: `state`, or the output as [`Output::what`] says it, or `handling` where one version handles a message
    /// and the other does not.
    pub place: String,
    /// The field's path, such as `lines[2].price`; empty for the whole.
    pub field: String,
    /// What should be there; `None`: nothing.
    pub expected: Option<String>,
    /// What is there; `None`: nothing.
    pub found: Option<String>,
}

impl Difference {
    /// The place of differences in the state.
    pub const STATE: &str = "state";
    /// The place of a message that one version handles and the other does not.
    pub const HANDLING: &str = "handling";

    /// Whether it is in a field of the state. In `field` an index or a key may be left out: `lines[].price`.
    #[must_use]
    pub fn is_in_state(&self, field: &str) -> bool {
        self.place == Self::STATE && is_in(&self.field, field)
    }

    fn new(place: &str, field: &str, expected: Option<&String>, found: Option<&String>) -> Self {
        let (place, field) = (place.to_owned(), field.to_owned());
        Self { place, field, expected: expected.cloned(), found: found.cloned() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if !self.field.is_empty() {
            write!(f, ": `{}`", self.field)?;
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
        write!(f, " is {}, and should be {}", text(&self.found), text(&self.expected))
    }
}

/// Which differences are meant to be.
#[derive(Clone, Default)]
pub(super) struct Allowed(Vec<Rule>);

type Rule = Arc<dyn Fn(&Difference) -> bool + Send + Sync>;

impl Allowed {
    pub(super) fn add(&mut self, rule: impl Fn(&Difference) -> bool + Send + Sync + 'static) {
        self.0.push(Arc::new(rule));
    }

    fn allows(&self, difference: &Difference) -> bool {
        self.0.iter().any(|rule| rule(difference))
    }
}

impl fmt::Debug for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules", self.0.len())
    }
}

/// A value with its form.
pub(super) type Value<'a> = (&'a TypeInfo, &'a [u8]);

/// What differs between two values in forms that need not be the same, field by field.
///
/// # Errors
/// Why the bytes of one are not of its form.
pub(super) fn of_values(
    place: &str,
    expected: Value<'_>,
    found: Value<'_>,
) -> Result<Vec<Difference>, String> {
    if expected == found {
        return Ok(Vec::new());
    }
    let (expected, found) = (fields(expected.0, expected.1)?, fields(found.0, found.1)?);
    Ok(of_fields(place, &expected, &found))
}

fn of_fields(place: &str, expected: &Fields, found: &Fields) -> Vec<Difference> {
    let changed = expected.iter().filter_map(|(path, text)| {
        let other = found.get(path);
        (other != Some(text)).then(|| Difference::new(place, path, Some(text), other))
    });
    let added = found.iter().filter(|(path, _)| !expected.contains_key(*path));
    changed
        .chain(added.map(|(path, text)| Difference::new(place, path, None, Some(text))))
        .collect()
}

/// What differs in the way a message was handled.
///
/// # Errors
/// Why an output is not of its form.
pub(super) fn of_handling(expected: &Handled, found: &Handled) -> Result<Vec<Difference>, String> {
    let (Handled::Well(expected), Handled::Well(found)) = (expected, found) else {
        let same = expected.kind() == found.kind();
        let (expected, found) = (expected.to_string(), found.to_string());
        let both = Difference::new(Difference::HANDLING, "", Some(&expected), Some(&found));
        return Ok(if same { Vec::new() } else { vec![both] });
    };
    let mut differences = Vec::new();
    for number in 0..expected.len().max(found.len()) {
        of_outputs(expected.get(number), found.get(number), &mut differences)?;
    }
    Ok(differences)
}

fn of_outputs(
    expected: Option<&Output>,
    found: Option<&Output>,
    differences: &mut Vec<Difference>,
) -> Result<(), String> {
    if let (Some(expected), Some(found)) = (expected, found)
        && expected.what == found.what
        && let (Some((one, bytes)), Some((other, others))) = (&expected.carries, &found.carries)
    {
        let fields = of_values(&expected.what, (one, bytes), (other, others))?;
        differences.extend(fields);
        return Ok(());
    }
    let what = |output: Option<&Output>| output.map(|output| output.what.clone());
    let (expected, found) = (what(expected), what(found));
    if expected != found {
        let place = expected.as_ref().or(found.as_ref()).cloned().unwrap_or_default();
        differences.push(Difference::new(&place, "", expected.as_ref(), found.as_ref()));
    }
    Ok(())
}

/// Those that are not allowed, the first sixteen.
pub(super) fn unallowed(differences: Vec<Difference>, allowed: &Allowed) -> Vec<Difference> {
    let left = differences.into_iter().filter(|difference| !allowed.allows(difference));
    left.take(DIFFERENCES_MAX).collect()
}
