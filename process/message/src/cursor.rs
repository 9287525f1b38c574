//! Reading postcard's primitives one by one, with a bound on the work.

use serde::Deserialize;

use crate::error::DecodeReason;
use crate::limits::{MAX_FREE_VALUES, VALUES_PER_BYTE};
use crate::shape::Variant;
use crate::tree::Type;

/// What is left of the bytes, and of the values they may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'de> {
    rest: &'de [u8],
    values: u64,
}

impl<'de> Cursor<'de> {
    pub(crate) const fn new(bytes: &'de [u8]) -> Self {
        let values = (bytes.len() as u64).saturating_mul(VALUES_PER_BYTE);
        Self { rest: bytes, values: values.saturating_add(MAX_FREE_VALUES) }
    }

    /// How many bytes are left.
    pub(crate) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Counts one value, with or without bytes.
    pub(crate) fn count(&mut self) -> Result<(), DecodeReason> {
        self.values = self.values.checked_sub(1).ok_or(DecodeReason::TooManyValues)?;
        Ok(())
    }

    /// Reads one primitive exactly as postcard does.
    pub(crate) fn take<T: Deserialize<'de>>(&mut self) -> Result<T, DecodeReason> {
        let (value, rest) = postcard::take_from_bytes(self.rest)?;
        self.rest = rest;
        Ok(value)
    }

    /// Reads whether an optional value is there.
    pub(crate) fn presence(&mut self) -> Result<bool, DecodeReason> {
        match self.take::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeReason::Malformed("an option is neither absent nor present")),
        }
    }

    /// Reads which of an enum's variants it is.
    pub(crate) fn variant<'v>(
        &mut self,
        variants: &'v [Variant<Type>],
    ) -> Result<&'v Variant<Type>, DecodeReason> {
        let index = self.take::<u32>()?;
        variants.get(index as usize).ok_or(DecodeReason::UnknownVariant(index))
    }

    /// Takes so many bytes as they are.
    pub(crate) fn bytes(&mut self, length: u64) -> Result<&'de [u8], DecodeReason> {
        let length = usize::try_from(length).ok().ok_or(DecodeReason::EndOfBytes)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeReason::EndOfBytes)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Demands that nothing is left.
    pub(crate) const fn finish(&self) -> Result<(), DecodeReason> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeReason::LeftOver(self.rest.len())) }
    }
}
