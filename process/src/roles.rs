//! What a peer may do on this node (P9). Pure: decided once for each link, looked at for each frame.
//!
//! Every rule is in this file. The link's sink asks before it acts; the control process of
//! `midflight-dsu` asks with [`Node::may`](crate::Node::may).

pub(crate) mod admission;
pub(crate) mod gate;
pub(crate) mod table;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use midflight_message::Schema;
use midflight_transport_api::{Address, Capabilities, Link};
use serde::{Deserialize, Serialize};

use crate::peer::ask::Question;
use crate::peer::wire::Signal;
use crate::relocation::word::Word;
use crate::roles::table::RoleTable;

/// Something that a peer may do on another node, or not.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
#[non_exhaustive]
pub enum Role {
    /// Send messages and requests to processes.
    Send,
    /// End processes, link to them, and give and take names.
    Exit,
    /// See processes, figures and code.
    Inspect,
    /// Start functions.
    Spawn,
    /// Bring code.
    Publish,
    /// Have code run: deploy it, switch to it, start its behaviours.
    Deploy,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Send, Self::Exit, Self::Inspect, Self::Spawn, Self::Publish, Self::Deploy];

    /// Whether it takes a link that others can neither read nor pretend to be: what is done with it
    /// is to run code.
    #[must_use]
    pub const fn needs_secure_link(self) -> bool {
        matches!(self, Self::Spawn | Self::Publish | Self::Deploy)
    }

    /// Its name in flags and texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Exit => "exit",
            Self::Inspect => "inspect",
            Self::Spawn => "spawn",
            Self::Publish => "publish",
            Self::Deploy => "deploy",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of roles. Its text is their names with commas, `all` or `none`.
///
/// ```
/// use midflight_process::{Role, Roles};
///
/// let roles: Roles = "send,inspect".parse()?;
/// assert!(roles.contains(Role::Send) && !roles.contains(Role::Spawn));
/// assert_eq!(roles, [Role::Inspect, Role::Send].into_iter().collect());
/// # Ok::<_, midflight_process::ParseRolesError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Roles(u8);

/// The text names something that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no role: give some of send, exit, inspect, spawn, publish, deploy, with commas; or all, or none"
)]
pub struct ParseRolesError(String);

impl Roles {
    /// No role.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Every role.
    #[must_use]
    pub fn all() -> Self {
        Role::ALL.into_iter().collect()
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | 1 << role as u8))
    }
}

impl FromStr for Roles {
    type Err = ParseRolesError;

    fn from_str(text: &str) -> Result<Self, ParseRolesError> {
        match text {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self::none()),
            _ => {}
        }
        let named = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name.trim());
        text.split(',')
            .map(|name| named(name).ok_or_else(|| ParseRolesError(name.chars().take(64).collect())))
            .collect()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::none() {
            return f.write_str("none");
        }
        let names: Vec<_> =
            Role::ALL.into_iter().filter(|role| self.contains(*role)).map(Role::name).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roles({self})")
    }
}

/// A peer may not do what it asked for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Schema, thiserror::Error,
)]
#[error("{}", self.words())]
pub struct NotAllowed {
    /// The role it would have to have.
    pub role: Role,
    /// Whether it has the role, and only its link is not good enough for it.
    pub link: bool,
}

impl NotAllowed {
    fn words(self) -> String {
        let role = self.role;
        if self.link {
            format!(
                "the role `{role}` takes a link that is encrypted and proves who the peer is, such as \
                 TLS (--transport tls; on one machine --trust-loopback)"
            )
        } else {
            format!(
                "the node asked for the role `{role}`, which this one has not been given (--role)"
            )
        }
    }
}

/// Who may do what.
#[derive(Clone, Default)]
pub(crate) struct Access {
    pub(crate) table: RoleTable,
    pub(crate) trusts: Option<Trusts>,
}

/// Whether the link to a peer at this address is as good as an encrypted one.
pub(crate) type Trusts = Arc<dyn Fn(&Address) -> bool + Send + Sync>;

/// What the peer of a link may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    roles: Roles,
    secure: bool,
}

/// The same, for as long as the link lives: its roles may become others.
#[derive(Debug)]
pub(crate) struct Grants {
    roles: AtomicU8,
    secure: bool,
}

impl Grants {
    pub(crate) const fn new(granted: Granted) -> Self {
        Self { roles: AtomicU8::new(granted.roles.0), secure: granted.secure }
    }

    /// # Errors
    /// [`NotAllowed`].
    pub(crate) fn check(&self, role: Role) -> Result<(), NotAllowed> {
        let roles = Roles(self.roles.load(Ordering::Acquire));
        Granted { roles, secure: self.secure }.check(role)
    }

    /// Gives it these roles instead; answers those that it had.
    fn replace(&self, roles: Roles) -> Roles {
        Roles(self.roles.swap(roles.0, Ordering::AcqRel))
    }
}

impl Access {
    /// What the peer called `name` may do on this link. Where the transport proves an identity, that is
    /// what it is called.
    pub(crate) fn granted(&self, name: &str, link: &dyn Link, offered: &Capabilities) -> Granted {
        let peer = link.peer();
        let name = peer.identity.as_deref().unwrap_or(name);
        let proven = offered.encrypted && peer.identity.is_some();
        let trusted = || self.trusts.as_ref().is_some_and(|trusts| trusts(&peer.address));
        Granted {
            roles: self.table.of(name),
            // Within one operating system process nobody listens, and nobody is another.
            secure: proven || !offered.crosses_processes || trusted(),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("table", &self.table)
            .field("trusts", &self.trusts.is_some())
            .finish()
    }
}

impl Granted {
    /// # Errors
    /// [`NotAllowed`].
    pub(crate) const fn check(self, role: Role) -> Result<(), NotAllowed> {
        if !self.roles.contains(role) {
            return Err(NotAllowed { role, link: false });
        }
        if role.needs_secure_link() && !self.secure {
            return Err(NotAllowed { role, link: true });
        }
        Ok(())
    }
}

/// The role that a signal takes; none for what keeps links and watching going, and for answers.
pub(crate) const fn for_signal(signal: &Signal) -> Option<Role> {
    match signal {
        Signal::Exit { .. } | Signal::Kill { .. } | Signal::Link { .. } => Some(Role::Exit),
        Signal::Again { .. } => Some(Role::Send),
        // Who may bring code may bring what runs in it.
        Signal::Relocated { word: Word::Begin { .. }, .. } => Some(Role::Deploy),
        Signal::Ask { question, .. } => for_question(question),
        _ => None,
    }
}

const fn for_question(question: &Question) -> Option<Role> {
    match question {
        // Who may send needs to find whom, and nothing more is said.
        Question::Whereis(_) => None,
        Question::Register { .. } | Question::Unregister(_) => Some(Role::Exit),
        Question::Process(_) | Question::Stats => Some(Role::Inspect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written() {
        for text in ["send", "send,exit,inspect", "send,exit,inspect,spawn,publish,deploy", "none"]
        {
            assert_eq!(text.parse::<Roles>().unwrap().to_string(), text);
        }
        assert_eq!("all".parse(), Ok(Roles::all()));
        assert_eq!(
            " send , exit ".parse(),
            Ok([Role::Exit, Role::Send].into_iter().collect::<Roles>())
        );
        for bad in ["", "sends", "send,", "send,all"] {
            assert!(bad.parse::<Roles>().is_err(), "{bad}");
        }
    }

    #[test]
    fn code_takes_a_secure_link_and_a_role() {
        let plain = Granted { roles: Roles::all(), secure: false };
        let secure = Granted { secure: true, ..plain };
        for role in Role::ALL {
            assert_eq!(secure.check(role), Ok(()));
            let runs_code = matches!(role, Role::Spawn | Role::Publish | Role::Deploy);
            assert_eq!(plain.check(role).is_err(), runs_code, "{role}");
            let nobody = Granted { roles: Roles::none(), secure: true };
            assert_eq!(nobody.check(role), Err(NotAllowed { role, link: false }));
        }
    }
}
