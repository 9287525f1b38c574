//! Where an endpoint is: `scheme:rest`, opaque to everything but its backend.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The address of an endpoint, such as `tcp:127.0.0.1:7400` or `mem:a`.
///
/// Two addresses are the same endpoint exactly when they are equal; a backend keeps its addresses
/// in one canonical form. At most [`Address::LEN_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Arc<str>);

impl Address {
    /// The longest address, in bytes; it bounds what a hostile peer can make us keep.
    pub const LEN_MAX: usize = 255;

    /// Makes an address of `scheme` and `rest`.
    ///
    /// # Errors
    /// When the scheme is empty or not lower-case letters and digits, the rest is empty, or the
    /// whole is longer than [`Address::LEN_MAX`].
    pub fn new(scheme: &str, rest: &str) -> Result<Self, AddressError> {
        format!("{scheme}:{rest}").parse()
    }

    /// The backend's name: what stands before the first colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// What stands after the first colon.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let well_formed = text.len() <= Self::LEN_MAX
            && text.split_once(':').is_some_and(|(scheme, rest)| {
                !scheme.is_empty()
                    && !rest.is_empty()
                    && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                    && rest.bytes().all(|b| b.is_ascii_graphic())
            });
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(AddressError(text.chars().take(Self::LEN_MAX).collect()))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no address: give scheme:rest in at most 255 printable bytes", self.0)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let address: Address = "tcp:[::1]:7400".parse().unwrap();
        assert_eq!((address.scheme(), address.rest()), ("tcp", "[::1]:7400"));
    }

    #[test]
    fn refusals_name_the_text() {
        for bad in
            ["", "tcp", "tcp:", ":x", "TCP:x", "tcp:a b", &format!("tcp:{}", "x".repeat(300))]
        {
            let error = bad.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains("is no address"), "{bad}");
        }
    }
}
