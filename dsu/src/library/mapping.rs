//! Unloading: a library whose file and whose try in a child process have shown that it can be.
//!
//! Whoever calls code of it has a [`Mapping`]; with the last one the system's loader is asked to close it, and then
//! it is looked whether it has gone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use libloading::os::unix::Library;
use parking_lot::Mutex;

use crate::code::{Mapped, Stays};
use crate::hash::CodeId;

/// Every library in this program's memory, by the address of its table.
static MAPPED: Mutex<BTreeMap<usize, Entry>> = Mutex::new(BTreeMap::new());

/// One at a time is opened or closed, as the system's loader has it, too.
static LOADER: Mutex<()> = Mutex::new(());

struct Entry {
    mapped: Mapped,
    /// Mappings that will close it.
    users: usize,
}

/// The libraries in this program's memory.
#[must_use]
pub fn mapped() -> Vec<Mapped> {
    MAPPED.lock().values().map(|entry| entry.mapped.clone()).collect()
}

/// Opens a library, or does what goes with it, while no other is opened or closed.
pub(crate) fn alone<T>(work: impl FnOnce() -> T) -> T {
    let _alone = LOADER.lock();
    work()
}

/// A library in memory that has been opened once more.
#[derive(Debug)]
pub(crate) struct Mapping {
    library: Option<Library>,
    path: PathBuf,
    table: usize,
}

/// What came of entering a library.
pub(crate) enum Entered {
    /// It is never closed.
    Stays,
    /// It is closed with the last of these.
    Closes(Mapping),
    /// Other code is known at this place.
    Other(CodeId),
}

/// Enters an open library whose table is at that address. Call it [`alone`], with the opening.
pub(crate) fn enter(library: Library, path: PathBuf, table: usize, new: Mapped) -> Entered {
    let mut all = MAPPED.lock();
    let code = new.code;
    let entry = all.entry(table).or_insert(Entry { mapped: new, users: 0 });
    if entry.mapped.code != code {
        std::mem::forget(library);
        return Entered::Other(entry.mapped.code);
    }
    if entry.mapped.stays.is_some() {
        // Code of it may be on any stack, and its thread-locals in any thread.
        std::mem::forget(library);
        return Entered::Stays;
    }
    entry.users += 1;
    Entered::Closes(Mapping { library: Some(library), path, table })
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let Some(library) = self.library.take() else { return };
        alone(|| {
            let closed = library.close();
            let gone = closed.is_ok() && !is_mapped(&self.path, self.table);
            let mut all = MAPPED.lock();
            let Some(entry) = all.get_mut(&self.table) else { return };
            entry.users = entry.users.saturating_sub(1);
            if entry.users > 0 {
                return;
            }
            if gone {
                all.remove(&self.table);
            } else {
                entry.mapped.stays = Some(Stays::NotGone);
                tracing::warn!(path = %self.path.display(), "a library was closed, and is still in memory");
            }
        });
    }
}

/// Whether something of that file is mapped at that address; where that cannot be seen, it counts as mapped.
fn is_mapped(path: &std::path::Path, address: usize) -> bool {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return true };
    let path = path.to_string_lossy();
    maps.lines().any(|line| {
        let Some((range, _)) = line.split_once(' ') else { return false };
        let bound = |text| usize::from_str_radix(text, 16).ok();
        let Some((Some(from), Some(to))) = range.split_once('-').map(|(a, b)| (bound(a), bound(b)))
        else {
            return false;
        };
        (from..to).contains(&address) && line.contains(&*path)
    })
}
