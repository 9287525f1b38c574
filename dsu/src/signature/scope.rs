//! For which bundles a key is trusted.

use std::fmt;
use std::str::FromStr;

/// A bundle's name, or a beginning of names: `greeter`, `shop.*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    text: String,
    is_beginning: bool,
}

/// A text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is a bundle's name (letters, digits, `_`, `.` and `-`), or the beginning of names with `*` after it"
)]
pub struct ScopeError;

impl Scope {
    /// Every bundle.
    #[must_use]
    pub const fn everything() -> Self {
        Self { text: String::new(), is_beginning: true }
    }

    /// Whether bundles of that name are in it.
    #[must_use]
    pub fn holds(&self, bundle: &str) -> bool {
        if self.is_beginning { bundle.starts_with(&self.text) } else { bundle == self.text }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (name, is_beginning) =
            text.strip_suffix('*').map_or((text, false), |name| (name, true));
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (name.is_empty() && !is_beginning) || name.len() > 100 || !name.bytes().all(good) {
            return Err(ScopeError);
        }
        Ok(Self { text: name.to_owned(), is_beginning })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.is_beginning { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_name_or_a_beginning() {
        let holds = |scope: &str, bundle: &str| scope.parse::<Scope>().unwrap().holds(bundle);
        assert!(holds("greeter", "greeter") && !holds("greeter", "greeter2"));
        assert!(
            holds("shop.*", "shop.till")
                && !holds("shop.*", "shop")
                && !holds("shop.*", "shopping")
        );
        assert!(holds("*", "anything"));
        for bad in ["", "a*b", "**", "a b", "a/b", "é"] {
            assert_eq!(bad.parse::<Scope>(), Err(ScopeError), "{bad}");
        }
        assert_eq!("shop.*".parse::<Scope>().unwrap().to_string(), "shop.*");
    }
}
