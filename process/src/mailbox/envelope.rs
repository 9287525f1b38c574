//! What lies in a mailbox.

use bytes::Bytes;
use midflight_message::{Mismatch, Pid};
use serde::{Deserialize, Serialize};

use crate::LetterId;
use crate::mailbox::value::Value;
use crate::peer::wire::Place;
use crate::roles::NotAllowed;
use crate::send::MOVED_WEIGHT;
use crate::trace::TraceContext;
use crate::types::TypeNo;

/// Who sent something, in 12 bytes: the sender's node by its number in this node's table of nodes
/// (0 is this node, [`Sender::NOBODY`]'s is none), and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sender {
    pub(crate) node: u32,
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Sender {
    /// Sent from outside any process.
    pub(crate) const NOBODY: Self = Self { node: u32::MAX, index: 0, generation: 0 };

    pub(crate) const fn place(self) -> Place {
        Place { index: self.index, generation: self.generation }
    }

    /// The node number under which an operator sends a dead letter again: no node has it, and the place
    /// is the letter's number. So the mark takes no room in a mailbox's entries.
    const AGAIN: u32 = u32::MAX - 1;

    pub(crate) const fn is_remote(self) -> bool {
        self.node != 0 && self.node < Self::AGAIN
    }

    /// An operator, who sends a dead letter again.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub(crate) const fn again(letter: LetterId) -> Self {
        let number = letter.get();
        Self { node: Self::AGAIN, index: (number >> 32) as u32, generation: number as u32 }
    }

    /// The dead letter that was sent again.
    #[inline]
    pub(crate) fn letter(self) -> Option<LetterId> {
        let number = u64::from(self.index) << 32 | u64::from(self.generation);
        LetterId::new(number).filter(|_| self.node == Self::AGAIN)
    }
}

/// Which call a reply answers; numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallRef(pub u64);

/// One entry of a mailbox, 32 bytes. Small encoded payloads lie in the mailbox's byte segment.
#[derive(Debug)]
pub(crate) enum Envelope {
    /// A value moved from a process of the same image.
    Value { from: Sender, value: Box<dyn Value> },
    /// What the node says in the place of `from`, such as its end: see [`TOLD_WEIGHT`].
    Told { from: Sender, value: Box<dyn Value> },
    /// An encoded message in the segment; a value for a port when `port` is not 0.
    Small { from: Sender, port: u32, ty: TypeNo, start: u32, len: u32 },
    /// A moved value for a port: it says for which.
    Port { from: Sender, value: Box<dyn Value> },
    /// Everything else.
    Parcel { from: Sender, parcel: Box<Parcel> },
}

/// What a notice counts: no message, so that it takes nobody's room, and one byte, by which it is known.
pub(crate) const NOTICE_WEIGHT: (u32, u32) = (0, 1);

/// What the node's word in the place of a sender counts: a message of no bytes, by which it is known. It is no
/// message of the sender's: that one took no credit for it, and nobody else can have it said.
pub(crate) const TOLD_WEIGHT: (u32, u32) = (1, 0);

/// What a small message counts beside its payload, in bytes.
pub(crate) const SMALL_OVERHEAD: u32 = 32;

/// A message's content, either form.
#[derive(Debug)]
pub(crate) enum Content {
    Value(Box<dyn Value>),
    Bytes { ty: TypeNo, bytes: Bytes },
}

/// What is too large or too rare for the mailbox's own entries.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A large encoded message, by reference.
    Large { ty: TypeNo, bytes: Bytes },
    /// A large encoded value for a port.
    Port { port: u32, ty: TypeNo, bytes: Bytes },
    /// A request that wants a reply.
    Call { call: CallRef, content: Content },
    /// The reply to a call.
    Reply { call: CallRef, result: Result<Content, Refusal> },
    /// Ends the process. One that came over a link goes nowhere when the process has unlinked itself
    /// from `link` meanwhile.
    Exit { reason: crate::ExitReason, link: Option<Pid> },
    /// What the node tells the process unasked: see [`notice`](crate::letters::notice).
    Notice(Box<dyn Value>),
    /// The context of the message behind it. Taken out before the turn in which that is taken.
    Mark(TraceContext),
    /// A message, a call or a value for a port that a cell of a moved process has handed on to its next: that
    /// is its sender as far as credit and a reply go, and `origin` who has sent it first.
    Forwarded { origin: Sender, hops: u8, parcel: Box<Self> },
    /// A message that was decoded for a predicate, which did not want it.
    Read {
        call: Option<CallRef>,
        value: Box<dyn Value>,
        /// What it counted before it was decoded.
        weight: (u32, u32),
        /// As its sender wrote it, when that is another form than the value's.
        written: Option<Written>,
    },
}

/// A message in its sender's form.
pub(crate) type Written = Box<(TypeNo, Bytes)>;

/// What a mailbox entry tells about its type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Value(&'a dyn Value),
    Type(TypeNo),
}

impl Content {
    pub(crate) fn subject(&self) -> Subject<'_> {
        match self {
            Self::Value(value) => Subject::Value(&**value),
            Self::Bytes { ty, .. } => Subject::Type(*ty),
        }
    }

    /// What it counts against the bounds of a mailbox.
    pub(crate) fn weight(&self) -> (u32, u32) {
        match self {
            Self::Value(_) => MOVED_WEIGHT,
            Self::Bytes { bytes, .. } => (1, encoded_weight(bytes.len())),
        }
    }
}

/// Why a receiver did not take a message; travels back to the sender in the message's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The receiver cannot read the message.
    Incompatible(Box<Mismatch>),
    /// The receiver's behaviour accepts a closed set of messages, and this is none of them.
    NotAccepted {
        /// The message's type.
        type_name: String,
        /// The message's version.
        version: u32,
        /// What the behaviour accepts.
        accepts: Vec<String>,
        /// The behaviour and its version.
        behaviour: String,
    },
    /// The bytes are not what their type says.
    Garbled {
        /// The message's type.
        type_name: String,
        /// What the decoder said.
        detail: String,
    },
    /// The receiver does not live.
    NoProcess,
    /// The receiver ended, or its code failed, before it replied.
    Aborted {
        /// Why.
        reason: String,
    },
    /// The receiver has no such port, or has closed it.
    NoPort {
        /// The port's number.
        port: u32,
    },
    /// The sender's node may not do this on the receiver's.
    NotAllowed(NotAllowed),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Incompatible(mismatch) => write!(f, "incompatible: {mismatch}"),
            Self::NotAccepted { type_name, version, accepts, behaviour } => write!(
                f,
                "{behaviour} does not accept {type_name} version {version}; it accepts {}",
                accepts.join(", ")
            ),
            Self::Garbled { type_name, detail } => write!(f, "garbled {type_name}: {detail}"),
            Self::NoProcess => f.write_str("no such process"),
            Self::NotAllowed(no) => no.fmt(f),
            Self::Aborted { reason } => write!(f, "aborted: {reason}"),
            Self::NoPort { port } => write!(f, "port {port} is closed"),
        }
    }
}

impl Parcel {
    /// The call that it is, if it is one.
    pub(crate) fn call(&self) -> Option<CallRef> {
        match self {
            Self::Call { call, .. } => Some(*call),
            Self::Read { call, .. } => *call,
            Self::Forwarded { parcel, .. } => parcel.call(),
            _ => None,
        }
    }

    fn subject(&self) -> Option<Subject<'_>> {
        Some(match self {
            Self::Large { ty, .. } => Subject::Type(*ty),
            Self::Call { content, .. } => content.subject(),
            Self::Read { value, .. } | Self::Notice(value) => Subject::Value(&**value),
            Self::Forwarded { parcel, .. } => return parcel.subject(),
            Self::Reply { .. } | Self::Exit { .. } | Self::Port { .. } | Self::Mark(_) => {
                return None;
            }
        })
    }

    fn weight(&self) -> (u32, u32) {
        match self {
            Self::Large { bytes, .. } | Self::Port { bytes, .. } => {
                (1, encoded_weight(bytes.len()))
            }
            Self::Call { content, .. } => content.weight(),
            Self::Read { weight, .. } => *weight,
            Self::Notice(_) => NOTICE_WEIGHT,
            Self::Forwarded { parcel, .. } => parcel.weight(),
            Self::Reply { .. } | Self::Exit { .. } | Self::Mark(_) => (0, 0),
        }
    }
}

impl Envelope {
    pub(crate) const fn from(&self) -> Sender {
        match self {
            Self::Value { from, .. }
            | Self::Told { from, .. }
            | Self::Small { from, .. }
            | Self::Port { from, .. }
            | Self::Parcel { from, .. } => *from,
        }
    }

    /// Who has sent it first, where a cell of a moved process has handed it on.
    pub(crate) fn origin(&self) -> Sender {
        match self {
            Self::Parcel { from, parcel } => match **parcel {
                Parcel::Forwarded { origin, .. } => origin,
                _ => *from,
            },
            _ => self.from(),
        }
    }

    /// What a clause goes by; `None`: it is no message.
    #[inline]
    pub(crate) fn subject(&self) -> Option<Subject<'_>> {
        Some(match self {
            Self::Value { value, .. } | Self::Told { value, .. } => Subject::Value(&**value),
            Self::Small { ty, .. } => Subject::Type(*ty),
            Self::Port { .. } => return None,
            Self::Parcel { parcel, .. } => return parcel.subject(),
        })
    }

    /// Whether it is a demand to end.
    pub(crate) fn is_exit(&self) -> bool {
        matches!(self, Self::Parcel { parcel, .. } if matches!(**parcel, Parcel::Exit { .. }))
    }

    /// Whether it is no message: a reply, or a demand to end.
    pub(crate) fn is_signal(&self) -> bool {
        match self {
            Self::Parcel { parcel, .. } => {
                matches!(**parcel, Parcel::Reply { .. } | Parcel::Exit { .. } | Parcel::Mark(_))
            }
            Self::Value { .. } | Self::Told { .. } | Self::Small { .. } | Self::Port { .. } => {
                false
            }
        }
    }

    /// Whether a receive has nothing to do with it: a signal, or a value for a port.
    #[inline]
    pub(crate) fn is_apart(&self) -> bool {
        match self {
            Self::Value { .. } | Self::Told { .. } => false,
            Self::Small { port, .. } => *port != 0,
            Self::Port { .. } => true,
            Self::Parcel { parcel, .. } => {
                self.is_signal() || matches!(**parcel, Parcel::Port { .. })
            }
        }
    }

    /// What it counts against the bounds of a mailbox. Signals and replies count nothing: they
    /// must never wait (P6). Notices have a bound of their own.
    #[inline]
    pub(crate) fn weight(&self) -> (u32, u32) {
        match self {
            Self::Value { .. } | Self::Port { .. } => MOVED_WEIGHT,
            Self::Told { .. } => TOLD_WEIGHT,
            Self::Small { len, .. } => (1, encoded_weight(*len as usize)),
            Self::Parcel { parcel, .. } => parcel.weight(),
        }
    }
}

/// What an encoded message counts, at its sender as at its receiver: credit that were not given back
/// as it was taken would be lost, or made of nothing.
pub(crate) fn encoded_weight(payload: usize) -> u32 {
    u32::try_from(payload).unwrap_or(u32::MAX).saturating_add(SMALL_OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_32_bytes() {
        assert_eq!(size_of::<Envelope>(), 32);
        assert_eq!(size_of::<Option<Envelope>>(), 32);
    }
}
