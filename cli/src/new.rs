//! `midflight new`: an ordinary crate with a small behaviour, which `midflight build` makes a bundle of.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::Error;
use crate::{output, sdk, user_data};

const MANIFEST: &str = include_str!("../template/manifest.toml");
const SOURCE: &str = include_str!("../template/lib.rs");
const IGNORED: &str = "/target\n*.mfb\n";

const NAME_CHARS_MAX: usize = 64;
/// Words of the language, and crates that this one would hide.
const TAKEN: &str = "as async await break const continue crate dyn else enum extern false fn for gen if \
     impl in let loop match mod move mut pub ref return self static struct super trait true type \
     unsafe use where while abstract become box do final macro override priv try typeof unsized \
     virtual yield alloc core proc_macro std test serde midflight_abi midflight_macros \
     midflight_message";

/// Flags of `new`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to make; its last part is the crate's name, and its behaviour's
    name: PathBuf,
    /// The folder for the SDK [default: the user's data folder]
    #[arg(long, value_name = "DIR", env = "MIDFLIGHT_DATA")]
    data: Option<PathBuf>,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Error> {
    let folder = args.name;
    let name = checked_name(&folder)?;
    let there =
        |source| Error::Machine { what: format!("{} cannot be made", folder.display()), source };
    // Before anything is unpacked; the making itself looks again.
    if folder.exists() {
        return Err(there(std::io::ErrorKind::AlreadyExists.into()));
    }
    let sdk = sdk::unpacked(&user_data::folder(args.data)?)?;
    fs::create_dir(&folder).map_err(there)?;
    if let Err(source) = fill(&folder, name, &sdk) {
        // Half a crate is of no use; the folder is ours alone.
        let _ = fs::remove_dir_all(&folder);
        return Err(there(source));
    }
    output::either(args.json, &json!({ "name": name, "folder": folder, "sdk": sdk }), || {
        let folder = folder.display();
        format!(
            "{folder} is a crate with the behaviour `{name}`, in src/lib.rs\n  \
             midflight build {folder} -o {name}.mfb    makes a bundle of it\n  \
             midflight watch {folder}    brings it to a running node, now and whenever you save\n"
        )
    })
}

/// The crate's name: the last part of the path.
fn checked_name(folder: &Path) -> Result<&str, Error> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let wrong = |why: &str| {
        let folder = folder.display();
        Err(Error::Usage(format!("`{folder}` cannot be a crate's name: {why}")))
    };
    let good =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_".contains(char);
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(good) {
        return wrong("it takes 1 to 64 lower-case letters, digits, `-` and `_`");
    }
    if !name.starts_with(|char: char| char.is_ascii_lowercase()) {
        return wrong("it begins with a letter");
    }
    if TAKEN.split_whitespace().any(|taken| taken == name.replace('-', "_")) {
        return wrong("it is a word of the language, or another crate's name");
    }
    Ok(name)
}

fn fill(folder: &Path, name: &str, sdk: &Path) -> std::io::Result<()> {
    // JSON's way to write a text is TOML's too.
    let abi = serde_json::Value::from(sdk.join("dsu/abi").to_string_lossy()).to_string();
    fs::create_dir(folder.join("src"))?;
    let manifest = MANIFEST.replace("NAME", name).replace("SDK }", &format!("{abi} }}"));
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), SOURCE.replace("NAME", name))?;
    fs::write(folder.join(".gitignore"), IGNORED)?;
    fs::copy(sdk::lock_file(sdk), folder.join("Cargo.lock"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_crates() {
        for good in ["greeter", "shop-till", "a1_b", "some/where/greeter"] {
            assert!(checked_name(Path::new(good)).is_ok(), "{good}");
        }
        for bad in ["", "Greeter", "1st", "-a", "a b", "../..", "match", "proc-macro", "serde", "ä"]
        {
            assert!(matches!(checked_name(Path::new(bad)), Err(Error::Usage(_))), "{bad}");
        }
        assert!(checked_name(Path::new(&"x".repeat(65))).is_err());
    }
}
