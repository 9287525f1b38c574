//! Who the peer is, from its certificate, which has been verified.

use std::io;

use midflight_transport_api::Address;
use midflight_transport_stream::Proven;
use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::Chain;
use crate::address::host_port;

/// What the peer's certificates prove.
pub(super) fn of(chain: Option<&[CertificateDer<'static>]>) -> io::Result<Proven> {
    let chain = chain.unwrap_or_default().to_vec();
    let identity = identity(&chain)?;
    Ok(Proven { identity, covers: Box::new(move |address| covers(&chain, address)) })
}

/// The first DNS name.
pub(super) fn identity(chain: &[CertificateDer<'static>]) -> io::Result<String> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let own = chain.first().ok_or_else(|| wrong("there is no certificate"))?;
    let own = EndEntityCert::try_from(own).map_err(|e| wrong(&e.to_string()))?;
    let name = own.valid_dns_names().next().map(str::to_owned);
    name.ok_or_else(|| wrong("the certificate has no DNS name"))
}

/// Whether the certificate is for the host of `address`. A made-up name is nobody's host.
fn covers(chain: &Chain, address: &Address) -> bool {
    if address.rest().starts_with('~') {
        return true;
    }
    let own = chain.first().and_then(|own| EndEntityCert::try_from(own).ok());
    let host = host_port(address.rest()).and_then(|(host, _)| ServerName::try_from(host).ok());
    match (own, host) {
        (Some(own), Some(host)) => own.verify_is_valid_for_subject_name(&host).is_ok(),
        _ => false,
    }
}
