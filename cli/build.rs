//! Puts the source of the SDK into the program, so that `midflight new` needs nothing else of ours.
//!
//! The archive holds a workspace of the crates that a bundle links to, without their tests, and the
//! lock file with the versions that this program was tested with. The same source gives the same bytes.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// What a bundle links to, of ours.
const CRATES: [&str; 3] = ["dsu/abi", "dsu/macros", "process/message"];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let root = here.parent().ok_or("the program's crate lies in the repository")?;
    let mut archive = Archive(tar::Builder::new(Vec::new()));
    let mut manifests = String::new();
    for folder in CRATES {
        watch(&root.join(folder));
        let manifest = without(&fs::read_to_string(root.join(folder).join("Cargo.toml"))?);
        archive.file(&format!("{folder}/Cargo.toml"), manifest.as_bytes())?;
        manifests += &manifest;
        let build = root.join(folder).join("build.rs");
        if build.exists() {
            archive.file(&format!("{folder}/build.rs"), &fs::read(build)?)?;
        }
        archive.folder(root, &root.join(folder).join("src"))?;
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        watch(&root.join(file));
    }
    let workspace = workspace(&fs::read_to_string(root.join("Cargo.toml"))?, &manifests);
    archive.file("Cargo.toml", workspace.as_bytes())?;
    archive.file("Cargo.lock", &fs::read(root.join("Cargo.lock"))?)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("sdk.tar");
    fs::write(out, archive.0.into_inner()?)?;
    Ok(())
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// An archive whose entries have neither owner nor time.
struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    fn file(&mut self, path: &str, content: &[u8]) -> std::io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.0.append_data(&mut header, path, content)
    }

    /// All of a folder's source in the order of the names, but for tests.
    fn folder(&mut self, root: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
        let mut paths = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()?;
        paths.sort();
        for path in paths {
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if is_test {
                continue;
            }
            if path.is_dir() {
                self.folder(root, &path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root)?.to_str().ok_or("a path is text")?;
                self.file(name, &fs::read(&path)?)?;
            }
        }
        Ok(())
    }
}

/// A manifest without what only this repository needs.
fn without(manifest: &str) -> String {
    let sections = ["[dev-dependencies]", "[lints]"];
    select(manifest, |section| !sections.contains(&section), |_, _| true)
}

/// The workspace of these crates alone, with the versions that they ask it for.
fn workspace(whole: &str, manifests: &str) -> String {
    let needed = |line: &str| {
        let name = line.split_once(' ').map_or(line, |(name, _)| name);
        manifests.contains(&format!("\n{name}.workspace"))
            || manifests.contains(&format!("\n{name} = {{ workspace"))
    };
    let kept = select(
        whole,
        |section| matches!(section, "[workspace.package]" | "[workspace.dependencies]"),
        |section, line| section != "[workspace.dependencies]" || line.is_empty() || needed(line),
    );
    format!("[workspace]\nresolver = \"3\"\nmembers = {CRATES:?}\n\n{kept}")
}

/// The lines of the chosen sections of a manifest; each of ours is one line a value.
fn select(
    manifest: &str,
    section: impl Fn(&str) -> bool,
    keep: impl Fn(&str, &str) -> bool,
) -> String {
    let mut at = "";
    let mut kept = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            at = line;
        }
        if section(at) && (line == at || keep(at, line)) {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}
