//! What a certificate in a file says.

use std::net::IpAddr;

use rcgen::{KeyPair, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::name::Host;

/// The first certificate of a file.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// The first DNS name: the node's own.
    pub(crate) name: Option<String>,
    /// The other names.
    pub(crate) hosts: Vec<Host>,
    pub(crate) until: OffsetDateTime,
    pub(crate) is_authority: bool,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    public_key: Vec<u8>,
}

impl Parsed {
    /// Reads it; or says why not.
    pub(crate) fn read(pem: &str) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| format!("there is no certificate in it: {error}"))?;
        let parsed = x509_parser::parse_x509_certificate(&der);
        let (_rest, certificate) =
            parsed.map_err(|error| format!("its certificate cannot be read: {error}"))?;
        let mut names = names(&certificate)?;
        let first = names.iter().position(|name| matches!(name, Host::Name(_)));
        let name = first.map(|at| names.remove(at).to_string());
        let until = certificate.validity().not_after.timestamp();
        Ok(Self {
            name,
            hosts: names,
            until: OffsetDateTime::from_unix_timestamp(until).map_err(|error| error.to_string())?,
            is_authority: certificate.is_ca(),
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// Until when it is valid, as RFC 3339 writes it.
    pub(crate) fn until_in_words(&self) -> String {
        in_words(self.until)
    }

    /// Whether `key` is its key.
    pub(crate) fn has_key(&self, key: &KeyPair) -> bool {
        self.public_key == key.der_bytes()
    }

    /// Whether it says that `authority` has issued it. Whether that is true, TLS finds out.
    pub(crate) fn names_issuer(&self, authority: &Self) -> bool {
        self.issuer == authority.subject
    }
}

/// A moment as RFC 3339 writes it. Years of five digits, which it cannot write, have no words.
pub(crate) fn in_words(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<Host>, String> {
    let found = certificate.subject_alternative_name();
    let found = found.map_err(|error| format!("its names cannot be read: {error}"))?;
    let names = found.map(|found| found.value.general_names.as_slice()).unwrap_or_default();
    Ok(names.iter().filter_map(host).collect())
}

/// Other kinds of names are not looked at by TLS.
fn host(name: &GeneralName<'_>) -> Option<Host> {
    match name {
        GeneralName::DNSName(name) => Some(Host::Name((*name).to_owned())),
        GeneralName::IPAddress(bytes) => {
            let ip = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            ip.or_else(|_longer| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(Host::Ip)
        }
        _ => None,
    }
}
