//! A node's certificate and key: made, kept or made anew.

use std::path::PathBuf;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};
use time::OffsetDateTime;

use super::authority::{Authority, common_name, new_key};
use super::error::{CertsError, Whose};
use super::folder::{Existing, Folder, Kind, read};
use super::name::{Host, NodeName};
use super::parsed::Parsed;

/// What is wanted.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) name: &'a NodeName,
    /// Where it is dialled, beside what every certificate has.
    pub(crate) hosts: &'a [Host],
    pub(crate) days: u16,
    /// What is there is replaced.
    pub(crate) renew: bool,
    pub(crate) now: OffsetDateTime,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) name: NodeName,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) outcome: Outcome,
    pub(crate) hosts: Vec<Host>,
    pub(crate) until: OffsetDateTime,
    /// What is wrong with one that was kept.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Made,
    Renewed,
    Kept,
}

impl Order<'_> {
    /// Sees to it that the node has a certificate and its key.
    pub(crate) fn fill(self, folder: &Folder, authority: &Authority) -> Result<Issued, CertsError> {
        let certificate = folder.file(self.name.as_str(), "pem");
        let key = folder.file(self.name.as_str(), "key");
        let (old_pem, old_key) = (read(&certificate)?, read(&key)?);
        let half = |there: &PathBuf, missing: &PathBuf| CertsError::Half {
            there: there.clone(),
            missing: missing.clone(),
            whose: Whose::Node,
        };
        let mut warnings = Vec::new();
        let (outcome, parsed) = match (old_pem, old_key) {
            (None, None) => (Outcome::Made, self.make(folder, authority, self.wanted_hosts(&[]))?),
            (old_pem, _) if self.renew => {
                let old = old_pem.and_then(|pem| Parsed::read(&pem).ok());
                if old.is_none() {
                    warnings.push(format!(
                        "the old certificate of {} could not be read: if it had hosts of its own, give \
                         them again with --host",
                        self.name.as_str()
                    ));
                }
                let old_hosts = old.map(|old| old.hosts).unwrap_or_default();
                (Outcome::Renewed, self.make(folder, authority, self.wanted_hosts(&old_hosts))?)
            }
            (Some(_), None) => return Err(half(&certificate, &key)),
            (None, Some(_)) => return Err(half(&key, &certificate)),
            (Some(pem), Some(key_pem)) => {
                let unusable = |path: &PathBuf, why| CertsError::Unusable {
                    path: path.clone(),
                    why,
                    whose: Whose::Node,
                };
                let parsed = Parsed::read(&pem).map_err(|why| unusable(&certificate, why))?;
                let pair = KeyPair::from_pem(&key_pem);
                let pair = pair.map_err(|error| unusable(&key, error.to_string()))?;
                if !parsed.has_key(&pair) {
                    return Err(unusable(&key, "it is not the key of the certificate".into()));
                }
                (Outcome::Kept, parsed)
            }
        };
        if matches!(outcome, Outcome::Kept) {
            warnings = self.what_is_wrong(&parsed, &authority.certificate);
        }
        let (name, hosts, until) = (self.name.clone(), parsed.hosts, parsed.until);
        Ok(Issued { name, certificate, key, outcome, hosts, until, warnings })
    }

    /// The hosts of the new certificate: everyone's, the old one's, and those asked for, once each.
    fn wanted_hosts(&self, old: &[Host]) -> Vec<Host> {
        let mut hosts: Vec<Host> = Host::own_machine().into();
        for host in old.iter().chain(self.hosts) {
            let is_own_name = *host == Host::Name(self.name.to_string());
            if !is_own_name && !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        hosts
    }

    /// Makes key and certificate and writes them, the key first: until both are there they do not
    /// fit together, and whoever reads them meanwhile sees that.
    fn make(
        &self,
        folder: &Folder,
        authority: &Authority,
        hosts: Vec<Host>,
    ) -> Result<Parsed, CertsError> {
        let what = || format!("a certificate for {}", self.name);
        let made = self.sign(authority, &hosts);
        let (pem, key) = made.map_err(|source| CertsError::NotMade { what: what(), source })?;
        let existing = if self.renew { Existing::Replaced } else { Existing::Kept };
        let path = folder.file(self.name.as_str(), "key");
        folder.write(&path, &key.serialize_pem(), Kind::Key, existing)?;
        let path = folder.file(self.name.as_str(), "pem");
        folder.write(&path, &pem, Kind::Certificate, existing)?;
        Parsed::read(&pem).map_err(|why| CertsError::Unusable { path, why, whose: Whose::Node })
    }

    fn sign(
        &self,
        authority: &Authority,
        hosts: &[Host],
    ) -> Result<(String, KeyPair), rcgen::Error> {
        let key = new_key()?;
        let mut params = CertificateParams::default();
        [params.not_before, params.not_after] = authority.validity(self.now, self.days);
        params.distinguished_name = common_name(self.name.as_str());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // A node dials and is dialled.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        // The first is the node's identity.
        params.subject_alt_names.push(SanType::DnsName(self.name.as_str().try_into()?));
        for host in hosts {
            params.subject_alt_names.push(host.to_san()?);
        }
        Ok((params.signed_by(&key, &authority.issuer)?.pem(), key))
    }

    /// What makes a certificate that is kept unfit for what was asked.
    fn what_is_wrong(&self, kept: &Parsed, authority: &Parsed) -> Vec<String> {
        let mut wrong = Vec::new();
        if kept.name.as_deref() != Some(self.name.as_str()) {
            let name = kept.name.as_deref().unwrap_or("nobody");
            wrong.push(format!("it names {name} first, which is not the node's name"));
        }
        if !kept.names_issuer(authority) {
            wrong.push("another authority has made it".to_owned());
        }
        if kept.until <= self.now {
            wrong.push(format!("it was valid until {}", kept.until.date()));
        }
        let missing: Vec<_> = self.hosts.iter().filter(|host| !kept.hosts.contains(host)).collect();
        for host in missing.iter().filter(|host| host.to_string() != self.name.as_str()) {
            wrong.push(format!("it is not for the host {host}"));
        }
        wrong
    }
}
