//! The authority: the key that makes certificates, and the certificate by which nodes know it.

use midflight_runtime::Handle;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::{Duration, OffsetDateTime};

use super::error::{CertsError, Whose};
use super::folder::{Existing, Folder, Kind, read};
use super::parsed::Parsed;

/// How long a new authority stands. Changing it means new files on every machine.
const DAYS: i64 = 3650;
/// Certificates begin so much before they are made: not all clocks agree.
const BEFORE: Duration = Duration::hours(1);

/// Makes certificates.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) certificate: Parsed,
    /// Whether this run has made it.
    pub(crate) is_new: bool,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The folder's authority, made if it has none.
    pub(crate) fn of(folder: &Folder, runtime: &Handle) -> Result<Self, CertsError> {
        let (pem_path, key_path) = (folder.file("ca", "pem"), folder.file("ca", "key"));
        let whose = Whose::Authority;
        let half = |there: &_, missing: &_| CertsError::Half {
            there: Clone::clone(there),
            missing: Clone::clone(missing),
            whose,
        };
        match (read(&pem_path)?, read(&key_path)?) {
            (None, None) => {
                let (pem, key) = make(runtime).map_err(|source| CertsError::NotMade {
                    what: "an authority".into(),
                    source,
                })?;
                folder.write(&key_path, &key.serialize_pem(), Kind::Key, Existing::Kept)?;
                folder.write(&pem_path, &pem, Kind::Certificate, Existing::Kept)?;
                Self::from_pem(&pem, key, true).map_err(|why| CertsError::Unusable {
                    path: pem_path,
                    why,
                    whose,
                })
            }
            (Some(_), None) => Err(half(&pem_path, &key_path)),
            (None, Some(_)) => Err(half(&key_path, &pem_path)),
            (Some(pem), Some(key)) => {
                let key = KeyPair::from_pem(&key).map_err(|error| CertsError::Unusable {
                    path: key_path,
                    why: error.to_string(),
                    whose,
                })?;
                let found = Self::from_pem(&pem, key, false);
                found
                    .and_then(|authority| authority.still_stands(now(runtime)))
                    .map_err(|why| CertsError::Unusable { path: pem_path, why, whose })
            }
        }
    }

    fn from_pem(pem: &str, key: KeyPair, is_new: bool) -> Result<Self, String> {
        let certificate = Parsed::read(pem)?;
        if !certificate.is_authority {
            return Err("it is no authority's certificate".to_owned());
        }
        if !certificate.has_key(&key) {
            return Err("the key in ca.key is not its key".to_owned());
        }
        let issuer = Issuer::from_ca_cert_pem(pem, key).map_err(|error| error.to_string())?;
        Ok(Self { certificate, is_new, issuer })
    }

    fn still_stands(self, now: OffsetDateTime) -> Result<Self, String> {
        if self.certificate.until <= now {
            return Err(format!("it was valid until {}", self.certificate.until.date()));
        }
        Ok(self)
    }

    /// From when and until when a certificate for so many days holds: no longer than the authority.
    pub(crate) fn validity(&self, now: OffsetDateTime, days: u16) -> [OffsetDateTime; 2] {
        [now - BEFORE, (now + Duration::days(days.into())).min(self.certificate.until)]
    }
}

/// A new key of the kind that everything here has. Its chance is the cryptography's own.
pub(crate) fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// Now, in whole seconds, as certificates count.
pub(crate) fn now(runtime: &Handle) -> OffsetDateTime {
    let since = Duration::seconds(i64::try_from(runtime.unix_time().as_secs()).unwrap_or(i64::MAX));
    OffsetDateTime::UNIX_EPOCH.saturating_add(since)
}

fn make(runtime: &Handle) -> Result<(String, KeyPair), rcgen::Error> {
    let key = new_key()?;
    let now = now(runtime);
    let mut params = CertificateParams::default();
    params.not_before = now - BEFORE;
    params.not_after = now + Duration::days(DAYS);
    // Two authorities have two names: a certificate of the other one is told from a forged one.
    let number = runtime.random_u64();
    params.distinguished_name = common_name(&format!("Midflight development CA {number:016x}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params.self_signed(&key)?.pem(), key))
}

/// A subject of one name, for people.
pub(crate) fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}
