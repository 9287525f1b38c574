//! What peers may do on a node, as its flags say it.

use std::str::FromStr;

use midflight_process::{NodeBuilder, RoleTable, Roles};
use midflight_transport_api::Address;

use crate::error::Error;
use crate::network::HostPort;

/// `NAME=ROLES`: what one peer may do, or with `*` everybody who is not named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleOf {
    peer: Option<String>,
    roles: Roles,
}

impl FromStr for RoleOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let (name, roles) = parts.ok_or("give NAME=ROLES, such as b=send,inspect or *=none")?;
        let roles = roles.parse::<Roles>().map_err(|error| error.to_string())?;
        match name {
            "*" => Ok(Self { peer: None, roles }),
            name if RoleTable::is_name(name) => Ok(Self { peer: Some(name.to_owned()), roles }),
            name => Err(format!("`{name}` is no node's name, nor `*`")),
        }
    }
}

/// Refuses to trust loopback where others than this machine's users would be on it.
pub(crate) async fn check(
    listen: &HostPort,
    join: &[HostPort],
    trust_loopback: bool,
) -> Result<(), Error> {
    if !trust_loopback {
        return Ok(());
    }
    for host in std::iter::once(listen).chain(join) {
        if !host.is_loopback().await {
            return Err(Error::Usage(format!(
                "--trust-loopback is for nodes on one machine, and {host} is not loopback: use \
                 --transport tls instead"
            )));
        }
    }
    Ok(())
}

/// Tells a node what its peers may do.
pub(crate) fn grant(
    mut builder: NodeBuilder,
    roles: &[RoleOf],
    trust_loopback: bool,
) -> NodeBuilder {
    for RoleOf { peer, roles } in roles {
        builder = match peer {
            Some(peer) => builder.roles(peer, *roles),
            None => builder.other_roles(*roles),
        };
    }
    if trust_loopback { builder.trust_links(is_local) } else { builder }
}

/// Whether a peer at this address is on this machine. Who has dialled has come to a node that listens on
/// loopback alone, so that only an address elsewhere speaks against it: that is one that was dialled.
fn is_local(address: &Address) -> bool {
    address.rest().parse::<HostPort>().map_or(true, |host| host.is_loopback_literally())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_given_by_name() {
        let of = |text: &str| text.parse::<RoleOf>();
        let roles = "send,inspect".parse().unwrap();
        assert_eq!(of("b=send,inspect"), Ok(RoleOf { peer: Some("b".into()), roles }));
        assert_eq!(of("*=none"), Ok(RoleOf { peer: None, roles: Roles::none() }));
        for bad in ["b", "b=", "b=fly", "=all", "a b=all"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_elsewhere_is_not_local() {
        let local = |text: &str| is_local(&text.parse().unwrap());
        assert!(local("tcp:127.0.0.1:7400") && local("tcp:[::1]:7400") && local("tcp:localhost:1"));
        assert!(!local("tcp:10.0.0.1:7400") && !local("tcp:example.org:7400"));
    }
}
