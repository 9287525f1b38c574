//! How a state of one version becomes a state of another: always on a copy (U5).
//!
//! Version N of a bundle brings its conversions both ways: it restores from what N−1 saved, and it
//! saves as what N−1 restores. So an update asks the new code, a downgrade asks the old one.

use midflight_abi::{BehaviourDescription, Description};
use midflight_message::{Mismatch, Resolution, TypeInfo, resolve};

use crate::code::{Code, CodeError, Instance, Reader};
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
    /// The state has another form under the same version, and the code reads only its own.
    #[error(
        "the state of `{behaviour}` has another form under the version {version}, and the code that is to read it \
         was built for an ABI that reads only its own: build it anew"
    )]
    OtherForm {
        /// The behaviour.
        behaviour: String,
        /// The state's version.
        version: u32,
    },
    /// The two versions mean different things by the same state version.
    #[error("the state differs between the two versions: {0}")]
    Mismatch(Mismatch),
    /// What came of it is too large.
    #[error(
        "the conversion of a state of `{behaviour}` made {bytes} bytes of {of}; it may make {max}, or four times \
         as many as it had"
    )]
    TooLarge {
        /// The behaviour.
        behaviour: String,
        /// How many bytes it takes.
        bytes: u64,
        /// How many it took before.
        of: u64,
        /// The limit.
        max: u64,
    },
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

/// What a version reads of a type besides its own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Nothing: it was built for an earlier ABI.
    OwnForm,
    /// What serde's rules and conversions bridge.
    Bridged,
}

impl Reads {
    pub(crate) const fn of(description: &Description) -> Self {
        if description.conversions.is_some() { Self::Bridged } else { Self::OwnForm }
    }

    /// What it makes of bytes of a type that is so related to its own.
    pub(crate) fn reading(self, resolution: &Resolution) -> Reading<'_> {
        match resolution {
            Resolution::Same => Reading::AsTheyAre,
            // The same bytes under another schema's text, such as a renamed type within it.
            Resolution::Structural(plan) if plan.is_verbatim() => Reading::AsTheyAre,
            Resolution::Structural(_) | Resolution::Chain(_) => match self {
                Self::Bridged => Reading::Translated,
                Self::OwnForm => Reading::OwnFormOnly,
            },
            Resolution::Incompatible(mismatch) => Reading::Incompatible(mismatch),
        }
    }
}

/// How a version reads what was written as another type.
#[derive(Debug)]
pub(crate) enum Reading<'r> {
    /// The bytes are those of its own form.
    AsTheyAre,
    /// Its code brings them into its own form.
    Translated,
    /// They could be, and its code was built for an ABI without a way to.
    OwnFormOnly,
    /// Not at all.
    Incompatible(&'r Mismatch),
}

/// The way from `old`'s state to `new`'s, from what they say of themselves.
///
/// # Errors
/// [`ConvertError`]: that there is none.
pub(crate) fn way(
    old: &BehaviourDescription,
    new: &BehaviourDescription,
    reads: Reads,
) -> Result<Way, ConvertError> {
    let (from, to) = (old.state.version(), new.state.version());
    if let Some(expected) = new.restores(from) {
        readable(&old.state, expected, reads)?;
        return Ok(Way::Forward);
    }
    if let Some(offered) = old.saves(to) {
        readable(offered, &new.state, reads)?;
        return Ok(Way::Back { state_version: to });
    }
    Err(ConvertError::NoConversion { behaviour: old.name.clone(), from, to })
}

fn readable(written: &TypeInfo, read: &TypeInfo, reads: Reads) -> Result<(), ConvertError> {
    match reads.reading(&resolve(written, read)) {
        Reading::AsTheyAre | Reading::Translated => Ok(()),
        Reading::Incompatible(mismatch) => Err(ConvertError::Mismatch(mismatch.clone())),
        Reading::OwnFormOnly => Err(ConvertError::OtherForm {
            behaviour: written.name().to_owned(),
            version: written.version(),
        }),
    }
}

/// A copy of the state in a form that `new` reads: that of `saved`, or made by `old`'s own way
/// back on a scratch instance.
///
/// # Errors
/// [`ConvertError`].
pub(crate) fn for_restoring(
    old: &dyn Code,
    new: &Description,
    behaviour: &str,
    saved: SavedState,
) -> Result<SavedState, ConvertError> {
    let (_, old_description) = find(old.description(), behaviour)?;
    let (_, new_description) = find(new, behaviour)?;
    match way(old_description, new_description, Reads::of(new))? {
        Way::Forward => Ok(saved),
        Way::Back { state_version } => {
            let code = |source| ConvertError::Code { behaviour: behaviour.to_owned(), source };
            let (_, scratch) = restore(old, behaviour, &saved)?;
            let bytes = scratch.save(state_version).map_err(code)?;
            let offered = old_description.saves(state_version);
            Ok(SavedState { form: offered.unwrap_or(&new_description.state).clone(), bytes })
        }
    }
}

/// A new instance with the state that an old one has saved. Answers its behaviour's index too. `max` is as in
/// [`bounded`].
///
/// # Errors
/// [`ConvertError`].
pub(crate) fn convert(
    old: &Version,
    new: &Version,
    behaviour: &str,
    saved: SavedState,
    max: u64,
) -> Result<(u32, Box<dyn Instance>), ConvertError> {
    let of = saved.bytes.len() as u64;
    let saved = for_restoring(&*old.code, new.code.description(), behaviour, saved)?;
    bounded(behaviour, saved.bytes.len() as u64, of, max)?;
    let (index, instance) = restore(&*new.code, behaviour, &saved)?;
    bounded(behaviour, instance.size(), of, max)?;
    Ok((index, instance))
}

/// A conversion may make a state of `max` bytes, and of a large one as much as four times as large a one.
///
/// # Errors
/// [`ConvertError::TooLarge`].
pub(crate) fn bounded(behaviour: &str, bytes: u64, of: u64, max: u64) -> Result<(), ConvertError> {
    if bytes <= max || bytes <= of.saturating_mul(4) {
        return Ok(());
    }
    Err(ConvertError::TooLarge { behaviour: behaviour.to_owned(), bytes, of, max })
}

/// An instance of `code` with a state that it reads. Answers its behaviour's index too.
///
/// # Errors
/// [`ConvertError`].
pub(crate) fn restore(
    code: &dyn Code,
    behaviour: &str,
    saved: &SavedState,
) -> Result<(u32, Box<dyn Instance>), ConvertError> {
    let (index, description) = find(code.description(), behaviour)?;
    let version = saved.form.version();
    let is_own = description.restores(version).is_some_and(|own| *own == saved.form);
    let restored = match Reads::of(code.description()) {
        Reads::Bridged if !is_own => code
            .translate(index, Reader::State(version), &saved.form, &saved.bytes)
            .and_then(|ours| code.restore(index, version, &ours)),
        Reads::Bridged | Reads::OwnForm => code.restore(index, version, &saved.bytes),
    };
    let failed = |source| ConvertError::Code { behaviour: behaviour.to_owned(), source };
    Ok((index, restored.map_err(failed)?))
}

/// The behaviour of that name, with its index.
///
/// # Errors
/// [`ConvertError::NoBehaviour`].
pub(crate) fn find<'d>(
    description: &'d Description,
    behaviour: &str,
) -> Result<(u32, &'d BehaviourDescription), ConvertError> {
    let found = description.behaviour(behaviour);
    found.ok_or_else(|| ConvertError::NoBehaviour { behaviour: behaviour.to_owned() })
}
