//! What operators ask about messages that were not taken.

use midflight_message::{Message, Pid, Schema};
use serde::{Deserialize, Serialize};

/// Something about a node's dead letters. The reply is [`LettersReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.LettersRequest", version = 1)]
pub enum LettersRequest {
    /// Lists them, and counts what was not taken.
    List {
        /// At most so many letters, the newest.
        limit: u32,
    },
    /// Shows one, with what is in it.
    Show {
        /// Its number.
        letter: u64,
    },
    /// Sends one again, marked.
    Redeliver {
        /// Its number.
        letter: u64,
        /// To whom; to its receiver where it is not said.
        to: Option<Pid>,
    },
    /// Throws one away.
    Drop {
        /// Its number.
        letter: u64,
    },
    /// Throws all away.
    Clear,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.LettersReply", version = 1)]
pub enum LettersReply {
    /// The list.
    Listed(Letters),
    /// One letter.
    Shown(Shown),
    /// It was sent again.
    Sent {
        /// To whom.
        to: Pid,
    },
    /// So many were thrown away.
    Dropped(u64),
    /// Nothing was done, with the reason.
    Refused(String),
}

/// A node's dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Letters {
    /// How many are kept.
    pub total: u64,
    /// How many bytes they count.
    pub bytes: u64,
    /// How many had to go for newer ones, or were too large to be kept.
    pub lost: u64,
    /// The newest of them, oldest first.
    pub letters: Vec<LetterStatus>,
    /// What was not taken, and what was not sent as it would not have been.
    pub refused: Vec<RefusedStatus>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct LetterStatus {
    /// Its number on the node.
    pub id: u64,
    /// Milliseconds since the beginning of 1970.
    pub unix_millis: u64,
    /// Who sent it; `None` when it came from outside any process.
    pub from: Option<Pid>,
    /// To whom.
    pub to: Pid,
    /// Its type.
    pub type_name: String,
    /// Its sender's version of the type.
    pub version: u32,
    /// The fingerprint of its sender's schema, in hexadecimal.
    pub fingerprint: String,
    /// The kind of reason: `incompatible`, `not accepted`, `garbled`, `gone`.
    pub kind: String,
    /// The reason, in words.
    pub reason: String,
    /// How many bytes the encoded message has.
    pub bytes: u64,
    /// Whether it was a call.
    pub call: bool,
    /// The letter that was sent again, when this is what became of it.
    pub again: Option<u64>,
}

/// A dead letter, with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Shown {
    /// The letter.
    pub letter: LetterStatus,
    /// Its fields as text, where its sender's schema is known.
    pub text: Option<String>,
    /// The encoded message, or its beginning.
    pub encoded: Vec<u8>,
}

/// How many messages of one kind were not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct RefusedStatus {
    /// Their type.
    pub type_name: String,
    /// The version their sender had.
    pub from_version: u32,
    /// The version their receiver had, where it has the type and it is known.
    pub to_version: Option<u32>,
    /// The kind of reason.
    pub kind: String,
    /// Whether they were not sent, since their sender's node knew.
    pub at_send: bool,
    /// How many.
    pub times: u64,
}
