//! Why there are no certificates.

use std::io;
use std::path::{Path, PathBuf};

/// Why certificates were not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertsError {
    #[error("{} cannot be {done}", path.display())]
    File { path: PathBuf, done: &'static str, source: io::Error },
    #[error("another run works in {} right now", folder.display())]
    Busy { folder: PathBuf },
    #[error("{} is there and {} is not", there.display(), missing.display())]
    Half { there: PathBuf, missing: PathBuf, whose: Whose },
    #[error("{} is of no use: {why}", path.display())]
    Unusable { path: PathBuf, why: String, whose: Whose },
    #[error("{what} cannot be made")]
    NotMade { what: String, source: rcgen::Error },
}

/// Whose files are meant: what helps depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Authority,
    Node,
}

impl CertsError {
    pub(crate) fn file(done: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), done, source }
    }

    /// What helps.
    pub(crate) const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Half { whose: Whose::Authority, .. } => Some(
                "only the authority's key can make certificates that its nodes believe: bring \
                 both files together, or begin anew in another folder: --out DIR",
            ),
            Self::Unusable { whose: Whose::Authority, .. } => {
                Some("put it right, or begin anew in another folder: --out DIR")
            }
            Self::Half { whose: Whose::Node, .. } | Self::Unusable { whose: Whose::Node, .. } => {
                Some("make both anew: --renew --node NAME")
            }
            Self::File { .. } | Self::Busy { .. } | Self::NotMade { .. } => None,
        }
    }
}
