//! The settings of both sides of a session.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::{Credentials, CredentialsError};

/// What both sides say they are about to speak, so that a certificate is good for nothing else.
pub(super) const ALPN: &[u8] = b"midflight";

/// Made of one set of credentials.
#[derive(Debug)]
pub(super) struct Configs {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
}

impl Configs {
    pub(super) fn new(credentials: Credentials) -> Result<Self, CredentialsError> {
        Self::with(credentials, Arc::new(rustls::crypto::ring::default_provider()))
    }

    /// With the suites of `provider`.
    pub(super) fn with(
        credentials: Credentials,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CredentialsError> {
        let Credentials { authorities, chain, key, .. } = credentials;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(CredentialsError::Authority)?;
        }
        let roots = Arc::new(roots);
        // The key is loaded once, for both sides.
        let shown = CertifiedKey::from_der(chain, key, &provider);
        let shown = Arc::new(shown.map_err(CredentialsError::Certificate)?);

        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(CredentialsError::Verifier)?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(CredentialsError::Certificate)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown.clone())));
        server.alpn_protocols = vec![ALPN.to_vec()];
        // A session that is resumed would be proven by what was valid when it began.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(CredentialsError::Certificate)?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        // The two halves of a session have their keys to themselves.
        (client.enable_secret_extraction, server.enable_secret_extraction) = (true, true);

        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }
}
