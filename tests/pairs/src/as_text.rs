//! Functions for `#[serde(with = "…")]`: bytes that are written as a text, and must be ASCII.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes the text.
///
/// # Errors
///
/// When the bytes are none.
pub fn serialize<S: Serializer>(of: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(std::str::from_utf8(of).map_err(S::Error::custom)?)
}

/// Reads the text.
///
/// # Errors
///
/// When it is not ASCII.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_ascii() { Ok(text.into_bytes()) } else { Err(D::Error::custom("not ASCII")) }
}
