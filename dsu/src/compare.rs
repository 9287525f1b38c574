//! Whether a new version may take the place of another, from what both say of themselves: the
//! check that runs before any new code does (V2).

use midflight_abi::{AcceptDescription, BehaviourDescription, Description};
use midflight_message::{Certainty, Mismatch, Resolution, Risk, TypeInfo, resolve};

use crate::convert::{ConvertError, Reading, Reads, Way, way};

/// A reason for which a new version may not take the place of another.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// A message that is sent to the old version cannot be read by the new one.
    #[error("messages of type {0}")]
    Message(Mismatch),
    /// A message would be read by serde's rules, or by a conversion, which code of an earlier ABI does not do.
    #[error(
        "{type_name} has another form in the new version, which was built for an ABI that reads only its own: \
         build it anew"
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

/// What two versions of a bundle have in common, part by part.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Every behaviour, message, reply and state of both.
    pub parts: Vec<Part>,
}

/// A part of one version or of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Whose it is.
    pub behaviour: String,
    /// What it is.
    pub kind: PartKind,
    /// The type's name; the behaviour's own for a behaviour.
    pub name: String,
    /// Its version in the old bundle, if it is there.
    pub old: Option<u32>,
    /// Its version in the new bundle, if it is there.
    pub new: Option<u32>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What a value must not have to be read, where most can be: the first of such conditions.
    pub risk: Option<Risk>,
}

/// What a part of a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// A behaviour that is in one of the versions alone.
    Behaviour,
    /// A message that it accepts.
    Message,
    /// What it answers to a message.
    Reply,
    /// Its state.
    State,
}

/// What becomes of a part when the new version takes the place of the old one.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is the same.
    Same,
    /// It has another form under the same version, and is read by serde's rules.
    Structural,
    /// The author's conversion carries it over.
    Conversion,
    /// The new version alone has it.
    Added,
    /// The old version alone has it: a message of the kind is refused, aloud, when it comes.
    Removed,
    /// It cannot be carried over, for this reason.
    Incompatible(Conflict),
}

impl Comparison {
    /// Every reason for which the new version may not take the place of the old one.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.parts.iter().filter_map(|part| match &part.outcome {
            Outcome::Incompatible(conflict) => Some(conflict),
            _ => None,
        })
    }
}

/// What becomes of every part of `old` in `new`. The way back is `compare(new, old)`.
#[must_use]
pub fn compare(old: &Description, new: &Description) -> Comparison {
    let mut parts = Vec::new();
    for behaviour in &old.behaviours {
        match new.behaviour(&behaviour.name) {
            Some((_, successor)) => {
                compare_behaviour(behaviour, successor, Reads::of(new), &mut parts);
            }
            None => {
                let missing = ConvertError::NoBehaviour { behaviour: behaviour.name.clone() };
                let outcome = Outcome::Incompatible(Conflict::State(missing));
                parts.push(Part {
                    old: Some(behaviour.code_version),
                    ..Part::whole(behaviour, outcome)
                });
            }
        }
    }
    let added = new.behaviours.iter().filter(|behaviour| old.behaviour(&behaviour.name).is_none());
    parts.extend(added.map(|behaviour| Part {
        new: Some(behaviour.code_version),
        ..Part::whole(behaviour, Outcome::Added)
    }));
    Comparison { parts }
}

impl Part {
    fn whole(behaviour: &BehaviourDescription, outcome: Outcome) -> Self {
        let name = behaviour.name.clone();
        let kind = PartKind::Behaviour;
        Self { behaviour: name.clone(), kind, name, old: None, new: None, outcome, risk: None }
    }
}

fn compare_behaviour(
    old: &BehaviourDescription,
    new: &BehaviourDescription,
    reads: Reads,
    parts: &mut Vec<Part>,
) {
    let mut push = |kind, before: Option<&TypeInfo>, after: Option<&TypeInfo>, (outcome, risk)| {
        let Some(any) = before.or(after) else { return };
        parts.push(Part {
            behaviour: old.name.clone(),
            kind,
            name: any.name().to_owned(),
            old: before.map(TypeInfo::version),
            new: after.map(TypeInfo::version),
            outcome,
            risk,
        });
    };
    let state = state_outcome(old, new, reads);
    push(PartKind::State, Some(&old.state), Some(&new.state), state);
    for accept in &old.accepts {
        let Some(successor) = accepts(new, accept.message.name()) else {
            push(PartKind::Message, Some(&accept.message), None, (Outcome::Removed, None));
            continue;
        };
        let (ours, theirs) = (&accept.message, &successor.message);
        push(PartKind::Message, Some(ours), Some(theirs), message_outcome(ours, theirs, reads));
        // Callers of the old version read what the new one answers.
        match (&accept.reply, &successor.reply) {
            (Some(ours), Some(theirs)) => {
                push(PartKind::Reply, Some(ours), Some(theirs), reply_outcome(theirs, ours));
            }
            (Some(ours), None) => push(PartKind::Reply, Some(ours), None, (Outcome::Removed, None)),
            (None, Some(theirs)) => {
                push(PartKind::Reply, None, Some(theirs), (Outcome::Added, None));
            }
            (None, None) => {}
        }
    }
    for accept in &new.accepts {
        if accepts(old, accept.message.name()).is_none() {
            push(PartKind::Message, None, Some(&accept.message), (Outcome::Added, None));
        }
    }
}

fn accepts<'d>(
    behaviour: &'d BehaviourDescription,
    message: &str,
) -> Option<&'d AcceptDescription> {
    behaviour.accepts.iter().find(|accept| accept.message.name() == message)
}

/// What becomes of a part, and on which condition.
type Judged = (Outcome, Option<Risk>);

fn state_outcome(old: &BehaviourDescription, new: &BehaviourDescription, reads: Reads) -> Judged {
    let way = match way(old, new, reads) {
        Err(error) => return (Outcome::Incompatible(Conflict::State(error)), None),
        Ok(way) => way,
    };
    let (written, read) = match way {
        Way::Forward => (Some(&old.state), new.restores(old.state.version())),
        Way::Back { state_version } => (old.saves(state_version), Some(&new.state)),
    };
    let judged = written.zip(read).map(|(written, read)| judge(&resolve(written, read)));
    let (outcome, risk) = judged.unwrap_or((Outcome::Conversion, None));
    // The author's functions are run where the versions are two.
    let converts = old.state.version() != new.state.version();
    (if converts { Outcome::Conversion } else { outcome }, risk)
}

fn message_outcome(written: &TypeInfo, read: &TypeInfo, reads: Reads) -> Judged {
    let resolution = resolve(written, read);
    match reads.reading(&resolution) {
        Reading::AsTheyAre | Reading::Translated => judge(&resolution),
        Reading::Incompatible(mismatch) => {
            (Outcome::Incompatible(Conflict::Message(mismatch.clone())), None)
        }
        Reading::OwnFormOnly => {
            let type_name = written.name().to_owned();
            (Outcome::Incompatible(Conflict::OtherForm { type_name }), None)
        }
    }
}

/// Callers may be made of functions, or behaviours of any version, which read by serde's rules. Whether they have
/// conversions is not known here.
fn reply_outcome(written: &TypeInfo, read: &TypeInfo) -> Judged {
    judge(&resolve(written, read))
}

fn judge(resolution: &Resolution) -> Judged {
    let risk = match resolution.certainty() {
        Certainty::MayFail(risk) => Some(risk),
        Certainty::Always | Certainty::Never => None,
    };
    let outcome = match resolution {
        Resolution::Same => Outcome::Same,
        Resolution::Structural(_) => Outcome::Structural,
        Resolution::Chain(_) => Outcome::Conversion,
        Resolution::Incompatible(mismatch) => {
            Outcome::Incompatible(Conflict::Reply(mismatch.clone()))
        }
    };
    (outcome, risk)
}
