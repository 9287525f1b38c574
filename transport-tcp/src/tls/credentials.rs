//! What a node shows, and whom it believes.

use std::fmt;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Chain, proof};

/// A node's certificate and key, and the authorities whose certificates it believes.
pub struct Credentials {
    pub(super) authorities: Chain,
    pub(super) chain: Chain,
    pub(super) key: PrivateKeyDer<'static>,
    identity: String,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A part is no PEM, or there is nothing of the kind in it.
    #[error("no {what} in PEM: {source}")]
    Missing {
        /// Which part.
        what: &'static str,
        /// What the reader says.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate names no node.
    #[error("the certificate cannot stand for a node: {0}")]
    NoName(String),
    /// An authority's certificate cannot be used.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(rustls::Error),
    /// The certificate and the key do not belong together, or cannot be used.
    #[error("the certificate and its key cannot be used: {0}")]
    Certificate(rustls::Error),
    /// What peers show could not be checked.
    #[error("peers cannot be verified: {0}")]
    Verifier(rustls::server::VerifierBuilderError),
}

impl Credentials {
    /// Reads PEM: the certificates of the authorities, the node's own followed by those in between,
    /// and its private key (PKCS #8, SEC 1 or PKCS #1).
    ///
    /// # Errors
    /// `Missing` for a part that has nothing of its kind; `NoName` when the certificate has no DNS
    /// name. Whether all belongs together is seen when it is used.
    pub fn from_pem(
        authorities: &[u8],
        chain: &[u8],
        key: &[u8],
    ) -> Result<Self, CredentialsError> {
        let chain = certificates("certificate", chain)?;
        let identity =
            proof::identity(&chain).map_err(|e| CredentialsError::NoName(e.to_string()))?;
        Ok(Self {
            authorities: certificates("authority's certificate", authorities)?,
            chain,
            key: PrivateKeyDer::from_pem_slice(key)
                .map_err(|source| CredentialsError::Missing { what: "private key", source })?,
            identity,
        })
    }

    /// The name that peers see.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Chain, CredentialsError> {
    let missing = |source| CredentialsError::Missing { what, source };
    let found: Result<Chain, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(missing)?;
    if found.is_empty() {
        return Err(missing(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(found)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key.
        f.debug_struct("Credentials").field("identity", &self.identity).finish_non_exhaustive()
    }
}
