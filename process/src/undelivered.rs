//! The notice a sender gets in the place of a message that its receiver did not take (V1).

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

use crate::envelope::Refusal;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
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
}

impl Undelivered {
    pub(crate) fn new(to: Pid, refusal: &Refusal) -> Self {
        let (type_name, field, kind) = match refusal {
            Refusal::Incompatible(mismatch) => (
                mismatch.type_name.clone(),
                Some(mismatch.field_path.clone()),
                RefusalKind::Incompatible,
            ),
            Refusal::NotAccepted { type_name, .. } => {
                (type_name.clone(), None, RefusalKind::NotAccepted)
            }
            Refusal::Garbled { type_name, .. } => (type_name.clone(), None, RefusalKind::Garbled),
            Refusal::NoProcess | Refusal::Aborted { .. } => {
                (String::new(), None, RefusalKind::Gone)
            }
        };
        Self { to, type_name, field, kind, reason: refusal.to_string() }
    }
}
