//! The file with the roles of peers, and its changes while the node runs.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use midflight_process::{Node, RoleTable};
use midflight_runtime::{Task, spawn};

use crate::error::Error;
use crate::signals;

/// The longest file that is read.
const BYTES_MAX: u64 = 1024 * 1024;
/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// A file of roles that was read.
#[derive(Debug)]
pub(crate) struct RolesFile {
    path: PathBuf,
    table: RoleTable,
    /// What it held, or why that was not taken.
    seen: Result<String, String>,
}

/// Looks at the file until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(Task);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RolesFile {
    /// Reads it.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let (text, table) = read(path).map_err(Error::Environment)?;
        Ok(Self { path: path.to_owned(), table, seen: Ok(text) })
    }

    /// What it said when it was read.
    pub(crate) const fn table(&self) -> &RoleTable {
        &self.table
    }

    /// Has the node go by the file whenever it has changed. What is wrong with it is told once, and what
    /// held before holds on.
    pub(crate) fn watch(mut self, node: &Node) -> Result<Watch, Error> {
        let mut hangup = signals::hangup()?;
        let (runtime, node) = (node.runtime().clone(), node.clone());
        Ok(Watch(spawn(&runtime.clone(), "roles", async move {
            loop {
                let is_asked = tokio::select! {
                    () = runtime.sleep(LOOK_EVERY) => false,
                    asked = hangup.recv() => asked.is_some(),
                };
                self.look(&node, is_asked);
            }
        })))
    }

    fn look(&mut self, node: &Node, is_asked: bool) {
        let (seen, table) = match read(&self.path) {
            Ok((text, table)) => (Ok(text), Some(table)),
            Err(why) => (Err(why), None),
        };
        if seen == self.seen {
            if is_asked {
                tracing::info!("the roles in {} are as they were", self.path.display());
            }
            return;
        }
        self.seen = seen;
        match (&self.seen, table) {
            (Ok(_), Some(table)) => {
                node.set_roles(table);
                tracing::info!("the roles in {} hold from now on", self.path.display());
            }
            (Err(why), _) => tracing::warn!("{why}; the roles from before hold on"),
            (Ok(_), None) => {}
        }
    }
}

/// Its text and what that says, or what is wrong with it.
fn read(path: &Path) -> Result<(String, RoleTable), String> {
    let unreadable = |error: std::io::Error| {
        format!("the file of roles {} cannot be read: {error}", path.display())
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(format!("{} is no file of roles: it has over 1 MiB", path.display()));
    }
    let table = text.parse().map_err(|wrong| format!("{}, {wrong}", path.display()))?;
    Ok((text, table))
}
