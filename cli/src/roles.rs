//! The file with the roles of peers, and its changes while the node runs.

use std::io;
use std::path::{Path, PathBuf};

use midflight_process::{Node, RoleTable};
use midflight_runtime::{Handle, spawn};

use crate::error::Error;
use crate::signals::{self, Watch, time_to_look};

/// The longest file that is read.
const BYTES_MAX: u64 = 1024 * 1024;

/// A file of roles that was read.
#[derive(Debug)]
pub(crate) struct RolesFile {
    path: PathBuf,
    table: RoleTable,
    /// What it held, or why that was not taken.
    seen: Result<String, String>,
}

impl RolesFile {
    /// Reads it.
    pub(crate) async fn read(runtime: &Handle, path: &Path) -> Result<Self, Error> {
        let (text, table) = read(runtime, path).await.map_err(Error::Environment)?;
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
                let is_asked = time_to_look(&runtime, &mut hangup).await;
                self.look(&node, is_asked).await;
            }
        })))
    }

    async fn look(&mut self, node: &Node, is_asked: bool) {
        let (seen, table) = match read(node.runtime(), &self.path).await {
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
async fn read(runtime: &Handle, path: &Path) -> Result<(String, RoleTable), String> {
    let shown = path.display();
    let bytes = runtime.files().read(path.to_owned(), BYTES_MAX).await;
    let bytes = bytes.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => format!("{shown} is no file of roles: it has over 1 MiB"),
        _ => format!("the file of roles {shown} cannot be read: {error}"),
    })?;
    let text = String::from_utf8(bytes);
    let text =
        text.map_err(|error| format!("the file of roles {shown} cannot be read: {error}"))?;
    let table = text.parse().map_err(|wrong| format!("{shown}, {wrong}"))?;
    Ok((text, table))
}
