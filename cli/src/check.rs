//! `midflight check`: whether one bundle may take the place of another, and whether there is a way back,
//! without running any of either. Nodes ask the same before they stage a bundle.

use std::path::PathBuf;

use midflight_dsu::compare::{Comparison, Outcome, Part, PartKind, compare};
use midflight_runtime::Handle;
use serde_json::{Value, json};

use crate::error::Error;
use crate::output;
use crate::upload::BundleFile;

/// Flags of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle that runs
    old: PathBuf,
    /// The bundle that is to take its place
    new: PathBuf,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: &Handle, args: Args) -> Result<(), Error> {
    let old = BundleFile::read(runtime, &args.old, false).await?;
    let new = BundleFile::read(runtime, &args.new, false).await?;
    let name = |file: &BundleFile| file.bundle.manifest().name.clone();
    if name(&old) != name(&new) {
        return Err(Error::Wrong(format!(
            "{} and {} are not versions of the same bundle: a bundle's name is that of its first behaviour",
            old.title(),
            new.title()
        )));
    }
    let description = |file: &BundleFile| file.bundle.manifest().description();
    let forward = compare(&description(&old), &description(&new));
    let back = compare(&description(&new), &description(&old));
    let value = json!({
        "old": title(&old), "new": title(&new),
        "update": as_json(&forward), "way_back": as_json(&back),
    });
    output::either(args.json, &value, || for_people(&old, &new, &forward, &back))?;
    match forward.conflicts().count() {
        0 => Ok(()),
        count => Err(Error::Wrong(format!(
            "{} cannot take the place of {}: {count} incompatible part{}",
            new.title(),
            old.title(),
            if count == 1 { "" } else { "s" }
        ))),
    }
}

fn title(file: &BundleFile) -> Value {
    let manifest = file.bundle.manifest();
    json!({ "name": manifest.name, "version": manifest.version, "address": file.address() })
}

fn as_json(comparison: &Comparison) -> Value {
    let parts = comparison.parts.iter().map(|part| {
        let (reason, field) = match (&part.outcome, &part.risk) {
            (Outcome::Incompatible(conflict), _) => (
                Some(conflict.to_string()),
                conflict.type_and_field().map(|(_, field)| field.to_owned()),
            ),
            (_, Some(risk)) => (Some(risk.condition.clone()), Some(risk.path.clone())),
            (_, None) => (None, None),
        };
        json!({
            "behaviour": part.behaviour, "kind": kind(part.kind), "name": part.name,
            "old": part.old, "new": part.new, "outcome": outcome(&part.outcome),
            "may_fail": part.risk.is_some(), "reason": reason, "field": field,
        })
    });
    json!({
        "compatible": comparison.conflicts().next().is_none(),
        "parts": parts.collect::<Vec<_>>(),
    })
}

const fn kind(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Behaviour => "behaviour",
        PartKind::Message => "message",
        PartKind::Reply => "reply",
        PartKind::State => "state",
    }
}

const fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Same => "same",
        Outcome::Structural => "structural",
        Outcome::Conversion => "conversion",
        Outcome::Added => "added",
        Outcome::Removed => "removed",
        Outcome::Incompatible(_) => "incompatible",
    }
}

fn for_people(
    old: &BundleFile,
    new: &BundleFile,
    forward: &Comparison,
    back: &Comparison,
) -> String {
    let mut text = format!("{} -> {}\n{}", old.title(), new.title(), table(forward));
    match back.conflicts().count() {
        0 => text.push_str("\nThere is a way back.\n"),
        _ => {
            text.push_str("\nThere is no way back:\n");
            for conflict in back.conflicts() {
                text.push_str(&format!("  {conflict}\n"));
            }
        }
    }
    text
}

fn table(comparison: &Comparison) -> String {
    let head = ["BEHAVIOUR", "PART", "TYPE", "OLD", "NEW", "OUTCOME"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(comparison.parts.iter().map(row));
    output::table(&rows)
}

fn row(part: &Part) -> Vec<String> {
    let version = |version: Option<u32>| version.map_or_else(|| "-".into(), |v| v.to_string());
    let outcome = match &part.outcome {
        Outcome::Incompatible(conflict) => format!("INCOMPATIBLE: {conflict}"),
        Outcome::Removed if part.kind == PartKind::Message => {
            "removed: refused from then on".into()
        }
        other => match &part.risk {
            Some(risk) => format!("{}, but not where {risk}", outcome(other)),
            None => outcome(other).into(),
        },
    };
    let (name, kind) = (part.name.clone(), kind(part.kind).into());
    vec![part.behaviour.clone(), kind, name, version(part.old), version(part.new), outcome]
}
