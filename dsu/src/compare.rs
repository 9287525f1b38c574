//! Whether a new version may take the place of another, from what both say of themselves: the
//! check that runs before any new code does (V2).

use midflight_abi::{BehaviourDescription, Description};
use midflight_message::{Mismatch, Resolution, TypeInfo, resolve};

use crate::convert::{ConvertError, way};

/// A reason for which a new version may not take the place of another.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// A message that is sent to the old version cannot be read by the new one.
    #[error("messages of type {0}")]
    Message(Mismatch),
    /// A message is read by serde's rules, which behaviours do not do yet.
    #[error(
        "{type_name} has another form in the new version, which reads only its own: \
         give the message another version"
    )]
    OtherForm {
        /// The message.
        type_name: String,
    },
    /// A reply of the new version cannot be read by the callers of the old one.
    #[error("replies of type {0}")]
    Reply(Mismatch),
    /// The state cannot be carried over.
    #[error(transparent)]
    State(ConvertError),
}

impl Conflict {
    /// The type and, where there is one, the field at which the versions differ.
    #[must_use]
    pub fn type_and_field(&self) -> Option<(&str, &str)> {
        match self {
            Self::Message(mismatch)
            | Self::Reply(mismatch)
            | Self::State(ConvertError::Mismatch(mismatch)) => {
                Some((&mismatch.type_name, &mismatch.field_path))
            }
            Self::OtherForm { type_name } => Some((type_name, "")),
            Self::State(_) => None,
        }
    }
}

/// Every conflict between the behaviours of `old` that are in `new` too, and those that are missing
/// there. A message that `new` does not accept any more is no conflict: it is refused, aloud, when
/// it comes.
#[must_use]
pub fn compare(old: &Description, new: &Description) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for behaviour in &old.behaviours {
        match new.behaviour(&behaviour.name) {
            Some((_, successor)) => compare_behaviour(behaviour, successor, &mut conflicts),
            None => {
                let behaviour = behaviour.name.clone();
                conflicts.push(Conflict::State(ConvertError::NoBehaviour { behaviour }));
            }
        }
    }
    conflicts
}

fn compare_behaviour(
    old: &BehaviourDescription,
    new: &BehaviourDescription,
    conflicts: &mut Vec<Conflict>,
) {
    for accept in &old.accepts {
        let name = accept.message.name();
        let Some(successor) = new.accepts.iter().find(|a| a.message.name() == name) else {
            continue;
        };
        conflicts.extend(compare_message(&accept.message, &successor.message));
        if let (Some(theirs), Some(ours)) = (&successor.reply, &accept.reply)
            && let Resolution::Incompatible(mismatch) = resolve(theirs, ours)
        {
            conflicts.push(Conflict::Reply(mismatch));
        }
    }
    if let Err(error) = way(old, new) {
        conflicts.push(Conflict::State(error));
    }
}

fn compare_message(written: &TypeInfo, read: &TypeInfo) -> Option<Conflict> {
    match resolve(written, read) {
        Resolution::Same => None,
        Resolution::Structural(plan) if plan.is_verbatim() => None,
        Resolution::Structural(_) | Resolution::Chain(_) => {
            Some(Conflict::OtherForm { type_name: written.name().to_owned() })
        }
        Resolution::Incompatible(mismatch) => Some(Conflict::Message(mismatch)),
    }
}
