//! What is predicted of two schemas is what decoding does: for schemas that no one wrote.
//!
//! A writer's schema is drawn at random and a reader's made from it by a few edits. A reader that
//! behaves as derived code does then reads every value twice: from the bytes by the writer's schema,
//! and from JSON, where serde's own rules are at home. Both must agree with the prediction.

mod chance;
mod edit;
mod model;
mod reading;
mod value;
mod vary;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::decode::follow;
use crate::failure::Failure;
use crate::{MismatchReason, Resolution, Risk, SchemaTree, Type, TypeInfo, resolve};
use chance::Chance;
use edit::edited;
use model::{Model, model};
use reading::Reading;
use serde::de::DeserializeSeed;
use value::{Value, covering, random};
use vary::variations;

#[derive(Debug, Default)]
struct Tally(BTreeMap<&'static str, usize>);

fn info(model: &Model) -> TypeInfo {
    TypeInfo::parse("p.Msg", 1, &model.tree().to_string()).unwrap()
}

fn from_bytes(theirs: &SchemaTree, ours: &SchemaTree, value: &Value) -> Result<Value, Failure> {
    let mut bytes = Vec::new();
    value.write(theirs, &theirs.root, &mut bytes);
    follow(theirs, &bytes, Reading { tree: ours, ty: &ours.root })
}

fn from_json(theirs: &SchemaTree, ours: &SchemaTree, value: &Value) -> Option<Value> {
    let json = value.json(theirs, &theirs.root).to_string();
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    let value = Reading { tree: ours, ty: &ours.root }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

/// Checks one pair, and says which class it was.
fn check(theirs: &Model, ours: &Model, seed: u64) -> Result<&'static str, TestCaseError> {
    let (their_info, our_info) = (info(theirs), info(ours));
    let (writer, reader) = (their_info.tree(), our_info.tree());
    let mut chance = Chance(seed);
    let mut values = covering(writer, &writer.root);
    values.extend((0..12).map(|_| random(writer, &writer.root, &mut chance)));

    let resolution = resolve(&their_info, &our_info);
    let risks = match &resolution {
        Resolution::Same => &[][..],
        Resolution::Structural(plan) | Resolution::Chain(plan) => plan.risks(),
        Resolution::Incompatible(mismatch) => {
            // A set cannot be told from a list when bytes are read; the prediction is the stricter.
            let stricter =
                mismatch.why == MismatchReason::Kind && mismatch.ours.starts_with("set<");
            let failures = failures(writer, reader);
            // Of a missing field, serde tells the struct; of variants, which it was.
            let variants = mismatch.why == MismatchReason::Variants;
            let found = failures.iter().any(|path| {
                mismatch.field_path.starts_with(path.as_str())
                    || variants && path.starts_with(&mismatch.field_path)
            });
            prop_assert!(found || stricter, "{mismatch}: {failures:?}\n{writer}\n{reader}");
            return Ok("never");
        }
    };
    each_comes_true(writer, reader, risks)?;
    for value in &values {
        let read = from_bytes(writer, reader, value);
        let judge = from_json(writer, reader, value);
        match read {
            Ok(read) => prop_assert_eq!(Some(read), judge, "{}\n{}", writer, reader),
            Err(failure) => {
                let text = failure.to_string();
                let path = failure.path();
                let known = risks.iter().any(|risk| risk.path == path);
                prop_assert!(known, "{path}: {text}, {risks:?}\n{writer}\n{reader}");
                // JSON writes a variant with a value without parts as it writes one without fields.
                let untold = text.ends_with("ours is a variant without fields");
                prop_assert!(untold || judge.is_none(), "{text}: {judge:?}\n{writer}\n{reader}");
            }
        }
    }
    Ok(match resolution {
        Resolution::Same => "same",
        Resolution::Structural(plan) if plan.is_verbatim() => {
            for value in &values {
                let mut bytes = Vec::new();
                value.write(writer, &writer.root, &mut bytes);
                let as_ours = follow(reader, &bytes, Reading { tree: reader, ty: &reader.root });
                let judge = from_json(writer, reader, value);
                prop_assert_eq!(as_ours.ok(), judge, "verbatim\n{}\n{}", writer, reader);
            }
            "verbatim"
        }
        _ if risks.is_empty() => "always",
        _ => "may fail",
    })
}

/// Checks that each predicted condition can be met.
fn each_comes_true(
    writer: &SchemaTree,
    reader: &SchemaTree,
    risks: &[Risk],
) -> Result<(), TestCaseError> {
    if risks.is_empty() {
        return Ok(());
    }
    let failures = failures(writer, reader);
    // What a type's own check refuses need not be among the samples.
    let real = |risk: &&Risk| failures.contains(&risk.path) || risk.condition.contains("refuses");
    let idle: Vec<_> = risks.iter().filter(|risk| !real(risk)).collect();
    prop_assert!(idle.is_empty(), "never met: {idle:?}\n{writer}\n{reader}");
    Ok(())
}

/// Where reading can fail. From values that can be read, one part at a time is changed until it does;
/// a value that cannot be read is changed until it can.
fn failures(writer: &SchemaTree, reader: &SchemaTree) -> BTreeSet<String> {
    let at = |value: &Value| from_bytes(writer, reader, value).err().map(|failure| failure.path());
    let mut failures = BTreeSet::new();
    for mut value in covering(writer, &writer.root) {
        let mut met = BTreeSet::new();
        while let Some(path) = at(&value) {
            met.insert(path);
            let varied = variations(writer, &writer.root, &value).into_iter();
            let varied: Vec<_> = varied.map(|value| (at(&value), value)).collect();
            failures.extend(varied.iter().filter_map(|(path, _)| path.clone()));
            let next = varied.into_iter().min_by_key(|(path, _)| match path {
                None => 0,
                Some(path) if !met.contains(path) => 1,
                Some(_) => 2,
            });
            match next {
                Some((path, next)) if path.as_ref().is_none_or(|path| !met.contains(path)) => {
                    value = next;
                }
                _ => break,
            }
        }
        failures.extend(met);
        failures.extend(variations(writer, &writer.root, &value).iter().filter_map(at));
    }
    failures
}

/// How many pairs are drawn: `MIDFLIGHT_SCHEMA_PAIRS`, or as many as a minute is enough for.
fn pairs() -> u32 {
    std::env::var("MIDFLIGHT_SCHEMA_PAIRS").map_or(20_000, |pairs| pairs.parse().unwrap())
}

#[test]
fn prediction_and_decoding_agree() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: pairs(),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let tally = std::cell::RefCell::new(Tally::default());
    let cases = (model(), 1_u32..4, any::<u64>());
    runner
        .run(&cases, |(theirs, edits, seed)| {
            let mut chance = Chance(seed);
            let mut ours = theirs.clone();
            for _ in 0..edits {
                edited(&mut ours, &mut chance);
            }
            let class = check(&theirs, &ours, seed)?;
            *tally.borrow_mut().0.entry(class).or_default() += 1;
            Ok(())
        })
        .unwrap();
    // Every class must have been met often enough to mean something.
    let tally = tally.into_inner();
    println!("{tally:?}");
    for class in ["always", "may fail", "never", "verbatim"] {
        let share = tally.0.get(class).copied().unwrap_or_default() * 40;
        assert!(share >= pairs() as usize, "{tally:?}");
    }
}

#[test]
fn canonical_text_is_a_tree_and_back() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(model in model())| {
        let tree = model.tree();
        prop_assert_eq!(SchemaTree::parse(&tree.to_string()).unwrap(), tree);
    });
}

/// What a named type is made of; the tests' trees have no other wrappers.
fn body_of<'a>(tree: &'a SchemaTree, ty: &Type) -> Option<&'a crate::Body<Type>> {
    match ty {
        Type::Named(number) => Some(&tree.definitions()[*number].body),
        _ => None,
    }
}
