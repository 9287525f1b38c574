//! What a process gets in a test: messages, and time that passes.

use std::fmt;
use std::time::Duration;

use midflight_message::{EncodeError, Message, TypeInfo, encode};

/// A start and what comes after it. Nothing is sent anywhere: each is given to the code in turn.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) start: (TypeInfo, Vec<u8>),
    pub(super) inputs: Vec<Input>,
    /// The first message that could not be encoded.
    pub(super) broken: Option<EncodeError>,
}

/// One thing that comes to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A message.
    Message {
        /// Its form.
        form: TypeInfo,
        /// Its bytes.
        bytes: Vec<u8>,
        /// Whether a reply is waited for.
        is_call: bool,
    },
    /// So much time passes: what is due comes.
    Wait(Duration),
}

impl Input {
    /// A call with `message`.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn call<M: Message>(message: &M) -> Result<Self, EncodeError> {
        Self::message(message, true)
    }

    /// A message for which nobody waits for a reply.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn cast<M: Message>(message: &M) -> Result<Self, EncodeError> {
        Self::message(message, false)
    }

    fn message<M: Message>(message: &M, is_call: bool) -> Result<Self, EncodeError> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes)?;
        Ok(Self::Message { form: M::type_info().clone(), bytes, is_call })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { form, is_call, .. } => {
                write!(f, "{} {}", if *is_call { "call" } else { "cast" }, form.name())
            }
            Self::Wait(time) => write!(f, "wait {time:?}"),
        }
    }
}

impl Script {
    /// Begins a process from `start`; `&()` where its `init` takes nothing.
    #[must_use]
    pub fn new<S: Message>(start: &S) -> Self {
        let mut bytes = Vec::new();
        let broken = encode(start, &mut bytes).err();
        Self { start: (S::type_info().clone(), bytes), inputs: Vec::new(), broken }
    }

    /// Calls it.
    #[must_use]
    pub fn call<M: Message>(self, message: &M) -> Self {
        self.push(Input::call(message))
    }

    /// Sends it a message for which nobody waits for a reply.
    #[must_use]
    pub fn cast<M: Message>(self, message: &M) -> Self {
        self.push(Input::cast(message))
    }

    /// Lets time pass: its timers run off, and its sleeps end. No test takes as long.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.inputs.push(Input::Wait(time));
        self
    }

    fn push(mut self, input: Result<Input, EncodeError>) -> Self {
        match input {
            Ok(input) => self.inputs.push(input),
            Err(error) => self.broken = self.broken.or(Some(error)),
        }
        self
    }
}
