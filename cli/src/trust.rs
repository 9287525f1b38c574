//! A trusted key on the command line: its text, or the file that holds it.

use std::fs;
use std::str::FromStr;

use midflight_dsu::signature::PublicKey;

/// `--trust`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrustedKey(pub(crate) PublicKey);

impl FromStr for TrustedKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(key) = text.parse() {
            return Ok(Self(key));
        }
        let words = fs::read_to_string(text).map_err(|_neither| {
            "neither 64 hexadecimal digits nor a file that holds them, such as \
             keys/development.pub in the data folder of `midflight build`"
                .to_owned()
        })?;
        words.parse().map(Self).map_err(|error| format!("the file holds no key: {error}"))
    }
}
