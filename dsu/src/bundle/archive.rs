//! The bytes of a bundle file: strict tar.

use std::io::Write as _;

use super::{
    BUNDLE_BYTES_MAX, Bundle, BundleError, LIBRARY_BYTES_MAX, MANIFEST_BYTES_MAX, Manifest,
};
use crate::signature::Signatures;

const MANIFEST: &str = "manifest.json";
const SIGNATURES: &str = "signature.json";
const SIGNATURES_BYTES_MAX: u64 = 16 << 10;
const BLOCK: usize = 512;

pub(super) fn write(bundle: &Bundle) -> Result<Vec<u8>, BundleError> {
    let signatures = bundle.signatures.to_bytes().map_err(BundleError::Signatures)?;
    let content: u64 = bundle.manifest.libraries.iter().map(|entry| entry.size).sum();
    check_size("the bundle", content, BUNDLE_BYTES_MAX)?;
    let mut bytes = Vec::new();
    entry(&mut bytes, MANIFEST, &bundle.manifest_bytes)?;
    entry(&mut bytes, SIGNATURES, &signatures)?;
    for (library, content) in bundle.manifest.libraries.iter().zip(&bundle.libraries) {
        entry(&mut bytes, &library.path(), content)?;
    }
    // Two empty blocks end an archive.
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    check_size("the bundle", bytes.len() as u64, BUNDLE_BYTES_MAX)?;
    Ok(bytes)
}

/// Appends a regular file without owner or time: the same content gives the same bytes.
fn entry(bytes: &mut Vec<u8>, path: &str, content: &[u8]) -> Result<(), BundleError> {
    let garbled = |e: std::io::Error| BundleError::Garbled { why: e.to_string() };
    let mut header = tar::Header::new_ustar();
    header.set_path(path).map_err(garbled)?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    bytes.write_all(header.as_bytes()).map_err(garbled)?;
    bytes.write_all(content).map_err(garbled)?;
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

pub(super) fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
    check_size("the bundle", bytes.len() as u64, BUNDLE_BYTES_MAX)?;
    let mut reader = Reader { rest: bytes };
    let manifest_bytes = reader.entry(MANIFEST, MANIFEST_BYTES_MAX)?.to_vec();
    let manifest = Manifest::from_bytes(&manifest_bytes)?;
    manifest.check()?;
    let signatures = reader.entry(SIGNATURES, SIGNATURES_BYTES_MAX)?;
    let signatures = Signatures::from_bytes(signatures).map_err(BundleError::Signatures)?;
    let mut libraries = Vec::new();
    for library in &manifest.libraries {
        let content = reader.entry(&library.path(), LIBRARY_BYTES_MAX)?;
        library.check(content)?;
        libraries.push(content.to_vec());
    }
    reader.end()?;
    let bundle = Bundle::assemble(manifest, manifest_bytes, signatures, libraries)?;
    // Padding, owners, times, the hexadecimal digits of a signature: all that could differ without
    // changing what is read is settled by having only one way to write.
    if write(&bundle)? == bytes { Ok(bundle) } else { Err(BundleError::NotCanonical) }
}

/// Walks over the entries of an archive. Nothing is copied, so nothing is allocated for a size that
/// an entry only claims.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The content of the next entry, which must be called `expected`.
    fn entry(&mut self, expected: &str, max: u64) -> Result<&'a [u8], BundleError> {
        let header = self.header(expected)?;
        let Some(header) = header else {
            return Err(BundleError::Truncated { within: format!("what comes before {expected}") });
        };
        let found = name(&header);
        if found != expected || header.entry_type() != tar::EntryType::Regular {
            return Err(BundleError::Entry { expected: expected.to_owned(), found });
        }
        let size = header
            .entry_size()
            .map_err(|e| BundleError::Garbled { why: format!("the size of {expected}: {e}") })?;
        check_size(expected, size, max)?;
        let truncated = || BundleError::Truncated { within: expected.to_owned() };
        let size = usize::try_from(size).map_err(|_too_large| truncated())?;
        let content = self.rest.get(..size).ok_or_else(truncated)?;
        self.rest = self.rest.get(size.next_multiple_of(BLOCK)..).ok_or_else(truncated)?;
        Ok(content)
    }

    /// What ends an archive, and nothing else.
    fn end(&mut self) -> Result<(), BundleError> {
        match self.header("its end")? {
            Some(header) => Err(BundleError::UnknownEntry { found: name(&header) }),
            None if self.rest.len() < BLOCK => {
                Err(BundleError::Truncated { within: "its end".to_owned() })
            }
            None => Ok(()),
        }
    }

    /// The next header; none where the archive ends.
    fn header(&mut self, of: &str) -> Result<Option<tar::Header>, BundleError> {
        let truncated = || BundleError::Truncated { within: format!("the header of {of}") };
        let (block, rest) = self.rest.split_first_chunk::<BLOCK>().ok_or_else(truncated)?;
        self.rest = rest;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(block);
        let says = header.cksum().map_err(|e| BundleError::Garbled { why: e.to_string() })?;
        header.set_cksum();
        if header.cksum().ok() != Some(says) {
            let why = format!("the header of {of} has a wrong checksum");
            return Err(BundleError::Garbled { why });
        }
        Ok(Some(header))
    }
}

fn name(header: &tar::Header) -> String {
    String::from_utf8_lossy(&header.path_bytes()).into_owned()
}

fn check_size(part: &str, size: u64, max: u64) -> Result<(), BundleError> {
    if size > max {
        return Err(BundleError::TooLarge { part: part.to_owned(), size, max });
    }
    Ok(())
}
