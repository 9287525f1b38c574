//! Reading postcard's primitives one by one.

use serde::Deserialize;

use crate::error::DecodeReason;

/// What is left of the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'de>(pub(crate) &'de [u8]);

impl<'de> Cursor<'de> {
    /// Reads one primitive exactly as postcard does.
    pub(crate) fn take<T: Deserialize<'de>>(&mut self) -> Result<T, DecodeReason> {
        let (value, rest) = postcard::take_from_bytes(self.0)?;
        self.0 = rest;
        Ok(value)
    }

    /// Reads the length of a list. Nothing is reserved for it.
    pub(crate) fn length(&mut self) -> Result<u64, DecodeReason> {
        self.take::<u64>()
    }

    /// Steps over so many bytes.
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<&'de [u8], DecodeReason> {
        let bytes = usize::try_from(bytes).ok().ok_or(DecodeReason::EndOfBytes)?;
        let (skipped, rest) = self.0.split_at_checked(bytes).ok_or(DecodeReason::EndOfBytes)?;
        self.0 = rest;
        Ok(skipped)
    }
}
