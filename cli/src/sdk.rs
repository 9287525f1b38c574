//! The SDK's source, which travels in the program: unpacked to the data folder, under its hash.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use midflight_dsu::hash::CodeId;

use crate::error::Error;

/// As `build.rs` has packed it.
const ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sdk.tar"));
/// Digits of the hash in the folder's name.
const NAME_DIGITS: usize = 16;

/// The folder of the SDK, unpacked unless it is there and whole. It gets its name as a whole, so that who
/// sees it finds all of it.
pub(crate) fn unpacked(data: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Machine {
        what: format!("the SDK cannot be unpacked to {}", data.display()),
        source,
    };
    unpack(data).map_err(failed)
}

/// The versions of other people's crates that this program was tested with: a lock file.
pub(crate) fn lock_file(sdk: &Path) -> PathBuf {
    sdk.join("Cargo.lock")
}

fn unpack(data: &Path) -> io::Result<PathBuf> {
    let all = data.join("sdk");
    fs::create_dir_all(&all)?;
    let all = all.canonicalize()?;
    let hash = CodeId::of(ARCHIVE).to_string();
    let folder = all.join(hash.get(..NAME_DIGITS).unwrap_or(&hash));
    if is_whole(&folder)? {
        return Ok(folder);
    }
    let fresh = tempfile::Builder::new().prefix(".part-").tempdir_in(&all)?;
    tar::Archive::new(ARCHIVE).unpack(fresh.path())?;
    if fs::rename(fresh.path(), &folder).is_ok() || is_whole(&folder)? {
        // In its place by this run, or by one that was quicker.
        return Ok(folder);
    }
    // Somebody has changed it: that stays beside, for its owner to look at.
    let aside = tempfile::Builder::new().prefix("changed-").tempdir_in(&all)?.keep();
    fs::rename(&folder, aside.join("sdk"))?;
    match fs::rename(fresh.path(), &folder) {
        Err(_) if is_whole(&folder)? => Ok(folder),
        renamed => renamed.map(|()| folder),
    }
}

/// Whether every file of the archive is in the folder, as it was packed.
fn is_whole(folder: &Path) -> io::Result<bool> {
    for entry in tar::Archive::new(ARCHIVE).entries()? {
        let mut entry = entry?;
        let mut packed = Vec::new();
        entry.read_to_end(&mut packed)?;
        match fs::read(folder.join(entry.path()?)) {
            Ok(found) if found == packed => {}
            Ok(_other) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_unpacked_once_and_mended_when_it_was_changed() {
        let data = tempfile::tempdir().unwrap();
        let first = unpacked(data.path()).unwrap();
        assert!(first.join("dsu/abi/src/lib.rs").is_file());
        assert!(lock_file(&first).is_file());
        assert_eq!(unpacked(data.path()).unwrap(), first);
        assert_eq!(fs::read_dir(data.path().join("sdk")).unwrap().count(), 1);

        fs::write(first.join("dsu/abi/src/lib.rs"), "changed").unwrap();
        assert_eq!(unpacked(data.path()).unwrap(), first);
        assert!(is_whole(&first).unwrap());
        // What was changed lies beside it.
        assert_eq!(fs::read_dir(data.path().join("sdk")).unwrap().count(), 2);
    }

    #[test]
    fn of_many_at_once_all_find_it_whole() {
        let data = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| unpacked(data.path()))).collect();
            for run in runs {
                assert!(is_whole(&run.join().unwrap().unwrap()).unwrap());
            }
        });
        assert_eq!(fs::read_dir(data.path().join("sdk")).unwrap().count(), 1);
    }
}
