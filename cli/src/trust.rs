//! A trusted key on the command line: its text, or the file that holds it, and for which bundles.

use std::str::FromStr;
use std::{fmt, fs};

use midflight_dsu::signature::{PublicKey, Scope, TrustedKeys};

use crate::error::Error;

/// `--trust`.
#[derive(Debug, Clone)]
pub(crate) struct TrustedKey {
    key: PublicKey,
    scopes: Vec<Scope>,
}

impl TrustedKey {
    /// A key that may sign any bundle.
    pub(crate) fn of_all(key: PublicKey) -> Self {
        Self { key, scopes: vec![Scope::everything()] }
    }
}

/// As it may be typed.
impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<_> = self.scopes.iter().map(ToString::to_string).collect();
        write!(f, "{}={}", self.key, scopes.join(","))
    }
}

/// What a node with these flags trusts.
pub(crate) fn keys(trusted: &[TrustedKey], threshold: usize) -> Result<TrustedKeys, Error> {
    let mut keys = TrustedKeys::default().with_threshold(threshold);
    for TrustedKey { key, scopes } in trusted {
        keys = scopes.iter().fold(keys, |keys, scope| keys.and(*key, scope.clone()));
    }
    if !keys.is_empty() && keys.len() < threshold {
        return Err(Error::Usage(format!(
            "no bundle can be signed by {threshold} of {} trusted keys: give more with --trust, or a lower \
             --threshold",
            keys.len()
        )));
    }
    Ok(keys)
}

impl FromStr for TrustedKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A file may have `=` in its name; a key or a scope has none.
        let (key, scopes) = match (key(text), text.rsplit_once('=')) {
            (Err(_whole), Some((start, scopes))) => (key(start)?, scopes),
            (whole, _) => return whole.map(Self::of_all),
        };
        let scopes = scopes.split(',').map(|scope| {
            scope.parse().map_err(|error: midflight_dsu::signature::ScopeError| error.to_string())
        });
        Ok(Self { key, scopes: scopes.collect::<Result<_, _>>()? })
    }
}

fn key(text: &str) -> Result<PublicKey, String> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let words = fs::read_to_string(text).map_err(|_neither| {
        "neither 64 hexadecimal digits nor a file that holds them, such as \
         keys/development.pub in the data folder of `midflight build`"
            .to_owned()
    })?;
    words.parse().map_err(|error| format!("the file holds no key: {error}"))
}
