//! Whether a pair does what is predicted of it.

use std::collections::BTreeSet;

use midflight_message::{Certainty, Mismatch, MismatchReason, Resolution};

use crate::chance::Chance;
use crate::pair::{Outcome, Pair};
use crate::value::{Value, covering, random};
use crate::vary::variations;

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "as the crate for messages has them")]
pub enum Class {
    Same,
    Structural(Sure),
    Chain(Sure),
    Incompatible,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "as the crate for messages has them")]
pub enum Sure {
    Always,
    MayFail,
}

/// Checks a pair, and says what it was.
///
/// # Errors
///
/// What is wrong.
pub fn check(pair: &Pair) -> Result<Class, String> {
    let values = values(pair);
    let mut written = 0;
    let mut failures = BTreeSet::new();
    let mut refused_by_json = false;
    for value in &values {
        let tree = pair.theirs.tree();
        let said = value.json(tree, tree.root());
        let Some((bytes, json)) = (pair.write)(&said) else { continue };
        written += 1;
        exact(pair, value, &said, &bytes, &json)?;
        match (pair.read)(&bytes, &pair.resolution, json.clone()) {
            Outcome::Same => {}
            Outcome::Differ(how) => return Err(format!("{json} is read as {how}")),
            Outcome::Refused(error, judge) => {
                refused_by_json |= judge.is_none();
                let incompatible = matches!(pair.resolution, Resolution::Incompatible(_));
                if !incompatible && judge.is_some() {
                    return Err(format!("{error}, but JSON has {json} as {judge:?}"));
                }
                failures.insert(error.field_path);
            }
        }
    }
    if written == 0 {
        return Err("no value could be written".to_owned());
    }
    let plan = match &pair.resolution {
        Resolution::Same if failures.is_empty() => return Ok(Class::Same),
        Resolution::Same => return Err(format!("the same, and fails at {failures:?}")),
        Resolution::Incompatible(mismatch) if refused_by_json || stricter(mismatch) => {
            return Ok(Class::Incompatible);
        }
        Resolution::Incompatible(mismatch) => return Err(format!("JSON reads all: {mismatch}")),
        Resolution::Structural(plan) | Resolution::Chain(plan) => plan,
    };
    let predicted: BTreeSet<_> = plan.risks().iter().map(|risk| risk.path.clone()).collect();
    if let Some(path) = failures.difference(&predicted).next() {
        return Err(format!("fails at `{path}`, not only at {predicted:?}"));
    }
    // What a type's own check refuses need not be among the values, and may hide what is behind it.
    let sure = plan.risks().iter().all(|risk| !risk.condition.contains("refuses"));
    if sure && !predicted.is_empty() && failures.is_empty() {
        return Err(format!("never fails, at none of {predicted:?}"));
    }
    let sure = match plan.certainty() {
        Certainty::Always => Sure::Always,
        _ => Sure::MayFail,
    };
    Ok(match &pair.resolution {
        Resolution::Chain(_) => Class::Chain(sure),
        _ => Class::Structural(sure),
    })
}

fn values(pair: &Pair) -> Vec<Value> {
    let tree = pair.theirs.tree();
    let mut values = covering(tree, tree.root());
    let varied = values.iter().flat_map(|value| variations(tree, tree.root(), value));
    let varied: Vec<_> = varied.take(400).collect();
    values.extend(varied);
    let mut chance = Chance(7);
    values.extend((0..20).map(|_| random(tree, tree.root(), &mut chance)));
    values
}

/// The bytes are those that the schema says. Sets and maps are written in their own order.
fn exact(
    pair: &Pair,
    value: &Value,
    said: &serde_json::Value,
    bytes: &[u8],
    json: &serde_json::Value,
) -> Result<(), String> {
    let schema = pair.theirs.schema();
    if said != json && !schema.contains("set<") {
        return Err(format!("{said} is written as {json}"));
    }
    if schema.contains("set<") || schema.contains("map<") {
        return Ok(());
    }
    let mut expected = Vec::new();
    value.write(pair.theirs.tree(), pair.theirs.tree().root(), &mut expected);
    if expected == bytes {
        Ok(())
    } else {
        Err(format!("{json} is {bytes:?}, and by the schema {expected:?}"))
    }
}

/// Where serde would take what loses something, or what is another thing.
fn stricter(mismatch: &Mismatch) -> bool {
    let Mismatch { theirs, ours, why, field_path, .. } = mismatch;
    let integer = |name: &str| name.len() < 5 && name.starts_with(['i', 'u']);
    match why {
        MismatchReason::Name | MismatchReason::Version => true,
        MismatchReason::Kind => {
            ours.starts_with("set<")
                || integer(theirs) && ours.starts_with('f')
                || theirs == "f64" && ours == "f32"
                || theirs == "char" && ours == "string"
                // JSON's keys are all texts.
                || field_path.ends_with("{key}")
        }
        _ => false,
    }
}
