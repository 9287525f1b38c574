//! Real things for tests: bundles built from crates, and the program that probes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use midflight_dsu::builder::{BuildOptions, Built, build};
use midflight_dsu::probe::Prober;
use midflight_runtime::Handle;

/// The repository's folder.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".."))
}

/// The folder that builds of bundles share, with the tests of other crates too, so that their
/// dependencies are compiled once. It holds the development key too.
#[must_use]
pub fn data() -> PathBuf {
    repository().join("target/tmp/dsu-data")
}

/// A prober with the small program of `midflight-dsu`, which is built when it is not there.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn prober() -> Prober {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "-p", "midflight-dsu", "--bin", "midflight-probe"])
            .current_dir(repository())
            .status();
        assert!(built.is_ok_and(|status| status.success()), "midflight-probe is not built");
        let test = std::env::current_exe().expect("a running program has a path");
        // target/debug/deps/it-… -> target/debug/midflight-probe
        let folder = test.ancestors().nth(2).expect("cargo's layout");
        folder.join("midflight-probe")
    });
    Prober::new(program, [] as [&str; 0])
}

/// Builds a bundle from the crate in a folder of the repository.
///
/// # Panics
/// When it does not build.
pub async fn bundle(runtime: &Handle, folder: &str) -> Built {
    let mut options = BuildOptions::new(repository().join(folder), data(), prober());
    let name = folder.replace('/', "-");
    options.output = Some(data().join(format!("{name}-{:016x}.mfb", runtime.random_u64())));
    match build(runtime, &options).await {
        Ok(built) => built,
        Err(error) => panic!("{folder} does not build: {error}"),
    }
}
