//! `midflight push`: a bundle goes to one node; the nodes bring it to each other.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::Deploy;
use midflight_runtime::Handle;
use serde_json::json;

use crate::course::CourseFlags;
use crate::deployment::{DEPLOYED_WITHIN, Flags, step_line};
use crate::error::Error;
use crate::output::{note, short};
use crate::upload::{self, BundleFile};
use crate::{control, deployment};

/// Flags of `push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle, as `midflight build` makes it
    file: PathBuf,
    /// What becomes of the processes that run other versions of the bundle: migrate switches all of them; keep
    /// leaves each where it is until another push says otherwise; drain does so, and lets a version go when its
    /// last process has ended; erlang leaves those of the version before, and kills those of earlier ones
    #[arg(long, default_value_t, value_parser = policies())]
    policy: Policy,
    #[command(flatten)]
    flags: Flags,
}

fn policies() -> impl TypedValueParser<Value = Policy> {
    let named = PossibleValuesParser::new(Policy::ALL.map(Policy::name));
    named.try_map(|name| name.parse::<Policy>())
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    run_in(runtime, args, &CourseFlags::default()).await
}

/// The same, in waves.
pub(crate) async fn run_in(runtime: Handle, args: Args, course: &CourseFlags) -> Result<(), Error> {
    let file = BundleFile::read(&runtime, &args.file, true).await?;
    let control = control::reach(&runtime, &args.flags.reach).await?;
    let pushed = push(&control, &file, &args, course).await;
    control.through.shutdown().await;
    pushed
}

async fn push(
    control: &control::Control,
    file: &BundleFile,
    args: &Args,
    flags: &CourseFlags,
) -> Result<(), Error> {
    let address = file.address();
    let sent = upload::send(control, file).await?;
    let (title, node) = (file.title(), &control.node);
    note(&format!("{title} · {} · {sent} bytes sent to {node}", short(&address)));
    let manifest = file.bundle.manifest();
    let about = json!({
        "name": manifest.name, "version": manifest.version, "address": address, "bytes_sent": sent,
        "policy": args.policy.name(),
    });
    let (policy, course) = (args.policy, flags.course());
    let request = move |watcher| Deploy { address, watcher, policy, course };
    let within = DEPLOYED_WITHIN + flags.longer();
    let deployed = deployment::deploy_within(control, request, args.flags.wait, within, |step| {
        note(&step_line(step));
    });
    deployment::report(deployed.await?, &title, about, args.flags.json)
}
