//! What can stand in a certificate: the names of nodes, and the hosts at which they are dialled.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use midflight_process::Member;
use rcgen::SanType;
use rustls_pki_types::DnsName;

/// The name of the certificate for the commands that operate a cluster.
pub(crate) const OPERATOR: &str = "operator";

/// Names that have another meaning in a folder of certificates, and which.
const TAKEN: [(&str, &str); 2] = [
    ("ca", "ca.pem and ca.key are the authority's"),
    (LOCALHOST, "every certificate has it, so it would name every node"),
];
const LOCALHOST: &str = "localhost";

/// The name of a node that a certificate can name, too. In a certificate it is a DNS name: this is
/// where the node's identity stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeName(String);

impl NodeName {
    /// The operators' name.
    pub(crate) fn operator() -> Self {
        Self(OPERATOR.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !Member::is_name(text) {
            return Err("a node's name has 1 to 64 letters, digits, `-`, `_` or `.`, and begins \
                        with none of the last"
                .to_owned());
        }
        if let Some((_, why)) = TAKEN.iter().find(|(taken, _)| text.eq_ignore_ascii_case(taken)) {
            return Err(format!(
                "no node of a cluster with certificates can have this name: {why}"
            ));
        }
        if !is_dns_name(text) {
            return Err(
                "a certificate cannot hold this name: there it is a DNS name, whose parts \
                        between the dots have 1 to 63 letters, digits, `-` or `_`, no `-` at \
                        either end, and the last of which is no number"
                    .to_owned(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host at which a node is dialled: an address, or a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Host {
    Name(String),
    Ip(IpAddr),
}

impl Host {
    /// What every node's certificate has: the ways to name the machine itself.
    pub(crate) fn own_machine() -> [Self; 3] {
        [
            Self::Name(LOCALHOST.to_owned()),
            Self::Ip(IpAddr::from([127, 0, 0, 1])),
            Self::Ip(IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1])),
        ]
    }

    /// As a certificate holds it.
    pub(crate) fn to_san(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Ip(ip) => SanType::IpAddress(*ip),
        })
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(ip) = bracketed.unwrap_or(text).parse() {
            return Ok(Self::Ip(ip));
        }
        // DNS knows no upper case.
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if is_dns_name(&name) {
            return Ok(Self::Name(name));
        }
        Err("give a host name or an IP address, without a port, such as node-1.example.org or \
             192.0.2.7"
            .to_owned())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// Whether TLS takes `name` for one. A dot at the end is no part of a name in a certificate.
fn is_dns_name(name: &str) -> bool {
    !name.ends_with('.') && DnsName::try_from(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_nodes_and_a_certificates() {
        for good in ["a", "node-1", "a.b", "node_1", "7a", "1-2"] {
            assert_eq!(good.parse::<NodeName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for (bad, why) in [
            ("", "1 to 64"),
            ("a b", "1 to 64"),
            ("../a", "1 to 64"),
            ("*.a", "1 to 64"),
            ("-a", "no `-` at either end"),
            ("a-", "no `-` at either end"),
            ("a..b", "1 to 63"),
            ("a.", "DNS name"),
            ("127.0.0.1", "is no number"),
            ("7", "is no number"),
            (&long, "1 to 63"),
            ("ca", "authority"),
            ("CA", "authority"),
            ("localhost", "every certificate"),
        ] {
            let error = bad.parse::<NodeName>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (text, host) in [
            ("Node-1.Example.org", "node-1.example.org"),
            ("example.org.", "example.org"),
            ("192.0.2.7", "192.0.2.7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), host);
        }
        for bad in ["", "a:7400", "127.0.0.1:7400", "*.example.org", "a b", "1.2.3.4.5"] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }
}
