//! What a node asks of a bundle's signatures.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{KeyError, PublicKey, SIGNATURES_MAX, Scope, Signature, verify_one};
use crate::hash::ContentAddress;

/// The keys a node trusts, for which bundles, and how many of them must have signed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKeys {
    keys: BTreeMap<PublicKey, Vec<Scope>>,
    threshold: usize,
}

impl Default for TrustedKeys {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), threshold: 1 }
    }
}

impl TrustedKeys {
    /// Whether there are none: then no bundle is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many different keys are trusted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Trusts a key for the bundles of a scope, beside those it is trusted for already.
    #[must_use]
    pub fn and(mut self, key: PublicKey, scope: Scope) -> Self {
        self.keys.entry(key).or_default().push(scope);
        self
    }

    /// Asks for good signatures by so many different keys, at least 1.
    #[must_use]
    pub fn with_threshold(mut self, threshold: usize) -> Self {
        self.threshold = threshold.max(1);
        self
    }

    /// That enough of the trusted keys vouch now for the bundle `name` at `address`. Answers the first of them in
    /// the bundle.
    ///
    /// # Errors
    /// [`SignatureError`]. A bad signature that claims a trusted key is an error, also next to good ones.
    pub fn verify(
        &self,
        name: &str,
        address: ContentAddress,
        signatures: &[Signature],
        now: Duration,
    ) -> Result<PublicKey, SignatureError> {
        let good = self.vouching(name, address, signatures, now)?;
        good.first().copied().ok_or(SignatureError::Unsigned)
    }

    /// As [`TrustedKeys::verify`]; answers all that vouch for it, in the order of the bundle. There is at least one.
    pub(crate) fn vouching(
        &self,
        name: &str,
        address: ContentAddress,
        signatures: &[Signature],
        now: Duration,
    ) -> Result<Vec<PublicKey>, SignatureError> {
        if signatures.is_empty() {
            return Err(SignatureError::Unsigned);
        }
        if signatures.len() > SIGNATURES_MAX {
            return Err(SignatureError::TooMany);
        }
        let mut good: Vec<PublicKey> = Vec::new();
        let mut not_counted = None;
        for signature in signatures {
            let key: PublicKey = signature.key.parse()?;
            let Some(scopes) = self.keys.get(&key) else { continue };
            verify_one(&key, address, signature)?;
            if !scopes.iter().any(|scope| scope.holds(name)) {
                let bundle = name.to_owned();
                not_counted =
                    Some(SignatureError::OutOfScope { key, bundle, scopes: list(scopes) });
            } else if let Some(expired) = signature.expires.filter(|_| signature.has_expired(now)) {
                not_counted = Some(SignatureError::Expired { key, expired });
            } else if !good.contains(&key) {
                good.push(key);
            }
        }
        match good.len() {
            0 => Err(not_counted.unwrap_or_else(|| SignatureError::Untrusted {
                keys: signatures.iter().map(|s| s.key.clone()).collect::<Vec<_>>().join(", "),
            })),
            few if few < self.threshold => {
                Err(SignatureError::TooFew { good: few, needed: self.threshold })
            }
            _ => Ok(good),
        }
    }
}

/// Keys that are trusted for every bundle.
impl FromIterator<PublicKey> for TrustedKeys {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let keys = keys.into_iter();
        keys.fold(Self::default(), |trusted, key| trusted.and(key, Scope::everything()))
    }
}

fn list(scopes: &[Scope]) -> String {
    scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a bundle is not vouched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Nobody signed it.
    #[error("the bundle is not signed")]
    Unsigned,
    /// Those who signed it are not trusted here.
    #[error("the bundle is signed by {keys}, which this node does not trust")]
    Untrusted {
        /// The keys that signed it.
        keys: String,
    },
    /// A signature does not fit the bundle.
    #[error("the signature by {key} does not fit the bundle: it was changed after signing")]
    Bad {
        /// The key it claims.
        key: PublicKey,
    },
    /// Who signed it is trusted for other bundles.
    #[error("{key} is trusted for {scopes} alone, not for `{bundle}`")]
    OutOfScope {
        /// The key.
        key: PublicKey,
        /// The bundle's name.
        bundle: String,
        /// What it is trusted for.
        scopes: String,
    },
    /// The signature was good until some time ago.
    #[error(
        "the signature by {key} has expired ({expired} s after 1970 began): have it signed anew with \
         `midflight sign`, and see that this node's clock is right"
    )]
    Expired {
        /// The key.
        key: PublicKey,
        /// When, in seconds since the Unix epoch.
        expired: u64,
    },
    /// Fewer have signed it than this node asks for.
    #[error(
        "the bundle has good signatures by {good} of the keys that this node trusts, and needs {needed}: have \
         others sign it with `midflight sign`"
    )]
    TooFew {
        /// How many have.
        good: usize,
        /// How many must.
        needed: usize,
    },
    /// A key is not one.
    #[error("the bundle is signed by what is no key")]
    Key(#[from] KeyError),
    /// There are more signatures than anyone checks.
    #[error("the bundle has more than {SIGNATURES_MAX} signatures")]
    TooMany,
}
