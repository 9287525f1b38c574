//! `midflight push`: a bundle goes to one node; the nodes bring it to each other.

use std::path::PathBuf;

use midflight_dsu::protocol::Deploy;
use midflight_runtime::Handle;
use serde_json::json;

use crate::deployment::{Flags, step_line};
use crate::error::Error;
use crate::output::{note, short};
use crate::upload::{self, BundleFile};
use crate::{control, deployment};

/// Flags of `push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle, as `midflight build` makes it
    file: PathBuf,
    #[command(flatten)]
    flags: Flags,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let file = BundleFile::read(&runtime, &args.file, true).await?;
    let control = control::reach(&runtime, &args.flags.reach).await?;
    let pushed = push(&control, &file, &args).await;
    control.through.shutdown().await;
    pushed
}

async fn push(control: &control::Control, file: &BundleFile, args: &Args) -> Result<(), Error> {
    let address = file.address();
    let sent = upload::send(control, file).await?;
    let (title, node) = (file.title(), &control.node);
    note(&format!("{title} · {} · {sent} bytes sent to {node}", short(&address)));
    let manifest = file.bundle.manifest();
    let about = json!({
        "name": manifest.name, "version": manifest.version, "address": address, "bytes_sent": sent,
    });
    let request = |watcher| Deploy { address, watcher };
    let deployed =
        deployment::deploy(control, request, args.flags.wait, |step| note(&step_line(step)));
    deployment::report(deployed.await?, &title, about, args.flags.json)
}
