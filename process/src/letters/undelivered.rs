//! The notice a sender gets in the place of a message that its receiver did not take (V1).

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::mailbox::envelope::Refusal;

/// A message of this process's was not taken by its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.Undelivered", version = 1)]
pub struct Undelivered {
    /// The receiver.
    pub to: Pid,
    /// The message's type, where it is known.
    pub type_name: String,
    /// The field at which the two sides differ, where that is the reason.
    pub field: Option<String>,
    /// Which kind of refusal it was.
    pub kind: RefusalKind,
    /// The whole reason, in words.
    pub reason: String,
}

/// The kinds of refusal.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The receiver cannot read the message: the types differ.
    Incompatible,
    /// The receiver's behaviour does not accept messages of this type.
    NotAccepted,
    /// The bytes are not what their type says.
    Garbled,
    /// The receiver does not live, or ended.
    Gone,
    /// The receiver has no such port, or has closed it.
    NoPort,
    /// The sender's node may not do this on the receiver's.
    NotAllowed,
}

impl RefusalKind {
    /// Of which kind a refusal is.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Incompatible(_) => Self::Incompatible,
            Refusal::NotAccepted { .. } => Self::NotAccepted,
            Refusal::Garbled { .. } => Self::Garbled,
            Refusal::NoProcess | Refusal::Aborted { .. } => Self::Gone,
            Refusal::NoPort { .. } => Self::NoPort,
            Refusal::NotAllowed(_) => Self::NotAllowed,
        }
    }

    /// Its name in listings and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incompatible => "incompatible",
            Self::NotAccepted => "not accepted",
            Self::Garbled => "garbled",
            Self::Gone => "gone",
            Self::NoPort => "no port",
            Self::NotAllowed => "not allowed",
        }
    }
}

impl Undelivered {
    pub(crate) fn new(to: Pid, refusal: &Refusal) -> Self {
        let (type_name, field) = match refusal {
            Refusal::Incompatible(mismatch) => {
                (mismatch.type_name.clone(), Some(mismatch.field_path.clone()))
            }
            Refusal::NotAccepted { type_name, .. } | Refusal::Garbled { type_name, .. } => {
                (type_name.clone(), None)
            }
            Refusal::NoProcess
            | Refusal::Aborted { .. }
            | Refusal::NoPort { .. }
            | Refusal::NotAllowed(_) => (String::new(), None),
        };
        Self { to, type_name, field, kind: RefusalKind::of(refusal), reason: refusal.to_string() }
    }
}
