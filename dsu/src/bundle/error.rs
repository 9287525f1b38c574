//! What can be wrong with the bytes of a bundle.

use midflight_abi::DescriptionError;

use crate::hash::CodeId;
use crate::signature::SIGNATURES_MAX;

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// They end too early.
    #[error("the bundle is truncated: it ends within {within}")]
    Truncated {
        /// What is cut.
        within: String,
    },
    /// A part is larger than allowed.
    #[error("{part} has {size} bytes; at most {max} are allowed")]
    TooLarge {
        /// Which part.
        part: String,
        /// Its size.
        size: u64,
        /// The bound.
        max: u64,
    },
    /// They are no archive.
    #[error("the bundle is garbled: {why}")]
    Garbled {
        /// What does not fit.
        why: String,
    },
    /// An entry is not the one that belongs there.
    #[error("the bundle has the entry `{found}` where `{expected}` belongs")]
    Entry {
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// There is something behind the last entry.
    #[error("the bundle has an entry too many, `{found}`")]
    UnknownEntry {
        /// Its name.
        found: String,
    },
    /// The manifest is of a format this program does not know.
    #[error("the manifest has format {theirs}; this program reads format {ours}")]
    Format {
        /// This program's.
        ours: u32,
        /// The manifest's.
        theirs: u32,
    },
    /// The manifest cannot be read, or written.
    #[error("the manifest is not one")]
    Manifest(#[source] serde_json::Error),
    /// The manifest says what cannot be.
    #[error("the manifest is wrong: {why}")]
    WrongManifest {
        /// What is wrong.
        why: String,
    },
    /// The behaviours in the manifest cannot be told apart.
    #[error("the manifest is wrong")]
    Description(#[from] DescriptionError),
    /// The signatures cannot be read.
    #[error("the signatures are not ones")]
    Signatures(#[source] serde_json::Error),
    /// One more signature, and no node would take it.
    #[error(
        "the bundle has {SIGNATURES_MAX} signatures by other keys already, and no node takes one with more: sign a copy \
         that has fewer"
    )]
    TooManySignatures,
    /// A library is missing or too many.
    #[error("the manifest lists {listed} libraries, the bundle has {found}")]
    Libraries {
        /// In the manifest.
        listed: usize,
        /// In the bundle.
        found: usize,
    },
    /// A library is not the one of the manifest.
    #[error("the library for {target} has the hash {found}; the manifest says {expected}")]
    LibraryHash {
        /// Which library.
        target: String,
        /// The manifest's word.
        expected: CodeId,
        /// The truth.
        found: CodeId,
    },
    /// The bytes hold a bundle, but writing it would give others.
    #[error("the bundle is garbled: its bytes are not those that writing it gives")]
    NotCanonical,
}
