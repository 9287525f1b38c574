//! `midflight build`: from a crate to a bundle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use midflight_dsu::builder::{self, BuildOptions, Built, Profile};
use midflight_dsu::probe::Prober;
use midflight_runtime::Handle;
use serde_json::json;

use crate::error::Error;
use crate::{output, user_data};

/// Flags of `build`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the crate
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Where to put the bundle [default: NAME-VERSION.mfb here]
    #[arg(short, long, value_name = "FILE.mfb")]
    output: Option<PathBuf>,
    /// The target triple to build for
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// How to compile
    #[arg(long, value_enum, default_value_t = ProfileName::Release)]
    profile: ProfileName,
    /// Which release of the bundle it is: a node takes no lower one than it has run [default: its version]
    #[arg(long, value_name = "N")]
    release_number: Option<u64>,
    /// The folder for keys and compiled parts [default: the user's data folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_DATA")]
    data: Option<PathBuf>,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

/// How to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// Optimised, stripped
    Release,
    /// Quickly
    Dev,
    /// As release, optimised as a whole: smaller, slower to build, and nodes can unload it
    Lto,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let data = user_data::folder(args.data)?;
    let mut options = BuildOptions::new(args.folder, &data, prober()?);
    options.output = args.output;
    options.target = args.target;
    options.release = args.release_number;
    options.profile = match args.profile {
        ProfileName::Release => Profile::Release,
        ProfileName::Dev => Profile::Dev,
        ProfileName::Lto => Profile::Lto,
    };
    let (built, took) = timed(&runtime, &options).await?;
    let manifest = built.bundle.manifest();
    let value = json!({
        "file": built.path, "name": manifest.name, "version": manifest.version,
        "release": manifest.release, "address": built.bundle.address().to_string(),
        "size": built.size, "signed_by": built.signed_by.to_string(),
        "targets": manifest.libraries.iter().map(|l| &l.target).collect::<Vec<_>>(),
        "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    });
    output::either(args.json, &value, || for_people(&built, took, &data))
}

/// Builds, and says how long that took.
pub(crate) async fn timed(
    runtime: &Handle,
    options: &BuildOptions,
) -> Result<(Built, Duration), Error> {
    let began = runtime.now();
    let built = builder::build(runtime, options).await?;
    Ok((built, runtime.now().since(began)))
}

/// Libraries are tried in a child process of this very program.
pub(crate) fn prober() -> Result<Prober, Error> {
    Ok(Prober::new(own_program()?, ["probe"]))
}

/// The file of this program.
pub(crate) fn own_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|source| Error::Machine {
        what: "this program's file is not found".into(),
        source,
    })
}

fn for_people(built: &Built, took: Duration, data: &Path) -> String {
    let manifest = built.bundle.manifest();
    let file = built.path.display();
    format!(
        "{file}\n  {} v{} · {} KiB · {:.1} s\n  address    {}\n  signed by  {}\n             \
         (nodes take it when started with --trust {})\n",
        manifest.name,
        manifest.version,
        built.size.div_ceil(1024),
        took.as_secs_f64(),
        built.bundle.address(),
        built.signed_by,
        data.join("keys").join("development.pub").display(),
    )
}
