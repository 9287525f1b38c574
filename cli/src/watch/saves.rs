//! When something in a crate's folders is saved. What is saved while nobody waits counts once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{Handle, timeout};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::error::Error;

/// Editors save in several steps, and several files at once: quiet for so long is the end of it.
const QUIET: Duration = Duration::from_millis(15);
/// A folder that is never quiet is built all the same.
const STEPS_MAX: usize = 20;

/// Watches folders until it is dropped.
#[derive(Debug)]
pub(super) struct Saves {
    saved: Arc<Notify>,
    folders: Vec<PathBuf>,
    watcher: RecommendedWatcher,
}

impl Saves {
    pub(super) fn watch(folders: &[PathBuf]) -> Result<Self, Error> {
        let saved = Arc::new(Notify::new());
        let watcher = watcher(folders, saved.clone())?;
        Ok(Self { saved, folders: folders.to_vec(), watcher })
    }

    /// Watches these from now on, and no others. What was saved before is not forgotten.
    pub(super) fn follow(&mut self, folders: &[PathBuf]) -> Result<(), Error> {
        if self.folders != folders {
            self.watcher = watcher(folders, self.saved.clone())?;
            self.folders = folders.to_vec();
        }
        Ok(())
    }

    /// Waits until something has been saved since this has answered last.
    pub(super) async fn next(&self, runtime: &Handle) {
        next(&self.saved, runtime).await;
    }
}

fn watcher(folders: &[PathBuf], tell: Arc<Notify>) -> Result<RecommendedWatcher, Error> {
    let roots = folders.to_vec();
    let failed = |error: notify::Error| {
        let paths: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        Error::Environment(format!("{} cannot be watched: {error}", paths.join(", ")))
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // One that could not be told may have been a save.
        if event.map_or(true, |event| event.need_rescan() || is_save(&event, &roots)) {
            tell.notify_one();
        }
    })
    .map_err(failed)?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::Recursive).map_err(failed)?;
    }
    Ok(watcher)
}

async fn next(saved: &Notify, runtime: &Handle) {
    saved.notified().await;
    for _ in 0..STEPS_MAX {
        if timeout(&**runtime, QUIET, saved.notified()).await.is_err() {
            return;
        }
    }
}

/// Whether a file of the source is another now, and whole: written and closed, put in place or gone.
fn is_save(event: &Event, roots: &[PathBuf]) -> bool {
    let is_done = matches!(
        event.kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_)
    );
    is_done && event.paths.iter().any(|path| is_source(path, roots))
}

/// Not what is compiled, hidden, or an editor's own.
fn is_source(path: &Path, roots: &[PathBuf]) -> bool {
    let Some(inside) = roots.iter().find_map(|root| path.strip_prefix(root).ok()) else {
        return false;
    };
    let mut parts = inside.components().map(|part| part.as_os_str().to_string_lossy());
    let is_compiled = parts.clone().next().is_some_and(|part| part == "target");
    let is_hidden = parts.any(|part| part.starts_with('.'));
    let name = inside.to_string_lossy();
    let endings = ["~", ".swp", ".swx", ".tmp", ".mfb", ".part"];
    !is_compiled && !is_hidden && !endings.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use midflight_runtime::TokioRuntime;

    use super::*;

    #[test]
    fn what_is_no_source_is_passed_over() {
        let roots = [PathBuf::from("/a/crate"), PathBuf::from("/b")];
        for source in ["/a/crate/src/lib.rs", "/a/crate/Cargo.toml", "/b/src/target/x.rs"] {
            assert!(is_source(Path::new(source), &roots), "{source}");
        }
        let others = [
            "/a/crate/target/debug/x",
            "/a/crate/.git/index",
            "/b/src/.lib.rs.swp",
            "/b/src/x~",
            "/c/x",
        ];
        for other in others {
            assert!(!is_source(Path::new(other), &roots), "{other}");
        }
    }

    #[tokio::test]
    async fn saves_while_nobody_waits_are_one() {
        let (saved, runtime) = (Notify::new(), TokioRuntime::current());
        for _ in 0..3 {
            saved.notify_one();
        }
        next(&saved, &runtime).await;
        let again = timeout(&*runtime, 2 * QUIET, next(&saved, &runtime)).await;
        assert!(again.is_err(), "the three were one");
    }

    #[tokio::test]
    async fn a_file_is_saved_when_it_is_whole() {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), TokioRuntime::current());
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("target")).unwrap();
        let saves = Saves::watch(std::slice::from_ref(&root)).unwrap();
        let limit = Duration::from_secs(60);
        std::fs::write(root.join("lib.rs"), "x").unwrap();
        timeout(&*runtime, limit, saves.next(&runtime)).await.unwrap();
        std::fs::write(root.join("new.rs"), "y").unwrap();
        std::fs::rename(root.join("new.rs"), root.join("lib.rs")).unwrap();
        timeout(&*runtime, limit, saves.next(&runtime)).await.unwrap();
        std::fs::remove_file(root.join("lib.rs")).unwrap();
        timeout(&*runtime, limit, saves.next(&runtime)).await.unwrap();
    }

    #[tokio::test]
    async fn other_folders_are_followed_and_nothing_is_forgotten() {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), TokioRuntime::current());
        let root = folder.path().canonicalize().unwrap();
        let both = [root.join("a"), root.join("b")];
        for folder in &both {
            std::fs::create_dir(folder).unwrap();
        }
        let mut saves = Saves::watch(&both[..1]).unwrap();
        saves.saved.notify_one();
        saves.follow(&both).unwrap();
        let limit = Duration::from_secs(60);
        timeout(&*runtime, limit, saves.next(&runtime)).await.expect("from before");
        for folder in &both {
            std::fs::write(folder.join("lib.rs"), "x").unwrap();
            timeout(&*runtime, limit, saves.next(&runtime)).await.expect("each is watched");
        }
    }
}
