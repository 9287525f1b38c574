//! A node that hosts behaviours: its data folder and its code server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use midflight_dsu::code_server::{CodeServer, CodeServerConfig};
use midflight_dsu::library::NativeFormat;
use midflight_dsu::signature::TrustedKeys;
use midflight_dsu::switch::SwitchLimits;
use midflight_process::Node;

use crate::build;
use crate::error::Error;

/// The data folder, made if it is not there, as an absolute path.
pub(crate) fn prepared(data: &Path) -> Result<PathBuf, Error> {
    let unusable = |source| Error::Machine {
        what: format!("the data folder {} cannot be made", data.display()),
        source,
    };
    std::fs::create_dir_all(data).map_err(unusable)?;
    data.canonicalize().map_err(unusable)
}

/// Starts the node's control process, which takes bundles and answers operators.
pub(crate) fn serve_code(node: &Node, data: PathBuf, trusted: TrustedKeys) -> Result<(), Error> {
    let format = Arc::new(NativeFormat::new(node.runtime().clone(), build::prober()?));
    let config = CodeServerConfig { data, trusted, format, switch: SwitchLimits::default() };
    CodeServer::new(config, node.clone())
        .serve()
        .map_err(|error| Error::Environment(format!("the node cannot serve: {error}")))?;
    Ok(())
}
