//! `HOST:PORT`, with IPv6 in brackets; and `HOST@IP:PORT`, the host at one of its addresses.

use std::net::{IpAddr, SocketAddr};

/// Host and port of `rest`, when it can be listened at or dialled. The host is without brackets.
pub(crate) fn host_port(rest: &str) -> Option<(&str, u16)> {
    let (host, port) = rest.rsplit_once(':')?;
    // One spelling alone: two addresses are the same endpoint when they are equal.
    let canonical =
        port.bytes().all(|b| b.is_ascii_digit()) && (port == "0" || !port.starts_with('0'));
    let port = port.parse().ok().filter(|_| canonical)?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').filter(|ip| ip.contains(':'))?,
        None => Some(host).filter(|host| !host.contains([':', '[', ']']))?,
    };
    (!host.is_empty()).then_some((host, port))
}

/// The host of `rest` and the one address of it that is meant, when it says so. Nobody is called that:
/// it is what a name that stands for several endpoints is resolved to, where the name must be kept.
pub(crate) fn pinned(rest: &str) -> Option<(&str, SocketAddr)> {
    let (host, at) = rest.split_once('@')?;
    let (ip, port) = host_port(at)?;
    let ip: IpAddr = ip.parse().ok()?;
    (!host.is_empty()).then(|| (host, SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_at_one_of_its_addresses() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(pinned("svc@10.0.0.7:7400"), Some(("svc", at("10.0.0.7:7400"))));
        assert_eq!(pinned("svc.a@[::1]:0"), Some(("svc.a", at("[::1]:0"))));
        for other in ["svc:7400", "@10.0.0.7:7400", "svc@other:7400", "svc@10.0.0.7", "a@b@::1"] {
            assert_eq!(pinned(other), None, "{other}");
        }
    }

    #[test]
    fn names_and_both_families() {
        assert_eq!(host_port("127.0.0.1:7400"), Some(("127.0.0.1", 7400)));
        assert_eq!(host_port("[::1]:0"), Some(("::1", 0)));
        assert_eq!(host_port("node-1.internal:7400"), Some(("node-1.internal", 7400)));
        for bad in [
            "", "7400", ":7400", "a:", "a:70000", "a:+80", "a:080", "::1:80", "[::1:80", "[]:80",
            "[a]:80",
        ] {
            assert_eq!(host_port(bad), None, "{bad}");
        }
    }
}
