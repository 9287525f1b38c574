//! From a crate to a bundle: what `midflight build` does.
//!
//! The bundle takes its name from the first behaviour that the crate exports, and its version is the
//! highest code version among them; the package's own name and version play no part. The release
//! number is the version unless another is given. Building the same source twice, in the same place
//! and with the same compiler, gives the same content address.

mod cargo;
mod workshop;

use std::path::{Path, PathBuf};

use midflight_abi::table::TARGET;
use midflight_runtime::Handle;

use crate::bundle::{Bundle, BundleError, LIBRARY_BYTES_MAX, LibraryEntry, Manifest};
use crate::check::{CheckError, Facts};
use crate::hash::CodeId;
use crate::keys::KeyFileError;
use crate::probe::{ProbeError, ProbeReport, ProbeRequest, Prober};
use crate::signature::PublicKey;

pub use workshop::Workshop;

/// What to build, and how.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The folder of the crate.
    pub crate_folder: PathBuf,
    /// The data folder: keys, and what is compiled.
    pub data: PathBuf,
    /// Where to put the bundle; `<name>-<version>.mfb` in the current folder when there is none.
    pub output: Option<PathBuf>,
    /// How to compile.
    pub profile: Profile,
    /// For which target; only the machine's own can be built so far, since the library is asked to
    /// describe itself.
    pub target: Option<String>,
    /// The release number; the version when there is none.
    pub release: Option<u64>,
    /// Signs with the key in this file instead of the development key.
    pub key: Option<PathBuf>,
    /// Runs the library to have it describe itself.
    pub prober: Prober,
    /// The cargo to use; that of the variable `CARGO`, else of the path, when there is none.
    pub cargo: Option<PathBuf>,
}

/// How to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Optimised, stripped.
    #[default]
    Release,
    /// Quickly.
    Dev,
    /// As `Release`, optimised as a whole: what is not used of std is gone, so that a node can see that nothing
    /// keeps it from unloading the library.
    Lto,
}

/// A bundle that was built.
#[derive(Debug)]
pub struct Built {
    /// Where it lies.
    pub path: PathBuf,
    /// The bundle.
    pub bundle: Bundle,
    /// Whose signature it carries.
    pub signed_by: PublicKey,
    /// Its size in bytes.
    pub size: u64,
}

impl BuildOptions {
    /// The defaults for a crate.
    #[must_use]
    pub fn new(crate_folder: impl Into<PathBuf>, data: impl Into<PathBuf>, prober: Prober) -> Self {
        Self {
            crate_folder: crate_folder.into(),
            data: data.into(),
            output: None,
            profile: Profile::default(),
            target: None,
            release: None,
            key: None,
            prober,
            cargo: None,
        }
    }

    fn check_target(&self) -> Result<(), BuildError> {
        match self.target.as_deref() {
            Some(target) if target != TARGET => {
                Err(BuildError::Target { ours: TARGET.to_owned(), wanted: target.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// Builds a bundle. The compiler writes to standard error what it has to say.
///
/// # Errors
/// [`BuildError`].
pub async fn build(runtime: &Handle, options: &BuildOptions) -> Result<Built, BuildError> {
    Workshop::open(runtime, options.clone()).await?.build_file(runtime).await
}

/// Has the library describe itself, in a child process and from a file of its own: cargo's may be
/// written to by the next build.
async fn describe(
    runtime: &Handle,
    options: &BuildOptions,
    library: &[u8],
) -> Result<ProbeReport, BuildError> {
    let id = CodeId::of(library);
    let path = options.data.join("build").join(format!("{id}-{:016x}.so", runtime.random_u64()));
    let files = runtime.files();
    files.write(path.clone(), library.to_vec()).await.map_err(|e| io(&path, e))?;
    let report = options.prober.probe(runtime, &path, &ProbeRequest::default()).await;
    files.remove(path.clone()).await.map_err(|e| io(&path, e))?;
    Ok(report?)
}

fn manifest(
    options: &BuildOptions,
    library: &[u8],
    facts: Facts,
    report: ProbeReport,
) -> Result<Manifest, BuildError> {
    let midflight_abi::Description { behaviours, conversions } = report.description;
    let first = behaviours.first().ok_or(BuildError::NoBehaviours)?;
    let version = behaviours.iter().map(|b| b.code_version).max().unwrap_or_default();
    Ok(Manifest {
        format: Manifest::FORMAT,
        name: first.name.clone(),
        version,
        release: options.release.unwrap_or_else(|| u64::from(version)),
        abi_major: facts.abi_major,
        abi_minor: facts.abi_minor,
        panic_strategy: facts.panic_strategy,
        rustc: report.rustc,
        libraries: vec![LibraryEntry::of(TARGET, library)],
        behaviours,
        conversions,
    })
}

/// Reads what the compiler made, within the bound.
fn read_library(path: &Path) -> Result<Vec<u8>, BuildError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let mut file = std::fs::File::open(path).map_err(|e| io(path, e))?.take(LIBRARY_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(|e| io(path, e))?;
    let size = bytes.len() as u64;
    if size > LIBRARY_BYTES_MAX {
        let part = "the library".to_owned();
        return Err(BundleError::TooLarge { part, size, max: LIBRARY_BYTES_MAX }.into());
    }
    Ok(bytes)
}

fn io(path: &Path, source: std::io::Error) -> BuildError {
    BuildError::Io { path: path.to_owned(), source }
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no crate in the folder.
    #[error("{} is not the folder of a crate: it has no Cargo.toml", folder.display())]
    NoCrate {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no cargo.
    #[error("cargo is not found (looked for `{}`): install Rust from https://rustup.rs, or name \
             cargo in the variable CARGO", program.display())]
    NoCargo {
        /// What was looked for.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Cargo does not understand the crate; its words are on standard error.
    #[error("cargo cannot read the crate in {}: {why}", folder.display())]
    Metadata {
        /// The folder.
        folder: PathBuf,
        /// What failed.
        why: String,
    },
    /// The crate has no library.
    #[error("the package `{package}` has no library: a bundle is made of `src/lib.rs`")]
    NoLibrary {
        /// Its name.
        package: String,
    },
    /// The compiler says no; its words are on standard error.
    #[error("the crate does not compile (cargo {status})")]
    Compile {
        /// How cargo ended.
        status: std::process::ExitStatus,
    },
    /// Cargo said that all went well, and named no library.
    #[error("cargo made no library")]
    NoArtifact,
    /// Only the machine's own target can be built.
    #[error("only {ours} can be built on this machine, not {wanted}: build it on such a machine")]
    Target {
        /// This machine's.
        ours: String,
        /// The one asked for.
        wanted: String,
    },
    /// What was compiled is not fit to be a bundle.
    #[error("the library is not fit to be a bundle")]
    Check(#[from] CheckError),
    /// The library does not run.
    #[error("the library cannot describe itself")]
    Probe(#[from] ProbeError),
    /// The library lists no behaviours.
    #[error("the library lists no behaviours: `midflight_abi::export!(Counter);`")]
    NoBehaviours,
    /// What was compiled does not make a bundle.
    #[error("the bundle cannot be made")]
    Bundle(#[from] BundleError),
    /// There is no key to sign with.
    #[error("the bundle cannot be signed")]
    Key(#[from] KeyFileError),
    /// The disk says no.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        #[source]
        source: std::io::Error,
    },
}
