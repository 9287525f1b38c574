//! Who a process under test calls: the test, which answers in everyone's place.

use std::fmt;
use std::sync::Arc;

use midflight_message::{Message, TypeInfo, decode, encode};

/// A call that a process makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whom it calls.
    pub to: String,
    /// The message's form.
    pub form: TypeInfo,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Asked {
    /// The message, where it is an `M` in its own form.
    #[must_use]
    pub fn message<M: Message>(&self) -> Option<M> {
        if self.form != *M::type_info() {
            return None;
        }
        decode(&self.bytes).ok()
    }
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// A reply.
    Reply {
        /// Its form.
        form: TypeInfo,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// There is nobody.
    Gone,
    /// None came in time.
    Timeout,
}

impl Answered {
    /// A reply; one that cannot be encoded is none, and there is nobody.
    #[must_use]
    pub fn reply<M: Message>(reply: &M) -> Self {
        let mut bytes = Vec::new();
        match encode(reply, &mut bytes) {
            Ok(()) => Self::Reply { form: M::type_info().clone(), bytes },
            Err(_unencodable) => Self::Gone,
        }
    }
}

/// Answers every call by a function of it, so that two runs hear the same.
#[derive(Clone)]
pub(super) struct Answers(Arc<dyn Fn(&Asked) -> Answered + Send + Sync>);

impl Answers {
    pub(super) fn by(answer: impl Fn(&Asked) -> Answered + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    pub(super) fn answer(&self, asked: &Asked) -> Answered {
        (self.0)(asked)
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::by(|_| Answered::Gone)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}
