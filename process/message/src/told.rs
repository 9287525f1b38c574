//! Conversions as somebody tells of them who has the functions: enough to foresee what comes of a
//! message, without running anything.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Conversion, TypeInfo};

/// The most types that are told of.
const TYPES_MAX: usize = 256;
/// The most conversions.
const STEPS_MAX: usize = 1_024;

/// The conversions to some types and to their parts, version by version back to where they begin.
///
/// [`ToldConversions::of`] writes them down; [`ToldConversions::bind`] gives them to the same types somewhere
/// else, for [`resolve`](crate::resolve).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldConversions {
    /// Every type that a conversion takes or makes.
    types: Vec<TypeInfo>,
    /// Which of the readers have conversions, by their place, and which of the types each is.
    readers: Vec<(u32, u32)>,
    /// In the order in which their author gives them.
    steps: Vec<Step>,
}

/// One conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The type, and the number of the named type in it, that it makes.
    to: (u32, u32),
    /// The type that it takes.
    from: u32,
    may_fail: bool,
}

/// What is told of conversions does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToldError {
    /// There are more than anyone needs.
    TooMany,
    /// It is about a type that is not there, or another.
    NoSuchType,
    /// A conversion takes another message than it makes, or the same version of it.
    NotVersions,
}

impl fmt::Display for ToldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(
                f,
                "messages have more than {STEPS_MAX} conversions, or these more than {TYPES_MAX} types"
            ),
            Self::NoSuchType => {
                f.write_str("a conversion of messages is of a type that is not there")
            }
            Self::NotVersions => {
                f.write_str("a conversion of messages is not between two versions of one message")
            }
        }
    }
}

impl Error for ToldError {}

impl ToldConversions {
    /// What there is to tell of the conversions to these types.
    ///
    /// # Errors
    /// [`ToldError::TooMany`].
    pub fn of<'r>(readers: impl IntoIterator<Item = &'r TypeInfo>) -> Result<Self, ToldError> {
        let mut told = Self::default();
        for (place, reader) in (0..).zip(readers) {
            let numbers = 0..reader.tree().definitions().len();
            if numbers.clone().any(|number| !reader.conversions(number).is_empty()) {
                let number = told.number(reader)?;
                told.readers.push((place, number));
            }
        }
        let mut at = 0;
        while let Some(to) = told.types.get(at).cloned() {
            for part in 0..to.tree().definitions().len() {
                for conversion in to.conversions(part) {
                    let from = told.number(conversion.from())?;
                    let to = (number(at)?, number(part)?);
                    told.steps.push(Step { to, from, may_fail: conversion.may_fail() });
                }
            }
            at += 1;
        }
        if told.steps.len() > STEPS_MAX { Err(ToldError::TooMany) } else { Ok(told) }
    }

    fn number(&mut self, info: &TypeInfo) -> Result<u32, ToldError> {
        let same = |other: &TypeInfo| Arc::ptr_eq(other.tree(), info.tree());
        if let Some(at) = self.types.iter().position(same) {
            return number(at);
        }
        if self.types.len() >= TYPES_MAX {
            return Err(ToldError::TooMany);
        }
        self.types.push(info.clone());
        number(self.types.len() - 1)
    }

    /// Whether it holds together, told to these readers.
    ///
    /// # Errors
    /// [`ToldError`].
    pub fn check<'r>(
        &self,
        readers: impl IntoIterator<Item = &'r TypeInfo>,
    ) -> Result<(), ToldError> {
        if self.types.len() > TYPES_MAX
            || self.steps.len() > STEPS_MAX
            || self.readers.len() > TYPES_MAX
        {
            return Err(ToldError::TooMany);
        }
        let readers: Vec<_> = readers.into_iter().collect();
        for (place, number) in &self.readers {
            let reader = readers.get(*place as usize).ok_or(ToldError::NoSuchType)?;
            if self.types.get(*number as usize) != Some(*reader) {
                return Err(ToldError::NoSuchType);
            }
        }
        for Step { to: (to, part), from, .. } in &self.steps {
            let to = self.types.get(*to as usize).ok_or(ToldError::NoSuchType)?;
            let made = to.tree().definitions().get(*part as usize).ok_or(ToldError::NoSuchType)?;
            let from = self.types.get(*from as usize).ok_or(ToldError::NoSuchType)?;
            if made.name != from.name() || made.version.is_none_or(|v| v == from.version()) {
                return Err(ToldError::NotVersions);
            }
        }
        Ok(())
    }

    /// Gives the same types, in the same order, the conversions told of. What does not fit is left out:
    /// [`ToldConversions::check`] says so.
    pub fn bind<'r>(&self, readers: impl IntoIterator<Item = &'r mut TypeInfo>) {
        let told = Arc::new(self.clone());
        for (place, reader) in (0..).zip(readers) {
            let found = told.readers.iter().find(|(at, _)| *at == place);
            let Some(number) = found.map(|(_, number)| *number as usize) else { continue };
            if told.types.get(number) == Some(&*reader) {
                *reader = told.types[number].with_told(told.clone(), number);
            }
        }
    }

    /// The conversions to a part of a type.
    pub(crate) fn conversions(told: &Arc<Self>, of: usize, part: usize) -> Vec<Conversion> {
        let known = |number: usize| Some(told.types.get(number)?.with_told(told.clone(), number));
        let to_it = |step: &&Step| (step.to.0 as usize, step.to.1 as usize) == (of, part);
        let conversion = |step: &Step| {
            Some(Conversion::told(known(step.from as usize)?, known(of)?, step.may_fail))
        };
        told.steps.iter().filter(to_it).filter_map(conversion).collect()
    }
}

fn number(at: usize) -> Result<u32, ToldError> {
    u32::try_from(at).map_err(|_too_many| ToldError::TooMany)
}
