//! `midflight status`: how a node is.

use midflight_dsu::protocol::{
    CatchingUp, HolderStatus, Status, StatusRequest, VersionDifference, VersionStatus,
};
use midflight_runtime::Handle;
use serde_json::json;

use crate::args::Reach;
use crate::error::Error;
use crate::{control, output};

/// Flags of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    reach: Reach,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let status: Status = control::ask(&runtime, &args.reach, StatusRequest).await?;
    output::either(args.json, &as_json(&status), || for_people(&status))
}

fn as_json(status: &Status) -> serde_json::Value {
    let members = status.members.iter();
    let members: Vec<_> =
        members.map(|(name, address)| json!({ "name": name, "address": address })).collect();
    let versions: Vec<_> = status
        .versions
        .iter()
        .map(|version| {
            json!({
                "name": version.name, "version": version.version, "address": version.address,
                "current": version.current, "processes": version.processes,
                "returns": version.returns, "failures": version.failures,
                "on_probation": version.on_probation, "fault": version.fault, "mapped": version.mapped, "state": version.state,
                "held": version.held, "stays": version.stays,
                "holders": version.holders.iter().map(|holder| json!({
                    "pid": holder.pid.map(|pid| pid.to_string()), "cause": holder.cause,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let refused: Vec<_> = status
        .refused
        .iter()
        .map(|(name, version, count)| json!({ "type": name, "version": version, "count": count }))
        .collect();
    let differences = status.differences.iter();
    let differences: Vec<_> = differences
        .map(|it| json!({ "bundle": it.bundle, "node": it.node, "here": it.here, "there": it.there }))
        .collect();
    json!({
        "node": status.node, "id": status.id, "address": status.address,
        "processes": status.processes, "peers": status.peers, "members": members,
        "versions": versions, "refused": refused, "differences": differences,
        "catching_up": status.catching_up.iter().map(|it| json!({
            "bundle": it.bundle, "version": it.version, "number": it.number, "from": it.from, "why": it.why,
        })).collect::<Vec<_>>(),
        "committed": status.committed.iter().map(|(bundle, version, number)| json!({
            "bundle": bundle, "version": version, "number": number,
        })).collect::<Vec<_>>(),
        "not_kept": status.not_kept, "held_up": status.held_up,
    })
}

fn for_people(status: &Status) -> String {
    let address = status.address.as_deref().unwrap_or("only dials");
    let mut text = format!(
        "{} · {address} · {} processes\nlinked to: {}\n",
        status.node,
        status.processes,
        if status.peers.is_empty() { "nobody".to_owned() } else { status.peers.join(", ") },
    );
    if status.versions.is_empty() {
        text.push_str("no bundles\n");
    } else {
        let head =
            ["BUNDLE", "VERSION", "PROCESSES", "STATE", "ADDRESS"].map(str::to_owned).to_vec();
        let rows = status.versions.iter().map(|version| {
            vec![
                version.name.clone(),
                format!("v{}", version.version),
                version.processes.to_string(),
                version.state.clone(),
                output::short(&version.address).to_owned(),
            ]
        });
        text.push_str(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    }
    for version in &status.versions {
        text.push_str(&what_stays(version));
    }
    for version in status.versions.iter().filter(|version| version.returns > 0) {
        let VersionStatus { name, version, returns, .. } = version;
        text.push_str(&format!(
            "warning: {name} v{version} has failed on probation: {returns} processes went back\n"
        ));
    }
    for version in &status.versions {
        if let Some(fault) = &version.fault {
            let VersionStatus { name, version, .. } = version;
            text.push_str(&format!("warning: {name} v{version} goes back by itself: {fault}\n"));
        }
    }
    for CatchingUp { bundle, version, from, why, .. } in &status.catching_up {
        let why = why.as_ref().map_or_else(String::new, |why| format!("; not yet: {why}"));
        text.push_str(&format!(
            "catching up: {bundle} is to be v{version}, which comes from {from}{why}\n"
        ));
    }
    if let Some(why) = &status.not_kept {
        text.push_str(&format!("warning: what is committed is not kept on disk: {why}\n"));
    }
    for who in &status.held_up {
        text.push_str(&format!("waiting: {who}\n"));
    }
    for VersionDifference { bundle, node, here, there } in &status.differences {
        let run = |version: &Option<u32>| version.map_or("none".to_owned(), |v| format!("v{v}"));
        let (here, there) = (run(here), run(there));
        text.push_str(&format!("warning: {bundle} is {here} here, and {there} on {node}\n"));
    }
    for (name, version, count) in &status.refused {
        text.push_str(&format!("refused: {name} version {version}, {count} times\n"));
    }
    text
}

/// What keeps a version that is to be retired, and why a retired one is still in memory.
fn what_stays(version: &VersionStatus) -> String {
    let VersionStatus { name, version: number, state, holders, held, mapped, stays, .. } = version;
    match (&**state, mapped, stays) {
        ("retiring", ..) => {
            let listed: Vec<_> = holders.iter().map(of_holder).collect();
            let more = held.saturating_sub(listed.len() as u64);
            let more = if more == 0 { String::new() } else { format!(", and {more} more") };
            format!(
                "{name} v{number} is retired when these are over: {}{more}\n",
                listed.join(", ")
            )
        }
        ("retired", true, Some(why)) => format!("{name} v{number} stays in memory: {why}\n"),
        _ => String::new(),
    }
}

fn of_holder(holder: &HolderStatus) -> String {
    let cause = &holder.cause;
    holder.pid.map_or_else(|| cause.clone(), |pid| format!("{pid} ({cause})"))
}
