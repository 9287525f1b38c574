//! Certificates for one run: an authority, and one certificate for each side, all with P-256 keys.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde::{Deserialize, Serialize};

use super::workload::Wire;

/// Where both sides are: loopback.
pub(crate) const HOST: &str = "127.0.0.1";

/// What one side needs, as PEM.
#[derive(Serialize, Deserialize)]
pub(crate) struct Certificates {
    /// The authority that both trust.
    pub(super) authority: String,
    pub(super) chain: String,
    pub(super) key: String,
}

impl Certificates {
    /// Those of the near and the far side, where what they talk over needs any.
    pub(crate) fn for_wire(wire: Wire) -> Result<(Option<Self>, Option<Self>), String> {
        match wire {
            Wire::Tcp => Ok((None, None)),
            Wire::Tls => Self::two().map(|(near, far)| (Some(near), Some(far))),
        }
    }

    /// Those of two sides that trust each other.
    fn two() -> Result<(Self, Self), String> {
        let made = || {
            let issuer = authority()?;
            Ok((Self::of("near", &issuer)?, Self::of("far", &issuer)?))
        };
        made().map_err(|error: rcgen::Error| format!("no certificates: {error}"))
    }

    fn of(name: &str, issuer: &CertifiedIssuer<'_, KeyPair>) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new([name.to_owned(), HOST.to_owned()])?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, issuer)?;
        Ok(Self { authority: issuer.pem(), chain: certificate.pem(), key: key.serialize_pem() })
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, key)
}
