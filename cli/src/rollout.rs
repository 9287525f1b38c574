//! `midflight rollout`: a rollout as what it is, with its steps and who keeps it waiting.

use midflight_dsu::protocol::{
    Driven, GateStatus, Rollouts, RolloutsRequest, Wanting, Wish, Wished,
};
use midflight_dsu::rollout::ledger::{Name, Party};
use midflight_runtime::Handle;
use serde_json::{Value, json};

use crate::args::Reach;
use crate::course::CourseFlags;
use crate::error::Error;
use crate::{control, output, push};

/// Flags of `rollout`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Brings a bundle to every node, as `push` does; in waves, where it is told to
    Start(Box<Start>),
    /// Shows what is open, at which step and for whom it waits, and how the last ones ended
    Status(Status),
    /// Has a rollout stop before its next wave
    Pause(Named),
    /// Has a paused rollout go on
    Resume(Named),
    /// Has every node go back, where it is not decided yet
    Abort(Named),
}

#[derive(Debug, clap::Args)]
struct Start {
    #[command(flatten)]
    push: push::Args,
    #[command(flatten)]
    course: CourseFlags,
}

#[derive(Debug, clap::Args)]
struct Status {
    /// The bundle's name [default: all]
    name: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The bundle's name
    name: String,
    #[command(flatten)]
    reach: Reach,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    match args.command {
        Command::Start(args) => push::run_in(runtime, args.push, &args.course).await,
        Command::Status(args) => status(runtime, args).await,
        Command::Pause(args) => wish(runtime, args, Wanting::Pause).await,
        Command::Resume(args) => wish(runtime, args, Wanting::Resume).await,
        Command::Abort(args) => wish(runtime, args, Wanting::Abort).await,
    }
}

async fn wish(runtime: Handle, args: Named, wish: Wanting) -> Result<(), Error> {
    let Named { name, reach, json: as_json } = args;
    let request = Wish { bundle: name.clone(), wish, is_written: false, why: None };
    let answer = control::ask(&runtime, &reach, request).await?;
    let done = match wish {
        Wanting::Pause => "is to stop before its next wave",
        Wanting::Resume => "is to go on",
        Wanting::Abort => "is to be aborted",
    };
    match answer {
        Wished::Done if as_json => output::json(&json!({ "name": name, "outcome": "wanted" })),
        Wished::Done => output::text(&format!("the rollout of {name} {done}\n")),
        Wished::NoRollout => Err(Error::Refused(format!(
            "no rollout of `{name}` is open: `midflight rollout status` shows those that are"
        ))),
        Wished::Decided { commit: true } => Err(Error::Refused(format!(
            "the rollout of `{name}` is committed: go back with `midflight rollback {name}`"
        ))),
        Wished::Decided { commit: false } => {
            Err(Error::Refused(format!("the rollout of `{name}` is aborted already")))
        }
        Wished::NotAsked(why) => Err(Error::Wrong(why)),
    }
}

async fn status(runtime: Handle, args: Status) -> Result<(), Error> {
    let request = RolloutsRequest { bundle: args.name };
    let rollouts: Rollouts = control::ask(&runtime, &args.reach, request).await?;
    output::either(args.json, &as_json(&rollouts), || for_people(&rollouts))
}

fn as_json(rollouts: &Rollouts) -> Value {
    let Rollouts { voters, names, driven, waiting } = rollouts;
    let open = names.iter().filter_map(|(bundle, name)| {
        let open = name.open.as_ref()?;
        let verdict = open.verdict.as_ref().map(|it| it.commit);
        Some(json!({
            "name": bundle, "number": open.number, "version": open.plan.version, "epoch": open.epoch,
            "driven_by": open.by.name, "paused": open.paused, "committed": verdict,
            "waves": open.plan.waves.iter().map(|wave| names_of(wave)).collect::<Vec<_>>(),
        }))
    });
    let past = names.iter().flat_map(|(bundle, name)| {
        name.past.iter().map(move |it| {
            json!({
                "name": bundle, "number": it.number, "version": it.version, "address": it.address,
                "committed": it.verdict.commit, "why": it.verdict.why,
            })
        })
    });
    let driven = driven.iter().map(|it| {
        json!({
            "name": it.bundle, "number": it.number, "step": it.step, "millis": it.millis,
            "waits_for": it.waits_for, "blocked": it.blocked,
            "gates": it.gates.iter().map(of_gate).collect::<Vec<_>>(),
        })
    });
    let waiting = waiting.iter().map(|(name, number)| json!({ "name": name, "number": number }));
    json!({
        "voters": voters, "open": open.collect::<Vec<_>>(), "past": past.collect::<Vec<_>>(),
        "driven": driven.collect::<Vec<_>>(), "waiting": waiting.collect::<Vec<_>>(),
    })
}

fn names_of(wave: &[Party]) -> Vec<&str> {
    wave.iter().map(|party| &*party.name).collect()
}

fn of_gate(status: &GateStatus) -> Value {
    let GateStatus { gate, says, new, old, words } = status;
    json!({ "gate": gate, "says": says, "new": new, "old": old, "words": words })
}

fn for_people(rollouts: &Rollouts) -> String {
    let Rollouts { voters, names, driven, waiting } = rollouts;
    let mut text = format!("decided by {}\n", voters.join(", "));
    for (bundle, name) in names {
        text.push_str(&of_name(bundle, name));
    }
    for Driven { bundle, number, step, millis, waits_for, blocked, gates } in driven {
        let waits = if waits_for.is_empty() { "nobody".to_owned() } else { waits_for.join(", ") };
        text.push_str(&format!(
            "{bundle} number {number} is driven here: {step} for {millis} ms, waits for {waits}\n"
        ));
        for GateStatus { says, words, .. } in gates {
            text.push_str(&format!("  {says}: {words}\n"));
        }
        match blocked {
            Some(why) if step.starts_with("held") => text.push_str(&format!(
                "{bundle} number {number} waits for a person: {why}; `midflight rollout resume {bundle}` lets it go on, \
                 `abort` brings it back\n"
            )),
            Some(why) => text
                .push_str(&format!("{bundle} number {number} waits for its decision: {why}\n")),
            None => {}
        }
    }
    for (bundle, number) in waiting {
        text.push_str(&format!(
            "{bundle} number {number}: this node waits to hear how it ends, and stays as it is\n"
        ));
    }
    text
}

fn of_name(bundle: &str, name: &Name) -> String {
    let mut text = String::new();
    if let Some(open) = &name.open {
        let verdict = open.verdict.as_ref().map_or("not decided", |verdict| said(verdict.commit));
        let paused = if open.paused { ", paused" } else { "" };
        text.push_str(&format!(
            "{bundle} v{} number {} is open, driven by {}: {verdict}{paused}\n",
            open.plan.version, open.number, open.by.name
        ));
        if open.plan.waves.len() > 1 {
            let waves = open.plan.waves.iter().map(|wave| names_of(wave).join(" "));
            text.push_str(&format!("  in waves: {}\n", waves.collect::<Vec<_>>().join(" | ")));
        }
    }
    for past in &name.past {
        let (version, number) = (past.version, past.number);
        let verdict = said(past.verdict.commit);
        text.push_str(&format!(
            "{bundle} v{version} number {number}: {verdict}, {}\n",
            past.verdict.why
        ));
    }
    text
}

const fn said(commit: bool) -> &'static str {
    if commit { "committed" } else { "aborted" }
}
