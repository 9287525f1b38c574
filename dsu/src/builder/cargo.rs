//! Having cargo compile an ordinary library as a bundle's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use tokio::process::Command;

use super::{BuildError, BuildOptions, Profile, io, read_library};

/// Where a crate is.
#[derive(Debug)]
pub(super) struct Source {
    manifest: PathBuf,
    /// When the manifests were written that all this was read from.
    written: Vec<(PathBuf, Option<SystemTime>)>,
    workspace: PathBuf,
    data: PathBuf,
    /// The folders of the crate and of those that it has from paths.
    pub(super) folders: Vec<PathBuf>,
}

impl Source {
    /// Whether one of the manifests has been written since.
    pub(super) fn is_out_of_date(&self) -> bool {
        self.written.iter().any(|(manifest, when)| written(manifest) != *when)
    }
}

fn written(manifest: &Path) -> Option<SystemTime> {
    manifest.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// The bytes of the library that the crate becomes.
pub(super) async fn compile(
    options: &BuildOptions,
    source: &Source,
) -> Result<Vec<u8>, BuildError> {
    let Source { manifest, workspace, data, .. } = source;
    let mut command = Command::new(cargo(options));
    command.arg("rustc").arg("--manifest-path").arg(manifest);
    command.args(["--lib", "--crate-type", "cdylib"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    command.args(match options.profile {
        Profile::Release | Profile::Lto => ["--profile", "release"],
        Profile::Dev => ["--profile", "dev"],
    });
    if options.profile == Profile::Lto {
        command.args(["--config", "profile.release.lto=\"fat\""]);
        command.args(["--config", "profile.release.codegen-units=1"]);
    }
    command.arg("--target-dir").arg(data.join("build"));
    forget_folders(&mut command, workspace, data);
    command.args(["--", "--cfg", "midflight_bundle", "--check-cfg", "cfg(midflight_bundle)"]);
    command.args(match options.profile {
        Profile::Release | Profile::Lto => ["-C", "strip=symbols"],
        // Nine tenths of the file, which would be hashed and sent with every save. Names stay.
        Profile::Dev => ["-C", "strip=debuginfo"],
    });
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = run(command).await?;
    if !output.status.success() {
        return Err(BuildError::Compile { status: output.status });
    }
    let artifact = artifact(&output.stdout, manifest).ok_or(BuildError::NoArtifact)?;
    read_library(&artifact)
}

/// Finds out where the crate is, and that it has a library.
pub(super) async fn look_at(options: &BuildOptions) -> Result<Source, BuildError> {
    let folder = &options.crate_folder;
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NoCrate { folder: folder.clone() });
    }
    let manifest = manifest.canonicalize().map_err(|e| io(&manifest, e))?;
    let mut when = vec![(manifest.clone(), written(&manifest))];
    std::fs::create_dir_all(&options.data).map_err(|e| io(&options.data, e))?;
    let data = options.data.canonicalize().map_err(|e| io(&options.data, e))?;
    let mut command = Command::new(cargo(options));
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
    command.arg(&manifest).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let output = run(command).await?;
    let wrong = |why: String| BuildError::Metadata { folder: options.crate_folder.clone(), why };
    if !output.status.success() {
        return Err(wrong(format!("cargo metadata ended with {}", output.status)));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| wrong(e.to_string()))?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let package = package_of(packages, &manifest)
        .ok_or_else(|| wrong("its Cargo.toml is no package's".into()))?;
    // A library is of kind lib, cdylib, …; what is not one is of kind bin, test, example or bench.
    let is_library = |target: &serde_json::Value| {
        let kinds = target["kind"].as_array().map(Vec::as_slice).unwrap_or_default();
        kinds.iter().any(|kind| kind.as_str().is_some_and(|kind| kind.ends_with("lib")))
    };
    let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !targets.iter().any(is_library) {
        let package = package["name"].as_str().unwrap_or_default().to_owned();
        return Err(BuildError::NoLibrary { package });
    }
    let root = metadata["workspace_root"].as_str();
    let workspace =
        root.map(PathBuf::from).ok_or_else(|| wrong("it has no workspace root".into()))?;
    let folders = folders(packages, &manifest, &data);
    let others = folders.iter().map(|folder| folder.join("Cargo.toml"));
    when.extend(others.filter(|other| *other != manifest).map(|other| {
        let written = written(&other);
        (other, written)
    }));
    Ok(Source { manifest, written: when, workspace, data, folders })
}

fn package_of<'p>(
    packages: &'p [serde_json::Value],
    manifest: &Path,
) -> Option<&'p serde_json::Value> {
    packages.iter().find(|package| is_of(package, manifest))
}

/// Whether that is about the package of this manifest.
fn is_of(told: &serde_json::Value, manifest: &Path) -> bool {
    told["manifest_path"].as_str().map(Path::new) == Some(manifest)
}

/// The folder of the package, and those of packages that it has from paths, through others of its
/// workspace, too. What was unpacked to the data folder is nobody's to change.
fn folders(packages: &[serde_json::Value], manifest: &Path, data: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = manifest.parent().map(Path::to_owned).into_iter().collect();
    let mut looked_at = 0;
    while let Some(folder) = folders.get(looked_at).cloned() {
        looked_at += 1;
        let package = package_of(packages, &folder.join("Cargo.toml"));
        let dependencies = package.and_then(|package| package["dependencies"].as_array());
        for dependency in dependencies.into_iter().flatten() {
            let Some(path) = dependency["path"].as_str().map(PathBuf::from) else { continue };
            let needed = dependency["kind"] != "dev" && !path.starts_with(data);
            if needed && !folders.contains(&path) {
                folders.push(path);
            }
        }
    }
    folders
}

/// Keeps the folders of this machine out of the library, so that they make no difference to its hash.
fn forget_folders(command: &mut Command, workspace: &Path, data: &Path) {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    });
    let from_to = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    // The data folder has the SDK that `midflight new` unpacks. The last that fits a path is taken.
    let mut flags = vec![from_to(data, "/midflight"), from_to(workspace, "/source")];
    flags.extend(home.map(|home| from_to(&home, "/cargo")));
    // Cargo takes flags from one of three places: ours are added to the one that is in use.
    if let Some(mut encoded) = std::env::var_os("CARGO_ENCODED_RUSTFLAGS") {
        encoded.push("\u{1f}");
        encoded.push(flags.join("\u{1f}"));
        command.env("CARGO_ENCODED_RUSTFLAGS", encoded);
    } else if let Ok(plain) = std::env::var("RUSTFLAGS") {
        let all: Vec<_> = plain.split_whitespace().map(str::to_owned).chain(flags).collect();
        command.env("CARGO_ENCODED_RUSTFLAGS", all.join("\u{1f}"));
    } else {
        // JSON's way to write a list of texts is TOML's too.
        let list = serde_json::Value::from(flags);
        command.arg("--config").arg(format!("build.rustflags={list}"));
    }
}

async fn run(mut command: Command) -> Result<std::process::Output, BuildError> {
    let child = command.spawn().map_err(|source| {
        let program = PathBuf::from(command.as_std().get_program());
        if source.kind() == std::io::ErrorKind::NotFound {
            BuildError::NoCargo { program, source }
        } else {
            io(&program, source)
        }
    })?;
    child.wait_with_output().await.map_err(|e| io(Path::new("cargo"), e))
}

/// The last shared library that cargo says it made of this crate.
fn artifact(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let mut found = None;
    for line in messages.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        if message["reason"] == "compiler-artifact" && is_of(&message, manifest) {
            let files = message["filenames"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut files = files.iter().filter_map(serde_json::Value::as_str).map(PathBuf::from);
            let library = files.find(|file| file.extension().is_some_and(|e| e == "so"));
            found = library.or(found);
        }
    }
    found
}

fn cargo(options: &BuildOptions) -> OsString {
    let named = options.cargo.clone().map(PathBuf::into_os_string);
    named.or_else(|| std::env::var_os("CARGO")).unwrap_or_else(|| "cargo".into())
}
