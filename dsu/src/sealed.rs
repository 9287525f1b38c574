//! Files that a node keeps about itself: what they are for, their content, and a hash over both, so that a file that was
//! cut, garbled or written by another program is told from one that says something (R4).

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The hash at the end.
pub(crate) const HASH_BYTES: usize = 32;

/// A file is not one of ours, or not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It has other first bytes, or a form that a later program writes.
    #[error("it is no file of this kind that this program can read")]
    Foreign,
    /// Its content is not what its hash says.
    #[error("it is damaged")]
    Damaged,
}

/// The file of `content`. `kind` says what it is for, and in which form.
pub(crate) fn seal<T: Serialize>(kind: &[u8; 9], content: &T) -> Vec<u8> {
    let bytes = postcard::to_extend(content, kind.to_vec());
    let mut bytes = bytes.expect("what nodes keep has an encoding");
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

/// What such a file says.
pub(crate) fn open<T: DeserializeOwned>(kind: &[u8; 9], file: &[u8]) -> Result<T, SealError> {
    if !file.starts_with(kind) {
        return Err(SealError::Foreign);
    }
    let hash_at = file.len().checked_sub(HASH_BYTES).filter(|at| *at >= kind.len());
    let (said, hash) = file.split_at(hash_at.ok_or(SealError::Damaged)?);
    if blake3::hash(said).as_bytes() != hash {
        return Err(SealError::Damaged);
    }
    let read = postcard::take_from_bytes(&said[kind.len()..]);
    let (content, rest) = read.map_err(|_form| SealError::Damaged)?;
    if rest.is_empty() { Ok(content) } else { Err(SealError::Damaged) }
}
