//! A failure of driven decoding, which learns its path on the way out.

use std::fmt::{self, Display};

use serde::de;

use crate::error::DecodeReason;
use crate::path::{MAX_TEXT_BYTES, Path, Step, shorten};

/// What went wrong, and where, from the inside out.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: DecodeReason,
    outwards: Vec<Step>,
}

impl Failure {
    /// The same, seen from one step further out.
    pub(crate) fn within(mut self, step: Step) -> Self {
        self.outwards.push(step);
        self
    }

    /// Where it went wrong, from the outside in.
    pub(crate) fn path(&self) -> String {
        let inwards: Vec<_> = self.outwards.iter().rev().cloned().collect();
        Path(&inwards).text()
    }
}

impl From<DecodeReason> for Failure {
    fn from(reason: DecodeReason) -> Self {
        Self { reason, outwards: Vec::new() }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.reason, f)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        DecodeReason::Refused(shorten(message.to_string(), MAX_TEXT_BYTES)).into()
    }
}
