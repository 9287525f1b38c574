//! A node that hosts behaviours: its data folder and its code server.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use midflight_dsu::code_server::{CodeServer, CodeServerConfig, MAPPED_MAX};
use midflight_dsu::library::NativeFormat;
use midflight_dsu::signature::TrustedKeys;
use midflight_dsu::switch::SwitchLimits;
use midflight_dsu::voting::VoterNames;
use midflight_process::Node;

use crate::build;
use crate::error::Error;

/// A node's data folder, locked: no other node's.
#[derive(Debug)]
pub(crate) struct DataFolder {
    pub(crate) path: PathBuf,
    /// The lock ends with it.
    _lock: File,
}

/// The data folder, made if it is not there, and locked. That it can be written to is seen here,
/// and not at the first push.
pub(crate) fn prepared(data: &Path) -> Result<DataFolder, Error> {
    let unusable = |source| Error::Machine {
        what: format!("the data folder {} cannot be written to", data.display()),
        source,
    };
    std::fs::create_dir_all(data).map_err(unusable)?;
    let path = data.canonicalize().map_err(unusable)?;
    let lock = File::create(path.join("lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(DataFolder { path, _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(Error::Environment(format!(
            "the data folder {} is another node's, which runs: stop that one, name a folder with \
             --data, or give this node another name",
            data.display()
        ))),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Starts the node's control process, which takes bundles and answers operators.
pub(crate) fn serve_code(
    node: &Node,
    data: PathBuf,
    trusted: TrustedKeys,
    switch: SwitchLimits,
    voters: VoterNames,
) -> Result<CodeServer, Error> {
    let format = Arc::new(NativeFormat::new(node.runtime().clone(), build::prober()?));
    let config = CodeServerConfig { data, trusted, format, switch, mapped_max: MAPPED_MAX };
    let server = CodeServer::new(config, node.clone());
    server
        .serve_with(voters)
        .map_err(|error| Error::Environment(format!("the node cannot serve: {error}")))?;
    Ok(server)
}
