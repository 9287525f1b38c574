//! The demo's bundles, built before your eyes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use midflight_dsu::builder::BuildOptions;
use midflight_dsu::signature::PublicKey;
use midflight_runtime::Handle;

use super::view::View;
use crate::build;
use crate::error::Error;
use crate::output::short;
use crate::upload::BundleFile;

/// The crates, in the order of their versions.
const CRATES: [&str; 3] = ["counter-v1", "counter-v2", "counter-v3-incompatible"];

/// The three bundles.
#[derive(Debug)]
pub(crate) struct Bundles {
    pub(crate) v1: BundleFile,
    pub(crate) v2: BundleFile,
    pub(crate) v3: BundleFile,
    pub(crate) signed_by: PublicKey,
}

impl Bundles {
    /// Builds them as `midflight build` does, with the same data folder; the files go to `to`.
    pub(crate) async fn build(
        runtime: &Handle,
        data: &Path,
        to: &Path,
        view: &View,
    ) -> Result<Self, Error> {
        let sources = sources()?;
        let mut built = Vec::new();
        for name in CRATES {
            let mut options = BuildOptions::new(sources.join(name), data, build::prober()?);
            options.output = Some(to.join(format!("{name}.mfb")));
            let (bundle, took) = build::timed(runtime, &options).await?;
            let file = BundleFile::read(runtime, &bundle.path, false).await?;
            view.say(&line(name, &file, took));
            built.push((file, bundle.signed_by));
        }
        let mut built = built.into_iter();
        match (built.next(), built.next(), built.next()) {
            (Some((v1, signed_by)), Some((v2, _)), Some((v3, _))) => {
                Ok(Self { v1, v2, v3, signed_by })
            }
            _ => Err(Error::Wrong("not all bundles were built".into())),
        }
    }
}

fn line(name: &str, file: &BundleFile, took: Duration) -> String {
    format!(
        "{name:24} → {}  {:5.1} s  {:4} KiB  {}…",
        file.title(),
        took.as_secs_f64(),
        file.bytes.len().div_ceil(1024),
        short(&file.address()),
    )
}

/// The folder with the counters' sources.
fn sources() -> Result<PathBuf, Error> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    [beside, PathBuf::from("examples")]
        .into_iter()
        .find(|folder| folder.join(CRATES[0]).join("Cargo.toml").is_file())
        .ok_or_else(|| {
            Error::Environment(
                "the sources of the counters are not found: run the demo in a checkout of \
                 Midflight, where ./examples is"
                    .into(),
            )
        })
}
