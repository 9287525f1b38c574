//! Who may do what, by name: what a node's owner decides, and may decide otherwise while the node runs.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Roles;
use crate::Member;
use crate::node::Node;

/// The roles of peers by their names, and those of all others.
///
/// Its text is what a file of roles holds: a line for each peer, `NAME = ROLES`. A name that ends with `*`
/// stands for all that begin so, `*` alone for everybody else; who has a line of its own goes by that one,
/// and then by the longest beginning. What follows a `#` does not count. The line for everybody else must be there, so
/// that a file of which a part is missing does not pass for one that allows everything.
///
/// ```
/// use midflight_process::{Role, RoleTable};
///
/// let table: RoleTable = "
///     operator = all          # over TLS, who has the certificate of that name
///     web-*    = send,inspect
///     *        = none
/// "
/// .parse()?;
/// assert!(table.of("web-7").contains(Role::Send) && !table.of("db-1").contains(Role::Send));
/// # Ok::<_, midflight_process::ParseRoleTableError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleTable {
    named: BTreeMap<String, Roles>,
    /// By the beginning of the name.
    families: BTreeMap<String, Roles>,
    others: Roles,
}

/// A line of a table is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseRoleTableError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it, and what to do.
    pub what: String,
}

impl RoleTable {
    /// Nobody is named, and all have these.
    #[must_use]
    pub const fn new(others: Roles) -> Self {
        Self { named: BTreeMap::new(), families: BTreeMap::new(), others }
    }

    /// Gives roles to the peer of this name, or, where it ends with `*`, to all whose names begin so. What
    /// was given to that name before is gone. Answers whether there was something.
    pub fn grant(&mut self, name: impl Into<String>, roles: Roles) -> bool {
        let name = name.into();
        match name.strip_suffix('*') {
            Some("") => {
                self.others = roles;
                false
            }
            Some(beginning) => self.families.insert(beginning.to_owned(), roles).is_some(),
            None => self.named.insert(name, roles).is_some(),
        }
    }

    /// The roles of the peer of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> Roles {
        let longest = || {
            let families = self.families.iter().filter(|(family, _)| name.starts_with(*family));
            families.max_by_key(|(family, _)| family.len()).map(|(_, roles)| *roles)
        };
        self.named.get(name).copied().or_else(longest).unwrap_or(self.others)
    }

    /// Whether a text can be a peer's name, the beginning of some with a `*`, or `*`.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let name = text.strip_suffix('*');
        name == Some("") || Member::is_name(name.unwrap_or(text))
    }
}

impl Default for RoleTable {
    /// All may do everything.
    fn default() -> Self {
        Self::new(Roles::all())
    }
}

impl FromStr for RoleTable {
    type Err = ParseRoleTableError;

    fn from_str(text: &str) -> Result<Self, ParseRoleTableError> {
        let mut table = Self::default();
        let mut has_others = false;
        for (line, content) in (1..).zip(text.lines()) {
            let wrong = |what: String| ParseRoleTableError { line, what };
            let content = content.split('#').next().unwrap_or_default().trim();
            if content.is_empty() {
                continue;
            }
            let (name, roles) = content.split_once('=').ok_or_else(|| {
                wrong("there is no `=`: give NAME = ROLES, such as web-* = send,inspect".into())
            })?;
            let name = name.trim();
            if !Self::is_name(name) {
                let name: String = name.chars().take(80).collect();
                return Err(wrong(format!(
                    "`{name}` is no node's name: give 1 to 64 letters, digits, `-`, `_` or `.`, and a \
                     `*` at the end for all that begin so"
                )));
            }
            let roles = roles.trim().parse::<Roles>().map_err(|error| wrong(error.to_string()))?;
            let again = table.grant(name, roles) || name == "*" && has_others;
            has_others |= name == "*";
            if again {
                return Err(wrong(format!("`{name}` has a line before: leave out one of the two")));
            }
        }
        if !has_others {
            // A file that is being written is cut somewhere, and must not give everybody everything.
            let line = text.lines().count().max(1);
            let what = "there is no line for all others: give one, such as * = none".into();
            return Err(ParseRoleTableError { line, what });
        }
        Ok(table)
    }
}

impl Node {
    /// Gives other roles to peers, from now on: those that are linked, too. What one asks for that it may
    /// not do any more is refused, and told with the role, as if it had never had it; what it has begun
    /// before goes on.
    pub fn set_roles(&self, roles: RoleTable) {
        self.inner.access.write().table = roles;
        // A link that comes up meanwhile looks at the table under the lock of the peers.
        let mut peers: Vec<_> = self.inner.peers.read().values().cloned().collect();
        peers.sort_by_key(|peer| peer.id);
        for peer in peers {
            if self.inner.judge(&peer) {
                // It may see the code now, perhaps.
                self.inner.tell_code(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[test]
    fn the_own_line_counts_then_the_longest_beginning_then_the_others() {
        let table = "web-* = send\nweb-db-* = inspect # inner\n\nweb-db-1=exit\n*=none";
        let table: RoleTable = table.parse().unwrap();
        let only = |role: Role| [role].into_iter().collect::<Roles>();
        assert_eq!(table.of("web-1"), only(Role::Send));
        assert_eq!(table.of("web-db-2"), only(Role::Inspect));
        assert_eq!(table.of("web-db-1"), only(Role::Exit));
        assert_eq!(table.of("web"), Roles::none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, what) in [
            ("a = all\n\nb", 3, "no `=`"),
            ("# a\n = send", 2, "no node's name"),
            ("a b = send", 1, "`a b`"),
            ("a* b = send", 1, "no node's name"),
            ("a = send\nb = fly", 2, "`fly` is no role"),
            ("a =", 1, "is no role"),
            ("a = send\na = exit", 2, "`a` has a line before"),
            ("a* = send\na* = exit", 2, "`a*` has a line before"),
            ("* = send\n* = exit", 2, "`*` has a line before"),
            ("", 1, "no line for all others"),
            ("a = send\nb* = send\n", 2, "no line for all others"),
        ] {
            let error = text.parse::<RoleTable>().unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
