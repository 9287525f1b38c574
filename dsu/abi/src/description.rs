//! What a library says of itself: what the manifest lists, and what `describe` writes.

use std::collections::BTreeSet;
use std::fmt;

use midflight_message::{ToldConversions, ToldError, TypeInfo};
use serde::{Deserialize, Serialize};

use crate::behaviour::{Behaviour, State};
use crate::error::Failure;
use crate::status::Status;

/// The behaviours of a library, in the order of their indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The behaviours.
    pub behaviours: Vec<BehaviourDescription>,
    /// What is to be told of the conversions to the types it reads; none of a library that reads each only in
    /// the type's own form (below ABI minor 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversions: Option<ToldConversions>,
}

/// One behaviour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviourDescription {
    /// What makes two versions the same behaviour.
    pub name: String,
    /// The version of the code.
    pub code_version: u32,
    /// What a process of it starts from.
    pub start: TypeInfo,
    /// Its state.
    pub state: TypeInfo,
    /// The other states it converts from and to, by version.
    pub conversions: Vec<ConversionDescription>,
    /// The messages it handles; `type_index` counts them.
    pub accepts: Vec<AcceptDescription>,
    /// The messages it sends unasked; the `type_index` of sends and spawns counts them.
    pub sends: Vec<TypeInfo>,
    /// The calls it makes; the `type_index` of calls counts them.
    pub calls: Vec<CallDescription>,
}

/// A message handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptDescription {
    /// The message.
    pub message: TypeInfo,
    /// Its reply; none for a cast.
    pub reply: Option<TypeInfo>,
    /// Whether the handler may suspend.
    pub is_async: bool,
}

/// A call made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallDescription {
    /// The message.
    pub message: TypeInfo,
    /// The reply expected.
    pub reply: TypeInfo,
}

/// A conversion of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversionDescription {
    /// The other state, its version included.
    pub state: TypeInfo,
    /// Whether it converts from it.
    pub from: bool,
    /// Whether it converts to it.
    pub to: bool,
}

impl Description {
    /// Checks what can be checked of a description alone.
    ///
    /// # Errors
    /// [`DescriptionError`]: names or versions that appear twice.
    pub fn check(&self) -> Result<(), DescriptionError> {
        unique(self.behaviours.iter().map(|b| b.name.as_str()), "a behaviour called")?;
        for behaviour in &self.behaviours {
            let messages = behaviour.accepts.iter().map(|a| a.message.name());
            unique(messages, "a handler for")?;
            let own = std::iter::once(behaviour.state.version());
            let others = behaviour.conversions.iter().map(|c| c.state.version());
            unique(own.chain(others), "a state of version")?;
        }
        if let Some(told) = &self.conversions {
            told.check(self.readers()).map_err(DescriptionError::Conversions)?;
        }
        Ok(())
    }

    /// A description whose types know the conversions that were told of.
    #[must_use]
    pub fn new(
        behaviours: Vec<BehaviourDescription>,
        conversions: Option<ToldConversions>,
    ) -> Self {
        let mut description = Self { behaviours, conversions };
        if let Some(told) = description.conversions.take() {
            let behaviours = description.behaviours.iter_mut();
            told.bind(behaviours.flat_map(BehaviourDescription::readers_mut));
            description.conversions = Some(told);
        }
        description
    }

    /// Every type that the library reads, in a fixed order: by this their conversions are told.
    pub fn readers(&self) -> impl Iterator<Item = &TypeInfo> {
        self.behaviours.iter().flat_map(|behaviour| {
            let BehaviourDescription { start, state, conversions, accepts, calls, .. } = behaviour;
            let accepts = accepts.iter().map(|accept| &accept.message);
            let replies = calls.iter().map(|call| &call.reply);
            let states = conversions.iter().map(|conversion| &conversion.state);
            [start, state].into_iter().chain(accepts).chain(replies).chain(states)
        })
    }

    /// The index and the description of the behaviour called `name`.
    #[must_use]
    pub fn behaviour(&self, name: &str) -> Option<(u32, &BehaviourDescription)> {
        (0..).zip(&self.behaviours).find(|(_, behaviour)| behaviour.name == name)
    }
}

impl BehaviourDescription {
    /// As [`Description::readers`], in the same order.
    fn readers_mut(&mut self) -> impl Iterator<Item = &mut TypeInfo> {
        let Self { start, state, conversions, accepts, calls, .. } = self;
        let accepts = accepts.iter_mut().map(|accept| &mut accept.message);
        let replies = calls.iter_mut().map(|call| &mut call.reply);
        let states = conversions.iter_mut().map(|conversion| &mut conversion.state);
        [start, state].into_iter().chain(accepts).chain(replies).chain(states)
    }

    /// The state of that version, when the behaviour can make itself of it.
    #[must_use]
    pub fn restores(&self, state_version: u32) -> Option<&TypeInfo> {
        self.state_of(state_version, |conversion| conversion.from)
    }

    /// The state of that version, when the behaviour can save itself as it.
    #[must_use]
    pub fn saves(&self, state_version: u32) -> Option<&TypeInfo> {
        self.state_of(state_version, |conversion| conversion.to)
    }

    fn state_of(
        &self,
        version: u32,
        can: impl Fn(&ConversionDescription) -> bool,
    ) -> Option<&TypeInfo> {
        if version == self.state.version() {
            return Some(&self.state);
        }
        let mut conversions = self.conversions.iter();
        conversions.find(|c| c.state.version() == version && can(c)).map(|c| &c.state)
    }

    pub(crate) fn of<B: Behaviour>() -> Result<Self, Failure> {
        let conversions = B::CONVERSIONS.iter().map(|conversion| {
            let state = (conversion.state)(B::NAME)?;
            Ok(ConversionDescription {
                state,
                from: conversion.from.is_some(),
                to: conversion.to.is_some(),
            })
        });
        let accepts = B::ACCEPTS.iter().map(|accept| AcceptDescription {
            message: (accept.message)().clone(),
            reply: accept.reply.map(|reply| reply().clone()),
            is_async: !matches!(accept.handler, crate::behaviour::Handler::Plain(_)),
        });
        let calls = B::CALLS.iter().map(|call| CallDescription {
            message: (call.message)().clone(),
            reply: (call.reply)().clone(),
        });
        Ok(Self {
            name: B::NAME.to_owned(),
            code_version: B::CODE_VERSION,
            start: <B::Start as midflight_message::Message>::type_info().clone(),
            state: state_info::<B>(B::NAME)?,
            conversions: conversions.collect::<Result<_, Failure>>()?,
            accepts: accepts.collect(),
            sends: B::SENDS.iter().map(|message| message().clone()).collect(),
            calls: calls.collect(),
        })
    }
}

/// The shape of the state `S` of the behaviour called `name`.
///
/// # Errors
/// [`Failure`] when the schema is beyond its bounds.
pub fn state_info<S: State>(name: &str) -> Result<TypeInfo, Failure> {
    TypeInfo::of_schema::<S>(name, S::VERSION).map_err(|e| {
        Failure::new(Status::REFUSED, format!("the state of {name} cannot be described: {e}"))
    })
}

/// A description does not hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptionError {
    /// Something appears twice.
    Twice {
        /// What it is.
        what: &'static str,
        /// Its name or version.
        which: String,
    },
    /// What is told of the conversions of messages does not fit.
    Conversions(ToldError),
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice { what, which } => write!(f, "there is {what} {which} twice"),
            Self::Conversions(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for DescriptionError {}

fn unique<T: Ord + ToString>(
    all: impl Iterator<Item = T>,
    what: &'static str,
) -> Result<(), DescriptionError> {
    let mut seen = BTreeSet::new();
    for one in all {
        let which = one.to_string();
        if !seen.insert(one) {
            return Err(DescriptionError::Twice { what, which });
        }
    }
    Ok(())
}
