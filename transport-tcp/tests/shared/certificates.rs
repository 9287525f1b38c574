//! Certificates made for a test.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::{Arc, OnceLock};

use midflight_runtime::Handle;
use midflight_transport_api::Transport;
use midflight_transport_tcp::{Credentials, TcpConfig, TlsTransport};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

/// One who vouches for nodes.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A node's certificate and key, in PEM.
pub(crate) struct Issued {
    pub(crate) authority: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The authority of all who have no reason for another.
    pub(crate) fn common() -> &'static Self {
        static COMMON: OnceLock<Authority> = OnceLock::new();
        COMMON.get_or_init(|| Self::new("everybody's"))
    }

    /// A certificate for these names, the first of which is the identity.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    /// The same, after `change`.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued { authority: self.0.pem(), chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// One that has expired long ago.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1))
    }
}

impl Issued {
    /// The same, but believing `authorities`.
    pub(crate) fn believing(mut self, authorities: &[&Authority]) -> Self {
        self.authority = authorities.iter().map(|authority| authority.0.pem()).collect();
        self
    }

    pub(crate) fn credentials(&self) -> Credentials {
        let Self { authority, chain, key } = self;
        Credentials::from_pem(authority.as_bytes(), chain.as_bytes(), key.as_bytes()).unwrap()
    }
}

/// TLS between endpoints on this machine, as any of them may be.
pub(crate) fn tls(config: TcpConfig, runtime: Handle) -> Arc<dyn Transport> {
    let issued = Authority::common().issue(&["node", "localhost", "127.0.0.1", "::1"]);
    Arc::new(TlsTransport::new(config, issued.credentials(), runtime).unwrap())
}
