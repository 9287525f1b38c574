//! Looks whether the files of a crate have changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files of a crate, as they were when they were looked at last.
#[derive(Debug)]
pub(crate) struct Watch {
    folder: PathBuf,
    seen: Vec<(PathBuf, SystemTime)>,
}

impl Watch {
    /// From how the crate is now.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut watch = Self { folder: folder.to_owned(), seen: Vec::new() };
        watch.has_changed();
        watch
    }

    /// Whether a file has come, gone or been written since this was asked last.
    pub(crate) fn has_changed(&mut self) -> bool {
        let mut now = Vec::new();
        collect(&self.folder.join("Cargo.toml"), &mut now);
        collect(&self.folder.join("src"), &mut now);
        now.sort();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

/// A file that is being replaced may be away for a moment: then it has changed.
fn collect(path: &Path, into: &mut Vec<(PathBuf, SystemTime)>) {
    let Ok(metadata) = path.metadata() else { return };
    if metadata.is_dir() {
        let Ok(entries) = path.read_dir() else { return };
        for entry in entries.flatten() {
            collect(&entry.path(), into);
        }
    } else if let Ok(written) = metadata.modified() {
        into.push((path.to_owned(), written));
    }
}
