//! How a state of one version becomes a state of another: always on a copy (U5).
//!
//! Version N of a bundle brings its conversions both ways: it restores from what N−1 saved, and it
//! saves as what N−1 restores. So an update asks the new code, a downgrade asks the old one.

use midflight_abi::{BehaviourDescription, Description};
use midflight_message::{Mismatch, Resolution, TypeInfo, resolve};

use crate::code::{CodeError, Instance};
use crate::hosted::SavedState;
use crate::versions::Version;

/// The way from one version's state to another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The new code restores what the old code saves as its own.
    Forward,
    /// The old code saves as the new code's own version.
    Back {
        /// That version.
        state_version: u32,
    },
}

/// A state cannot become one of the other version.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The other version does not have the behaviour.
    #[error("the other version has no behaviour `{behaviour}`")]
    NoBehaviour {
        /// The behaviour.
        behaviour: String,
    },
    /// Nobody has written a conversion.
    #[error(
        "there is no conversion of the state of `{behaviour}` from version {from} to {to}: \
         add #[convert_from({from})] to the newer code, or #[convert_to({to})] for the way back"
    )]
    NoConversion {
        /// The behaviour.
        behaviour: String,
        /// The state's version.
        from: u32,
        /// The version wanted.
        to: u32,
    },
    /// The two versions mean different things by the same state version.
    #[error("the state differs between the two versions: {0}")]
    Mismatch(Mismatch),
    /// The code said no, or failed.
    #[error("the conversion of a state of `{behaviour}` failed")]
    Code {
        /// The behaviour.
        behaviour: String,
        /// How.
        #[source]
        source: CodeError,
    },
}

/// The way from `old`'s state to `new`'s, from what they say of themselves.
///
/// # Errors
/// [`ConvertError`]: that there is none.
pub(crate) fn way(
    old: &BehaviourDescription,
    new: &BehaviourDescription,
) -> Result<Way, ConvertError> {
    let (from, to) = (old.state.version(), new.state.version());
    if let Some(expected) = new.restores(from) {
        same(&old.state, expected)?;
        return Ok(Way::Forward);
    }
    if let Some(offered) = old.saves(to) {
        same(offered, &new.state)?;
        return Ok(Way::Back { state_version: to });
    }
    Err(ConvertError::NoConversion { behaviour: old.name.clone(), from, to })
}

/// The bytes cross as they are, so both sides must mean the same by them.
fn same(written: &TypeInfo, read: &TypeInfo) -> Result<(), ConvertError> {
    match resolve(written, read) {
        Resolution::Same => Ok(()),
        Resolution::Structural(plan) if plan.is_verbatim() => Ok(()),
        Resolution::Incompatible(mismatch) => Err(ConvertError::Mismatch(mismatch)),
        Resolution::Structural(_) | Resolution::Chain(_) => Err(ConvertError::NoConversion {
            behaviour: written.name().to_owned(),
            from: written.version(),
            to: read.version(),
        }),
    }
}

/// A copy of the state in a form that `new` restores: that of `saved`, or made by `old`'s own way
/// back on a scratch instance.
///
/// # Errors
/// [`ConvertError`].
pub(crate) fn for_restoring(
    old: &Version,
    new: &Description,
    behaviour: &str,
    saved: SavedState,
) -> Result<SavedState, ConvertError> {
    let (old_index, old_description) = find(old.code.description(), behaviour)?;
    let (_, new_description) = find(new, behaviour)?;
    match way(old_description, new_description)? {
        Way::Forward => Ok(saved),
        Way::Back { state_version } => {
            let code = |source| ConvertError::Code { behaviour: behaviour.to_owned(), source };
            let scratch = old.code.restore(old_index, saved.version, &saved.bytes).map_err(code)?;
            let bytes = scratch.save(state_version).map_err(code)?;
            Ok(SavedState { version: state_version, bytes })
        }
    }
}

/// A new instance with the state that an old one has saved. Answers its behaviour's index too.
///
/// # Errors
/// [`ConvertError`].
pub(crate) fn convert(
    old: &Version,
    new: &Version,
    behaviour: &str,
    saved: SavedState,
) -> Result<(u32, Box<dyn Instance>), ConvertError> {
    let saved = for_restoring(old, new.code.description(), behaviour, saved)?;
    let (index, _) = find(new.code.description(), behaviour)?;
    let restored = new.code.restore(index, saved.version, &saved.bytes);
    let code = |source| ConvertError::Code { behaviour: behaviour.to_owned(), source };
    Ok((index, restored.map_err(code)?))
}

fn find<'d>(
    description: &'d Description,
    behaviour: &str,
) -> Result<(u32, &'d BehaviourDescription), ConvertError> {
    let found = description.behaviour(behaviour);
    found.ok_or_else(|| ConvertError::NoBehaviour { behaviour: behaviour.to_owned() })
}
