//! Addresses as they are typed, and the transport they belong to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use midflight_runtime::Handle;
use midflight_transport_api::{Address, Transport};
use midflight_transport_tcp::{TcpConfig, TcpTransport};

use crate::args::{Wire, WireName};
use crate::error::Error;
use crate::signals::Watch;
use crate::tls::Identified;
use crate::{certs, signals};

/// `HOST:PORT`, with IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    host: String,
    port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = ["tcp:", "tls:"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let text = bare.unwrap_or(text);
        let wrong = || "give HOST:PORT, such as 127.0.0.1:7400 or [::1]:7400".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || (host.contains(':') && !bracketed) {
            return Err(wrong());
        }
        let port = port.parse().map_err(|_not_one| wrong())?;
        let address = Self { host: host.to_owned(), port };
        Address::new("tcp", &address.to_string()).map_err(|error| error.to_string())?;
        Ok(address)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl HostPort {
    /// This machine alone.
    pub(crate) fn loopback(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// The port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The same host at the `number`th port after this one; at port 0, which stands for any, the same again.
    pub(crate) fn at_port_after(&self, number: u16) -> Result<Self, Error> {
        let port = if self.port == 0 { Some(0) } else { self.port.checked_add(number) };
        let port = port.ok_or_else(|| {
            Error::Usage(format!("there is no port {number} after that of {self}: begin lower"))
        })?;
        Ok(Self { host: self.host.clone(), port })
    }

    /// The host, an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        let inner = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.unwrap_or(&self.host)
    }

    /// As a transport has it.
    pub(crate) fn address(&self, transport: &dyn Transport) -> Result<Address, Error> {
        Address::new(transport.scheme(), &self.to_string())
            .map_err(|_too_long| Error::BadAddress { address: self.to_string() })
    }

    /// Whether it is every address of a machine, at which one can listen and nobody can be dialled.
    pub(crate) fn is_unspecified(&self) -> bool {
        self.host().parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }

    /// Whether it says loopback in so many words, with nobody asked.
    pub(crate) fn is_loopback_literally(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether only this machine can reach it: every address the host stands for is loopback.
    pub(crate) async fn is_loopback(&self) -> bool {
        let bare = self.host();
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return ip.is_loopback();
        }
        match tokio::net::lookup_host((bare, self.port)).await {
            Ok(found) => {
                let found: Vec<_> = found.collect();
                !found.is_empty() && found.iter().all(|address| address.ip().is_loopback())
            }
            Err(_unknown) => false,
        }
    }
}

/// A transport between operating system processes, ready for use.
pub(crate) enum Network {
    Tcp(TcpTransport),
    Tls(Box<Identified>),
}

impl Network {
    /// The transport that was asked for. Over TLS this program is `name`.
    pub(crate) async fn open(runtime: &Handle, wire: &Wire, name: &str) -> Result<Self, Error> {
        match wire.transport {
            WireName::Tcp => {
                if wire.certs.is_some() {
                    tracing::warn!("certificates are named and not used: give --transport tls");
                }
                Ok(Self::Tcp(TcpTransport::new(TcpConfig::default(), runtime.clone())))
            }
            WireName::Tls => {
                let folder = certs::folder(wire.certs.clone())?;
                let identified = Identified::open(runtime, &folder, name).await?;
                Ok(Self::Tls(Box::new(identified)))
            }
        }
    }

    /// Sees to it that certificates that are renewed are taken, until what this answers is dropped.
    pub(crate) fn watch(self, runtime: &Handle) -> Result<Option<Watch>, Error> {
        match self {
            Self::Tcp(_) => Ok(None),
            Self::Tls(identified) => Ok(Some(identified.watch(runtime, signals::hangup()?))),
        }
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(identified) => &identified.transport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for good in ["127.0.0.1:7400", "localhost:0", "[::1]:7400"] {
            assert_eq!(good.parse::<HostPort>().unwrap().to_string(), good);
        }
        assert_eq!("tcp:a:1".parse::<HostPort>().unwrap().to_string(), "a:1");
        for bad in ["", "7400", "localhost", ":7400", "::1:7400", "a:70000", "a b:1"] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad}");
        }
    }
}
