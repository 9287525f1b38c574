//! What becomes of a bundle's living processes when another version of it is pushed (U2).

use std::fmt;
use std::str::FromStr;

use midflight_message::Schema;
use serde::{Deserialize, Serialize};

use crate::switch::Rest;

/// What becomes of the processes of a bundle's other versions when one is activated. New processes start in
/// the activated one, whatever the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Schema)]
pub enum Policy {
    /// All are switched to it, with their state and mailbox.
    #[default]
    Migrate,
    /// Each stays in its version until it is told, and that version stays even when nothing runs in it.
    Keep,
    /// Each stays in its version, which is retired when the last has ended.
    Drain,
    /// Two versions, as in Erlang: those of the version before stay there, and those of any earlier one are
    /// killed, as `code:purge` does. Nothing else ever ends a process for its version.
    Erlang,
    /// All of a node are switched to it together, or none, once nothing that one has sent another is on its way.
    Quiescent,
    /// All of a node are switched to it together, or none, once each is between two messages.
    Tranquil,
}

impl Policy {
    /// All, the one that is meant when none is named first.
    pub const ALL: [Self; 6] =
        [Self::Migrate, Self::Quiescent, Self::Tranquil, Self::Keep, Self::Drain, Self::Erlang];

    /// Its name in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Quiescent => "quiescent",
            Self::Tranquil => "tranquil",
            Self::Keep => "keep",
            Self::Drain => "drain",
            Self::Erlang => "erlang",
        }
    }

    /// How far the processes come to rest that it switches together; `None`: it switches none, or each by itself.
    #[must_use]
    pub const fn together(self) -> Option<Rest> {
        match self {
            Self::Quiescent => Some(Rest::Quiescent),
            Self::Tranquil => Some(Rest::Tranquil),
            Self::Migrate | Self::Keep | Self::Drain | Self::Erlang => None,
        }
    }

    /// How processes go back that came by this policy: as they came, together or each by itself.
    #[must_use]
    pub const fn back(self) -> Self {
        match self.together() {
            Some(_) => self,
            None => Self::Migrate,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no policy of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no policy: it is migrate, quiescent, tranquil, keep, drain or erlang")]
pub struct UnknownPolicy(String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|policy| policy.name() == text);
        named.ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}
