//! A bundle: a signed, content-addressed archive of a manifest and one library per target.
//!
//! The file (`.mfb`) is a tar archive with exactly these entries, in this order: `manifest.json`,
//! `signature.json`, then `lib/<target>.so` for each library of the manifest. There is one file for
//! one content: reading refuses bytes that writing would not have made.

mod archive;
mod error;
mod manifest;

use crate::hash::ContentAddress;
use crate::signature::{Signature, Signatures, SigningKey};

pub use error::BundleError;
pub use manifest::{LibraryEntry, Manifest, PanicStrategy};

/// The largest manifest.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// The largest library.
pub const LIBRARY_BYTES_MAX: u64 = 64 << 20;
/// The largest bundle.
pub const BUNDLE_BYTES_MAX: u64 = 256 << 20;

/// A bundle whose parts fit together. Whether its signature is trusted and its libraries are fit to
/// run is for [`check`](crate::check).
#[derive(Clone)]
pub struct Bundle {
    address: ContentAddress,
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
    signatures: Signatures,
    /// In the order of the manifest.
    libraries: Vec<Vec<u8>>,
}

impl Bundle {
    /// Puts a bundle together; `libraries` in the order of the manifest. It is unsigned.
    ///
    /// # Errors
    /// [`BundleError`] when the manifest breaks a bound or does not fit the libraries.
    pub fn new(manifest: Manifest, libraries: Vec<Vec<u8>>) -> Result<Self, BundleError> {
        let manifest_bytes = manifest.to_bytes()?;
        Self::assemble(manifest, manifest_bytes, Signatures::default(), libraries)
    }

    /// Reads a bundle file.
    ///
    /// # Errors
    /// [`BundleError`]: whatever the bytes are, they cost no more than an error.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        archive::read(bytes)
    }

    /// The bundle file.
    ///
    /// # Errors
    /// [`BundleError::TooLarge`].
    pub fn write(&self) -> Result<Vec<u8>, BundleError> {
        archive::write(self)
    }

    /// Adds a signature by `key`, or replaces the one it made before.
    ///
    /// # Errors
    /// [`BundleError::TooManySignatures`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), BundleError> {
        self.sign_until(key, None)
    }

    /// As [`Bundle::sign`], good until `expires`, in seconds since the Unix epoch, or for ever.
    ///
    /// # Errors
    /// [`BundleError::TooManySignatures`].
    pub fn sign_until(
        &mut self,
        key: &SigningKey,
        expires: Option<u64>,
    ) -> Result<(), BundleError> {
        self.signatures.put(key.sign(self.address, expires))
    }

    /// Its name: the hash of its manifest.
    #[must_use]
    pub const fn address(&self) -> ContentAddress {
        self.address
    }

    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes that its address is the hash of.
    #[must_use]
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// Who signed it.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        self.signatures.all()
    }

    /// The library for `target`.
    #[must_use]
    pub fn library(&self, target: &str) -> Option<(&LibraryEntry, &[u8])> {
        let mut all = self.manifest.libraries.iter().zip(&self.libraries);
        all.find(|(entry, _)| entry.target == target).map(|(entry, bytes)| (entry, &**bytes))
    }

    fn assemble(
        manifest: Manifest,
        manifest_bytes: Vec<u8>,
        signatures: Signatures,
        libraries: Vec<Vec<u8>>,
    ) -> Result<Self, BundleError> {
        manifest.check()?;
        if manifest.libraries.len() != libraries.len() {
            return Err(BundleError::Libraries {
                listed: manifest.libraries.len(),
                found: libraries.len(),
            });
        }
        for (entry, bytes) in manifest.libraries.iter().zip(&libraries) {
            entry.check(bytes)?;
        }
        let address = ContentAddress::of(&manifest_bytes);
        Ok(Self { address, manifest, manifest_bytes, signatures, libraries })
    }
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle")
            .field("address", &self.address)
            .field("name", &self.manifest.name)
            .field("version", &self.manifest.version)
            .finish_non_exhaustive()
    }
}
