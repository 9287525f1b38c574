//! What a frame carries besides its payload: small typed entries.

use super::Violation;

/// The bit of a type that says: who does not know this must not use the frame.
pub const CRITICAL: u8 = 0x80;
/// The longest entries of one frame together, in bytes.
pub const EXTENSIONS_MAX: usize = 4096;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its type, with [`CRITICAL`] in the high bit.
    pub kind: u8,
    /// Its bytes.
    pub value: &'a [u8],
}

/// The entries in `entries`, which are those of [`Frame::extensions`](super::Frame::extensions) or
/// of [`LinkEvent::Received`](crate::LinkEvent::Received) and so well-formed; ends at the first that
/// is not.
pub fn extensions(mut entries: &[u8]) -> impl Iterator<Item = Extension<'_>> {
    std::iter::from_fn(move || {
        let (extension, rest) = first(entries)?;
        entries = rest;
        Some(extension)
    })
}

/// Appends one entry.
///
/// # Panics
/// When `value` is longer than 255 bytes: a mistake of the caller.
pub fn push_extension(entries: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let len = u8::try_from(value.len()).expect("an extension has at most 255 bytes");
    entries.extend_from_slice(&[kind, len]);
    entries.extend_from_slice(value);
}

/// Parts the entries from the payload behind them.
pub(super) fn split(payload: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let (len, rest) =
        payload.split_first_chunk::<2>().ok_or(Violation::Extensions("their length is missing"))?;
    let len = usize::from(u16::from_le_bytes(*len));
    if len > EXTENSIONS_MAX {
        return Err(Violation::Extensions("they are too long"));
    }
    let (entries, payload) =
        rest.split_at_checked(len).ok_or(Violation::Extensions("they end after the frame"))?;
    let mut left = entries;
    while !left.is_empty() {
        (_, left) = first(left).ok_or(Violation::Extensions("an entry ends after them"))?;
    }
    Ok((entries, payload))
}

/// Refuses `entries` when one of them is critical and not `known`. For the layer above, which alone
/// knows the extensions of messages.
///
/// # Errors
/// [`Violation::Critical`] with the first such type.
pub fn refuse_critical(entries: &[u8], known: impl Fn(u8) -> bool) -> Result<(), Violation> {
    match extensions(entries).find(|e| e.kind & CRITICAL != 0 && !known(e.kind)) {
        Some(extension) => Err(Violation::Critical(extension.kind)),
        None => Ok(()),
    }
}

fn first(entries: &[u8]) -> Option<(Extension<'_>, &[u8])> {
    let (&[kind, len], rest) = entries.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(usize::from(len))?;
    Some((Extension { kind, value }, rest))
}
