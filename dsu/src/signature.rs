//! Who vouches for a bundle: Ed25519 signatures over its content address, and until when.

mod scope;
mod trust;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ed25519_dalek::Signer as _;
use midflight_runtime::Runtime;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bundle::BundleError;
use crate::hash::ContentAddress;

pub use scope::{Scope, ScopeError};
pub use trust::{SignatureError, TrustedKeys};

/// Signed in front of the address, so that no signature is ever good for anything else.
const DOMAIN: &[u8] = b"midflight bundle signature v2\0";
/// The most signatures of one bundle.
pub(crate) const SIGNATURES_MAX: usize = 16;

/// A public key. Its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// A text is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 hexadecimal digits, as in keys/development.pub")]
pub struct KeyError;

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key).map_err(|_not_hex| KeyError)?;
        ed25519_dalek::VerifyingKey::from_bytes(&key).map_err(|_no_point| KeyError)?;
        Ok(Self(key))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A key to sign with. Its text, in a key file, is 64 hexadecimal digits.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key.
    #[must_use]
    pub fn generate(runtime: &dyn Runtime) -> Self {
        let mut secret = [0; 32];
        runtime.fill_random(&mut secret);
        Self(ed25519_dalek::SigningKey::from_bytes(&secret))
    }

    /// What others check its signatures with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The text for a key file.
    #[must_use]
    pub fn to_text(&self) -> String {
        hex::encode(self.0.to_bytes())
    }

    /// Signs a bundle, for ever or until `expires`, seconds since the Unix epoch.
    pub(crate) fn sign(&self, address: ContentAddress, expires: Option<u64>) -> Signature {
        let signature = self.0.sign(&signed_bytes(address, expires));
        Signature {
            key: hex::encode(self.public().0),
            expires,
            signature: hex::encode(signature.to_bytes()),
        }
    }
}

impl FromStr for SigningKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        hex::decode_to_slice(text.trim(), &mut secret).map_err(|_not_hex| KeyError)?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public())
    }
}

/// A signature, as the bundle carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The public key's text.
    #[serde(deserialize_with = "lower_hex::<32, _>")]
    pub key: String,
    /// Until when it is good, in seconds since the Unix epoch; for ever when there is nothing. It is signed, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// The signature, in 128 lower-case hexadecimal digits.
    #[serde(deserialize_with = "lower_hex::<64, _>")]
    pub signature: String,
}

/// The signatures of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signatures {
    signatures: Vec<Signature>,
}

impl Signatures {
    /// Adds a signature, or replaces the one that its key made before.
    pub(crate) fn put(&mut self, signature: Signature) -> Result<(), BundleError> {
        let others = self.signatures.iter().filter(|other| other.key != signature.key).count();
        if others >= SIGNATURES_MAX {
            return Err(BundleError::TooManySignatures);
        }
        self.signatures.retain(|other| other.key != signature.key);
        self.signatures.push(signature);
        Ok(())
    }

    pub(crate) fn all(&self) -> &[Signature] {
        &self.signatures
    }

    pub(crate) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}

/// The one text of `N` bytes. Other ways to write the same bytes would give one bundle several files.
fn lower_hex<'de, const N: usize, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let mut bytes = [0; N];
    let decoded = hex::decode_to_slice(&text, &mut bytes);
    if decoded.is_ok() && hex::encode(bytes) == text {
        Ok(text)
    } else {
        let expected = format!("{} lower-case hexadecimal digits", 2 * N);
        Err(serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &&*expected))
    }
}

impl Signature {
    /// Whether it is the key's own word on that bundle. Whether the key is trusted, and the signature still
    /// good, is for each node to say.
    #[must_use]
    pub fn fits(&self, address: ContentAddress) -> bool {
        let key = self.key.parse();
        key.is_ok_and(|key| verify_one(&key, address, self).is_ok())
    }

    /// Whether it is good no more.
    fn has_expired(&self, now: Duration) -> bool {
        self.expires.is_some_and(|expires| expires <= now.as_secs())
    }
}

fn verify_one(
    key: &PublicKey,
    address: ContentAddress,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let bad = || SignatureError::Bad { key: *key };
    let mut bytes = [0; 64];
    hex::decode_to_slice(&signature.signature, &mut bytes).map_err(|_not_hex| bad())?;
    let expires = signature.expires;
    let signature = ed25519_dalek::Signature::from_bytes(&bytes);
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key.0).map_err(|_no_point| bad())?;
    key.verify_strict(&signed_bytes(address, expires), &signature).map_err(|_unfit| bad())
}

/// All of one length, so that no two statements have the same bytes: `0` and a time, or `1` and none.
fn signed_bytes(address: ContentAddress, expires: Option<u64>) -> Vec<u8> {
    let never = [u8::from(expires.is_none())];
    let expires = expires.unwrap_or_default().to_le_bytes();
    [DOMAIN, address.as_bytes().as_slice(), &never, &expires].concat()
}
