//! What a bundle says of itself.

use midflight_abi::{BehaviourDescription, Description};
use midflight_message::ToldConversions;
use serde::{Deserialize, Serialize};

use super::{BundleError, LIBRARY_BYTES_MAX, MANIFEST_BYTES_MAX};
use crate::hash::CodeId;

/// The most targets of one bundle.
const LIBRARIES_MAX: usize = 16;

/// The manifest. Its bytes are JSON, as `serde_json` writes it; their hash is the bundle's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`Manifest::FORMAT`].
    pub format: u32,
    /// What makes two bundles versions of the same: the name of the first behaviour.
    pub name: String,
    /// The highest code version among the behaviours.
    pub version: u32,
    /// Rises with every release, also with one that repeats a version. A cluster does not take a
    /// lower one as news.
    pub release: u64,
    /// The behaviours, in the order of their indexes, with all their types and conversions.
    pub behaviours: Vec<BehaviourDescription>,
    /// The conversions to the types that they read; none of libraries that read each only in its own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversions: Option<ToldConversions>,
    /// The major of the C table.
    pub abi_major: u32,
    /// The minor of the C table.
    pub abi_minor: u32,
    /// What a panic in it does.
    pub panic_strategy: PanicStrategy,
    /// The compiler, for reports.
    pub rustc: String,
    /// The libraries, one for a target.
    pub libraries: Vec<LibraryEntry>,
}

/// A library of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryEntry {
    /// The target triple.
    pub target: String,
    /// Its name: the BLAKE3 hash of its bytes.
    pub blake3: CodeId,
    /// Its size in bytes.
    pub size: u64,
}

/// What a panic does in a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PanicStrategy {
    /// It can be caught.
    Unwind,
    /// It ends the program: no node takes such a library.
    Abort,
}

impl Manifest {
    /// The format this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// The behaviours as their library describes them.
    #[must_use]
    pub fn description(&self) -> Description {
        Description::new(self.behaviours.clone(), self.conversions.clone())
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`BundleError::TooLarge`], or that it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let bytes = serde_json::to_vec(self).map_err(BundleError::Manifest)?;
        let size = bytes.len() as u64;
        if size > MANIFEST_BYTES_MAX {
            let part = "the manifest".to_owned();
            return Err(BundleError::TooLarge { part, size, max: MANIFEST_BYTES_MAX });
        }
        Ok(bytes)
    }

    /// Reads the bytes; [`Manifest::check`] is next.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        // The format first: a manifest of another one is told so, whatever else it says.
        #[derive(Deserialize)]
        struct OnlyFormat {
            format: u32,
        }
        let OnlyFormat { format } = serde_json::from_slice(bytes).map_err(BundleError::Manifest)?;
        if format != Self::FORMAT {
            return Err(BundleError::Format { ours: Self::FORMAT, theirs: format });
        }
        serde_json::from_slice(bytes).map_err(BundleError::Manifest)
    }

    pub(super) fn check(&self) -> Result<(), BundleError> {
        let wrong = |why: String| Err(BundleError::WrongManifest { why });
        self.description().check()?;
        let Some(first) = self.behaviours.first() else {
            return wrong("it has no behaviours".into());
        };
        if self.name != first.name || !is_file_name(&self.name) {
            return wrong(format!(
                "its name is `{}`; it must be that of its first behaviour, `{}`",
                self.name, first.name
            ));
        }
        let highest = self.behaviours.iter().map(|b| b.code_version).max().unwrap_or_default();
        if self.version != highest {
            return wrong(format!(
                "its version is {}; it must be the highest of its behaviours, {highest}",
                self.version
            ));
        }
        if self.libraries.is_empty() || self.libraries.len() > LIBRARIES_MAX {
            return wrong(format!("it lists {} libraries", self.libraries.len()));
        }
        for (at, entry) in self.libraries.iter().enumerate() {
            if !is_file_name(&entry.target) {
                return wrong(format!("`{}` is not a target", entry.target));
            }
            if self.libraries[..at].iter().any(|other| other.target == entry.target) {
                return wrong(format!("it lists two libraries for {}", entry.target));
            }
            entry.check_size()?;
        }
        Ok(())
    }
}

impl LibraryEntry {
    /// The entry for these bytes.
    #[must_use]
    pub fn of(target: &str, bytes: &[u8]) -> Self {
        Self { target: target.to_owned(), blake3: CodeId::of(bytes), size: bytes.len() as u64 }
    }

    pub(super) fn path(&self) -> String {
        format!("lib/{}.so", self.target)
    }

    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), BundleError> {
        let found = CodeId::of(bytes);
        if found != self.blake3 || bytes.len() as u64 != self.size {
            let (target, expected) = (self.target.clone(), self.blake3);
            return Err(BundleError::LibraryHash { target, expected, found });
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), BundleError> {
        if self.size > LIBRARY_BYTES_MAX {
            let part = format!("the library for {}", self.target);
            return Err(BundleError::TooLarge { part, size: self.size, max: LIBRARY_BYTES_MAX });
        }
        Ok(())
    }
}

/// Letters, digits and `_ . -`, and no dot first: good in a path everywhere.
fn is_file_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=100).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(good)
}
