//! Addresses as they are typed, and the transport they belong to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use midflight_runtime::Handle;
use midflight_transport_api::Address;
use midflight_transport_tcp::{TcpConfig, TcpTransport};

use crate::args::TransportName;
use crate::error::Error;

/// `HOST:PORT`, with IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    host: String,
    port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("tcp:").unwrap_or(text);
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
    /// The port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// As the transport has it.
    pub(crate) fn address(&self) -> Result<Address, Error> {
        Address::new("tcp", &self.to_string())
            .map_err(|_too_long| Error::BadAddress { address: self.to_string() })
    }

    /// Whether only this machine can reach it: every address the host stands for is loopback.
    pub(crate) async fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
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

/// The transport of that name; TLS and memory come later, and say so.
pub(crate) fn transport(name: TransportName, runtime: &Handle) -> Result<TcpTransport, Error> {
    match name {
        TransportName::Tcp => Ok(TcpTransport::new(TcpConfig::default(), runtime.clone())),
        TransportName::Tls | TransportName::Inmem => Err(Error::NotYet { transport: name }),
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
