//! `midflight watch`: a crate that is built and switched to, in a running cluster, whenever it is saved.
//!
//! Versions need not be raised while only code changes: a build is known by its content address. What is running
//! changes only when a build has gone through everything; the compiler's words, or a node's no, are shown instead.

mod cycle;
mod failure;
mod saves;

use std::path::PathBuf;

use midflight_dsu::builder::{BuildOptions, Profile, Workshop};
use midflight_runtime::Handle;
use serde_json::{Value, json};

use crate::args::Reach;
use crate::build::prober;
use crate::error::Error;
use crate::signals::StopSignals;
use crate::{output, user_data};
use cycle::Cycle;
use saves::Saves;

/// Flags of `watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the crate
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    reach: Reach,
    /// The folder for keys and compiled parts [default: the user's data folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_DATA")]
    data: Option<PathBuf>,
    /// Prints a line of JSON for each thing that happens
    #[arg(long)]
    json: bool,
}

/// Goes on until it is asked to stop.
pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let mut signals = StopSignals::listen()?;
    let mut options = BuildOptions::new(args.folder, user_data::folder(args.data)?, prober()?);
    options.profile = Profile::Dev;
    let mut workshop = Workshop::open(&runtime, options).await?;
    let mut saves = Saves::watch(workshop.folders())?;
    let mut cycle = Cycle::new(runtime.clone(), args.reach, Tell { json: args.json }).await?;
    loop {
        let work = async {
            cycle.run(&mut workshop, &mut saves).await?;
            saves.next(&runtime).await;
            Ok::<_, Error>(())
        };
        tokio::select! {
            done = work => done?,
            // What was under way is dropped: the compiler ends with it, a deployment goes on by itself.
            _signal = signals.asked_to_stop() => break,
        }
    }
    cycle.end().await;
    Ok(())
}

/// Where news goes: to people on standard error, to tools on standard output.
#[derive(Debug, Clone, Copy)]
struct Tell {
    json: bool,
}

impl Tell {
    fn event(self, name: &str, line: &str, mut about: Value) -> Result<(), Error> {
        output::note(line);
        if !self.json {
            return Ok(());
        }
        if let Some(about) = about.as_object_mut() {
            about.insert("event".into(), json!(name));
        }
        output::text(&format!("{about}\n"))
    }
}
