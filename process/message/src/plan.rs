//! What comes of comparing a writer's type with a reader's.

use std::fmt;
use std::sync::Arc;

use crate::chain::Chains;
use crate::{Fingerprint, Mismatch, SchemaTree};

/// How a writer's messages are read as the reader's type.
///
/// Conversions are the reader's: those registered with its type, and with the types that are parts
/// of it. Where the reader's type came from someone else, there are none.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// The types are the same; nothing but [`decode`](crate::decode) runs.
    Same,
    /// serde's own rules bridge the difference; decoding follows the writer's schema.
    Structural(Arc<Plan>),
    /// The whole or a part is of another version; the author's conversions are run.
    Chain(Arc<Plan>),
    /// They cannot be bridged.
    Incompatible(Mismatch),
}

impl Resolution {
    /// Whether reading succeeds.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        match self {
            Self::Same => Certainty::Always,
            Self::Structural(plan) | Self::Chain(plan) => plan.certainty(),
            Self::Incompatible(_) => Certainty::Never,
        }
    }
}

/// Whether a writer's messages can be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Every one.
    Always,
    /// Not where a condition holds. This is the first; [`Plan::risks`] has them all.
    MayFail(Risk),
    /// None.
    Never,
}

/// When a message cannot be read although most can.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Risk {
    /// Where in the message; empty for the whole.
    pub path: String,
    /// What must not be there.
    pub condition: String,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "field `{}`: ", self.path)?;
        }
        f.write_str(&self.condition)
    }
}

/// How to read one writer's type as one reader's.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) writer: Arc<SchemaTree>,
    pub(crate) reader: Fingerprint,
    pub(crate) risks: Vec<Risk>,
    /// Whether the bytes are the very same, so that nothing needs translating.
    pub(crate) verbatim: bool,
    pub(crate) chains: Chains,
    pub(crate) converted: Vec<Converted>,
}

/// A part of a message, or the whole, that is converted from one version to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Converted {
    /// Where in the message; empty for the whole.
    pub path: String,
    /// The name of what is converted.
    pub name: String,
    /// The writer's version.
    pub from: u32,
    /// The reader's version.
    pub to: u32,
}

impl fmt::Display for Converted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "field `{}`: ", self.path)?;
        }
        write!(f, "{} is converted from version {} to {}", self.name, self.from, self.to)
    }
}

impl Plan {
    /// Whether reading succeeds.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.risks.first().map_or(Certainty::Always, |risk| Certainty::MayFail(risk.clone()))
    }

    /// Everything that may make reading fail; bounded, so a very long list is cut.
    #[must_use]
    pub fn risks(&self) -> &[Risk] {
        &self.risks
    }

    /// What is converted, and where; bounded, so a very long list is cut.
    #[must_use]
    pub fn converted(&self) -> &[Converted] {
        &self.converted
    }

    /// Whether both types have the same bytes, so that reading costs no more than usual.
    #[must_use]
    pub const fn is_verbatim(&self) -> bool {
        self.verbatim
    }
}
