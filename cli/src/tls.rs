//! Who this program is over TLS: certificate and key, from a folder as `midflight certs` makes it.

mod refusal;
mod rotation;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use midflight_runtime::Handle;
use midflight_transport_tcp::{Credentials, TcpConfig, TlsTransport};
use time::{Duration, OffsetDateTime};

use crate::certs::{Host, Parsed, now};
use crate::network::HostPort;
use crate::secret::FOR_OTHERS;
pub(crate) use refusal::Refusal;

/// The longest file that is read.
const BYTES_MAX: u64 = 1024 * 1024;
/// Whoever's certificate ends this soon is told so.
const SOON: Duration = Duration::days(7);

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{} cannot be read", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the certificate {} is of no use: {why}", path.display())]
    Unusable { path: PathBuf, why: String },
}

impl TlsError {
    /// What helps.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::File { .. } => {
                "make what is missing with `midflight certs --node NAME`, and name its folder with \
                 --certs DIR or the variable MIDFLIGHT_CERTS"
            }
            Self::Unusable { .. } => "make a new one: midflight certs --renew --node NAME",
        }
    }
}

/// The files of one identity.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    name: String,
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// What was in the files at one moment. Holds a key: it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A transport over TLS, and the files behind it.
pub(crate) struct Identified {
    pub(crate) transport: TlsTransport,
    files: Files,
    content: Content,
    parsed: Parsed,
}

impl Identified {
    /// A transport that shows the certificate of `name` in `folder`.
    pub(crate) async fn open(
        runtime: &Handle,
        folder: &Path,
        name: &str,
    ) -> Result<Self, TlsError> {
        let files = Files::of(folder, name);
        let content = files.read(runtime).await?;
        files.warn_of_readers();
        let unusable = |why| TlsError::Unusable { path: files.certificate.clone(), why };
        let (credentials, parsed) = content.credentials(name).map_err(unusable)?;
        let transport = TlsTransport::new(TcpConfig::default(), credentials, runtime.clone())
            .map_err(|error| unusable(error.to_string()))?;
        if let Some(warning) = ending(parsed.until, name, now(runtime)) {
            tracing::warn!("{warning}");
        }
        Ok(Self { transport, files, content, parsed })
    }

    /// Why no peer would believe that this node is at `address`, if that is so.
    pub(crate) fn objection_to(&self, address: &HostPort) -> Option<String> {
        let own_name = self.parsed.name.iter().cloned();
        let hosts = self.parsed.hosts.iter().map(ToString::to_string);
        let hosts: Vec<String> = own_name.chain(hosts).collect();
        let asked = address.host().parse::<Host>().map(|host| host.to_string()).unwrap_or_default();
        // Which hosts a pattern covers is for TLS to say.
        let covers = |host: &String| host.starts_with("*.") || host.eq_ignore_ascii_case(&asked);
        if hosts.iter().any(covers) {
            return None;
        }
        let name = &self.files.name;
        Some(format!(
            "others would dial {address}, and the certificate of {name} is for {} alone: give one \
             of these with --advertise HOST:PORT, or renew it with `midflight certs --renew --node \
             {name} --host HOST`",
            hosts.join(", "),
        ))
    }
}

impl Files {
    fn of(folder: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            authority: folder.join("ca.pem"),
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        }
    }

    /// Says so when others on this machine can read the key.
    fn warn_of_readers(&self) {
        let mode = std::fs::metadata(&self.key).map_or(0, |key| key.permissions().mode());
        if mode & FOR_OTHERS != 0 {
            let path = self.key.display();
            tracing::warn!("others on this machine can read the key {path}: chmod 600 {path}");
        }
    }

    async fn read(&self, runtime: &Handle) -> Result<Content, TlsError> {
        let read = async |path: &PathBuf| {
            let read = runtime.files().read(path.clone(), BYTES_MAX).await;
            read.map_err(|source| TlsError::File { path: path.clone(), source })
        };
        Ok(Content {
            authority: read(&self.authority).await?,
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
        })
    }
}

impl Content {
    /// What it says, when it is a certificate of `name`.
    fn credentials(&self, name: &str) -> Result<(Credentials, Parsed), String> {
        let credentials = Credentials::from_pem(&self.authority, &self.certificate, &self.key)
            .map_err(|error| error.to_string())?;
        if credentials.identity() != name {
            return Err(format!("it is the certificate of {}", credentials.identity()));
        }
        let pem = std::str::from_utf8(&self.certificate).map_err(|error| error.to_string())?;
        Ok((credentials, Parsed::read(pem)?))
    }
}

/// That a certificate has ended or soon will, in words.
fn ending(until: OffsetDateTime, name: &str, now: OffsetDateTime) -> Option<String> {
    let words = match until - now {
        left if left <= Duration::ZERO => "ended: nobody takes it any more",
        left if left <= SOON => "ends soon",
        _ => return None,
    };
    let date = until.date();
    let renew = format!("`midflight certs --renew --node {name}` makes another");
    Some(format!("the certificate of {name} is valid until {date} and {words}; {renew}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_time() {
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(ending(now + Duration::days(8), "a", now), None);
        let soon = ending(now + Duration::days(6), "a", now).unwrap();
        assert!(soon.contains("1970-01-07 and ends soon"), "{soon}");
        let ended = ending(now, "a", now).unwrap();
        assert!(ended.contains("nobody takes it") && ended.contains("--renew --node a"), "{ended}");
    }
}
