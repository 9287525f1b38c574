//! How plain tokio sets up rustls: TLS 1.3 with AES-256-GCM and nothing else, each side with a
//! certificate.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificates::Certificates;

/// For the side that connects.
pub(super) fn connector(certificates: &Certificates) -> Result<TlsConnector, String> {
    let (chain, key) = own(certificates)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(text)?
        .with_root_certificates(authority(certificates)?)
        .with_client_auth_cert(chain, key)
        .map_err(text)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// For the side that accepts.
pub(super) fn acceptor(certificates: &Certificates) -> Result<TlsAcceptor, String> {
    let (chain, key) = own(certificates)?;
    let authority = Arc::new(authority(certificates)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(authority, provider()).build();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(text)?
        .with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        .with_single_cert(chain, key)
        .map_err(text)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
    Arc::new(provider)
}

fn authority(certificates: &Certificates) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(certificates.authority.as_bytes()) {
        roots.add(certificate.map_err(malformed)?).map_err(text)?;
    }
    Ok(roots)
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(certificates: &Certificates) -> Result<Own, String> {
    let chain = CertificateDer::pem_slice_iter(certificates.chain.as_bytes());
    let chain = chain.collect::<Result<_, _>>().map_err(malformed)?;
    Ok((chain, PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).map_err(malformed)?))
}

fn text(error: rustls::Error) -> String {
    error.to_string()
}

fn malformed(error: pem::Error) -> String {
    error.to_string()
}
