//! The folder in which a user's keys and builds are.

use std::path::PathBuf;

use crate::error::Error;

/// `--data`, or the variable behind it, or the user's own data folder.
pub(crate) fn folder(named: Option<PathBuf>) -> Result<PathBuf, Error> {
    let own = || {
        let folders = directories::ProjectDirs::from("", "", "midflight")?;
        Some(folders.data_dir().to_owned())
    };
    named.or_else(own).ok_or(Error::NoDataFolder)
}
