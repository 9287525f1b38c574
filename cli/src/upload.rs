//! Bringing a bundle to a node.

use std::path::Path;

use midflight_dsu::bundle::{BUNDLE_BYTES_MAX, Bundle};
use midflight_dsu::protocol::{CHUNK_BYTES, Chunk, Offer, Wanted};
use midflight_runtime::Handle;

use crate::control::Control;
use crate::error::Error;

/// A bundle file, read and whole.
#[derive(Debug, Clone)]
pub(crate) struct BundleFile {
    pub(crate) bundle: Bundle,
    pub(crate) bytes: Vec<u8>,
}

impl BundleFile {
    /// Reads it. `refused`: what is no bundle is refused, rather than found to be wrong.
    pub(crate) async fn read(runtime: &Handle, path: &Path, refused: bool) -> Result<Self, Error> {
        let read = runtime.files().read(path.to_owned(), BUNDLE_BYTES_MAX).await;
        let file = || path.to_owned();
        let bytes = match read {
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                let part = "the file".to_owned();
                let source = midflight_dsu::bundle::BundleError::TooLarge {
                    part,
                    size,
                    max: BUNDLE_BYTES_MAX,
                };
                return Err(Error::NoBundle { file: file(), refused, source });
            }
            other => other.map_err(|source| Error::File { file: file(), source })?,
        };
        let bundle = Bundle::read(&bytes).map_err(|source| Error::NoBundle {
            file: file(),
            refused,
            source,
        })?;
        Ok(Self { bundle, bytes })
    }

    /// The content address.
    pub(crate) fn address(&self) -> String {
        self.bundle.address().to_string()
    }

    /// `counter v2`.
    pub(crate) fn title(&self) -> String {
        let manifest = self.bundle.manifest();
        format!("{} v{}", manifest.name, manifest.version)
    }
}

/// Sends the parts of a bundle that the node has not. Answers how many bytes that were.
pub(crate) async fn send(control: &Control, file: &BundleFile) -> Result<u64, Error> {
    let (address, size) = (file.address(), file.bytes.len() as u64);
    let mut sent = 0;
    let mut wanted: Wanted = control.ask(Offer { address: address.clone(), size }).await?;
    loop {
        let offset = match wanted {
            Wanted::No => return Ok(sent),
            Wanted::Refused(reason) => {
                return Err(Error::Refused(format!(
                    "{} refuses the bundle: {reason}",
                    control.node
                )));
            }
            Wanted::From(offset) => offset,
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| file.bytes.get(offset..));
        let bytes = rest.map(|rest| &rest[..rest.len().min(CHUNK_BYTES)]).unwrap_or_default();
        if bytes.is_empty() || sent > size {
            let what = format!("{} wants byte {offset} of a bundle of {size}", control.node);
            return Err(Error::Wrong(what));
        }
        sent += bytes.len() as u64;
        let chunk = Chunk { address: address.clone(), offset, bytes: bytes.to_vec() };
        wanted = control.ask(chunk).await?;
    }
}
