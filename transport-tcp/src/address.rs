//! `HOST:PORT`, with IPv6 in brackets.

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

#[cfg(test)]
mod tests {
    use super::*;

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
