//! `midflight history`: what was current on a node, and since when.

use std::time::Duration;

use midflight_dsu::protocol::{ChangeStatus, Changes, HistoryRequest};
use midflight_runtime::Handle;
use serde_json::{Value, json};

use crate::args::Reach;
use crate::error::Error;
use crate::{control, output};

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle's name [default: all]
    name: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let now = runtime.unix_time();
    let of = args.name.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default();
    let request = HistoryRequest { name: args.name };
    let changes: Changes = control::ask(&runtime, &args.reach, request).await?;
    output::either(args.json, &as_json(&changes), || for_people(&changes, &of, now))
}

fn as_json(changes: &Changes) -> Value {
    let listed = changes.changes.iter().map(|change| {
        json!({
            "name": change.name, "version": change.version, "address": change.address,
            "unix_millis": change.unix_millis, "cause": change.cause, "why": change.why,
        })
    });
    json!({ "node": changes.node, "changes": listed.collect::<Vec<_>>() })
}

fn for_people(changes: &Changes, of: &str, now: Duration) -> String {
    if changes.changes.is_empty() {
        return format!("nothing{of} has been current on {} since it was started\n", changes.node);
    }
    let mut rows =
        vec![["BUNDLE", "VERSION", "ADDRESS", "SINCE", "BY"].map(str::to_owned).to_vec()];
    rows.extend(changes.changes.iter().map(|change| row(change, now)));
    output::table(&rows)
}

fn row(change: &ChangeStatus, now: Duration) -> Vec<String> {
    let version = change.version.map_or_else(|| "none".into(), |version| format!("v{version}"));
    let address = change.address.as_deref().map_or("-", output::short);
    let since = format!("{} ago", output::since(change.unix_millis, now));
    let by = match &change.why {
        Some(why) if change.cause == "taken back" => format!("{}: {why}", change.cause),
        Some(why) => format!("{} by itself: {why}", change.cause),
        None => change.cause.clone(),
    };
    vec![change.name.clone(), version, address.to_owned(), since, by]
}
