//! What nodes say to each other: the frames' payloads. Pure: bytes in, values out.
//!
//! Messages, calls and replies, which are many, have a fixed head; everything else is one encoded
//! [`Signal`], but for a request to start a function, which carries an argument of any type. All numbers
//! are little endian.

use midflight_message::{Fingerprint, Mismatch, Pid, TypeInfo};
use serde::{Deserialize, Serialize};

use crate::functions::spawned::{NotSpawned, Port, SpawnHead};
use crate::groups::GroupNews;
use crate::mailbox::envelope::{CallRef, Refusal};
use crate::membership::Card;
use crate::membership::member::Member;
use crate::peer::ask::{Answer, Question};
use crate::relocation::word::Word;
use crate::send::account::Window;
use crate::{ExitReason, MonitorRef};

/// The lowest and highest version of this protocol spoken here. It is 1 until something has been released:
/// before that nobody runs programs of two versions, and what the frames are is free to change. From then
/// on whatever changes what a frame means, or what must be understood, takes the next number, and the
/// lowest goes up only when no living release speaks it alone.
pub(crate) const PROTOCOL: (u16, u16) = (1, 1);

/// The highest version in both ranges.
pub(crate) const fn common(ours: (u16, u16), theirs: (u16, u16)) -> Option<u16> {
    let highest = if ours.1 < theirs.1 { ours.1 } else { theirs.1 };
    if highest >= ours.0 && highest >= theirs.0 { Some(highest) } else { None }
}

const MESSAGE: u8 = 1;
const CALL: u8 = 2;
const REPLY: u8 = 3;
const SIGNAL: u8 = 4;
const SPAWN: u8 = 5;
const PORT: u8 = 6;

/// Bytes of a message's head.
pub(crate) const MESSAGE_HEAD: usize = 1 + 8 + 8 + 4;
/// Bytes of a port value's head.
pub(crate) const PORT_HEAD: usize = MESSAGE_HEAD + 4;
/// Bytes of a call's head.
pub(crate) const CALL_HEAD: usize = MESSAGE_HEAD + 8;

/// A process on the one or the other side of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Place {
    /// Outside any process.
    pub(crate) const NOBODY: Self = Self { index: u32::MAX, generation: u32::MAX };

    /// The place of a process on its own node.
    pub(crate) const fn of(pid: Pid) -> Self {
        Self { index: pid.index, generation: pid.generation }
    }
}

/// One frame's payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Message {
        to: Place,
        from: Place,
        ty: u32,
        payload: &'a [u8],
    },
    Call {
        to: Place,
        from: Place,
        ty: u32,
        call: CallRef,
        payload: &'a [u8],
    },
    Reply {
        to: Place,
        from: Place,
        ty: u32,
        call: CallRef,
        payload: &'a [u8],
    },
    Port {
        to: Place,
        from: Place,
        ty: u32,
        port: u32,
        payload: &'a [u8],
    },
    Signal(Signal),
    /// A function is to be started with this argument.
    Spawn {
        head: SpawnHead,
        argument: &'a [u8],
    },
}

/// Everything that is not a message. Those with a `to` travel on the lane of their pair, in order
/// with its messages (P2); the rest on the control lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signal {
    /// The first word on a link.
    Hello(Hello),
    /// The answer to the peer's challenge.
    Proof { mac: [u8; 32] },
    /// The peer's proof is good: it may speak.
    Welcome,
    /// The link is refused, with the reason.
    Refused { reason: String },
    /// The sender numbers this type `ty` on this link.
    Announce { ty: u32, name: String, version: u32, fingerprint: Fingerprint },
    /// What is the schema of this fingerprint?
    SchemaRequest { fingerprint: Fingerprint },
    /// The answer.
    Schema { fingerprint: Fingerprint, info: Option<TypeInfo> },
    /// Members the sender knows, for one who is none itself.
    Members(Vec<Member>),
    /// So many messages to this process were handled.
    Credit { process: Place, messages: u32, bytes: u32 },
    /// This process does not live; nothing under way to it needs credit.
    Gone { process: Place },
    /// A question.
    Ask { request: u64, question: Question },
    /// Its answer.
    Answer { request: u64, answer: Answer },
    /// Tell `from` when `to` ends.
    Monitor { to: Place, from: Place, monitor: MonitorRef },
    /// Do not tell it any more.
    Demonitor { to: Place, from: Place, monitor: MonitorRef },
    /// `from` has ended.
    Down { to: Place, from: Place, monitor: MonitorRef, reason: ExitReason },
    /// `to` is to end.
    Exit { to: Place, from: Place, reason: ExitReason },
    /// The call is not answered, and why.
    Refuse { to: Place, from: Place, call: CallRef, refusal: Refusal },
    /// A message of `to`'s could not be read where it went.
    Undelivered { to: Place, from: Place, refusal: Refusal },
    /// The code of this node was switched: what was resolved against it may resolve otherwise.
    CodeSwitched,
    /// `to` is to end, and cannot prevent it.
    Kill { to: Place, from: Place, reason: String },
    /// `from` has linked itself to `to`.
    Link { to: Place, from: Place },
    /// `from` has unlinked itself from `to`.
    Unlink { to: Place, from: Place, number: u64 },
    /// `from` knows of the unlink.
    UnlinkAcknowledged { to: Place, from: Place, number: u64 },
    /// The link of the two has ended, as `from` has, or never lived.
    LinkEnded { to: Place, from: Place, reason: ExitReason },
    /// What became of a request to start a function: `from` is the process.
    Spawned { to: Place, from: Place, request: u64, result: Result<Port, NotSpawned> },
    /// The monitor of `to`'s is set.
    Monitoring { to: Place, from: Place, monitor: MonitorRef },
    /// `process` cannot read messages of this type, for as long as no code is switched; this is said
    /// after so many [`CodeSwitched`](Self::CodeSwitched), which go on another lane.
    Unreadable {
        process: Place,
        name: String,
        version: u32,
        fingerprint: Fingerprint,
        switches: u64,
        /// The version of the type that the process has, where that is known.
        reader: Option<u32>,
        mismatch: Box<Mismatch>,
    },
    /// An operator sends a dead letter of the sender's again. It takes no credit, and may find no room.
    Again {
        to: Place,
        letter: u64,
        name: String,
        version: u32,
        fingerprint: Fingerprint,
        bytes: Vec<u8>,
    },
    /// Who of the sender's node is in which group.
    Groups(GroupNews),
    /// A packet of the membership's gossip.
    Gossip(#[serde(with = "octets")] Vec<u8>),
    /// An earlier life of the receiver's name claims to have begun later than the receiver's.
    Outranked { started: u64 },
    /// As `Monitor`, of a port of `to`'s.
    MonitorPort { to: Place, from: Place, monitor: MonitorRef, port: u32 },
    /// Messages with so many bytes were handled, whichever processes' they were.
    Handled { bytes: u64 },
    /// So many bytes of messages that came over links of before lie unhandled.
    Unhandled { bytes: u64 },
    /// What code the sender has, in words for the layer above, where it has any.
    Code { details: Option<Vec<u8>> },
    /// The link is idle at the sender, which says nothing more: the receiver may close it.
    MayClose,
    /// It may not be closed.
    StaysOpen,
    /// Between the cells of a process that moves.
    Relocated { to: Place, from: Place, word: Word },
}

impl Signal {
    /// Whether it says only what every two nodes say to each other: a link with nothing else is used by
    /// nobody.
    pub(crate) fn is_upkeep(&self) -> bool {
        match self {
            Self::Gossip(_)
            | Self::Outranked { .. }
            | Self::Members(_)
            | Self::Groups(GroupNews::Anew)
            | Self::MayClose
            | Self::StaysOpen => true,
            Self::Code { details } => details.as_ref().is_some_and(Vec::is_empty),
            _ => false,
        }
    }
}

/// How a node presents itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: (u16, u16),
    pub(crate) features: u64,
    pub(crate) cluster: String,
    pub(crate) member: Card,
    /// Whether the sender demands a proof that the peer knows the secret.
    pub(crate) authenticated: bool,
    pub(crate) nonce: [u8; 32],
    /// How much may be under way to each of the node's processes.
    pub(crate) window: Window,
}

/// Bytes as bytes: read in one piece, and not reserved by the length they claim.
mod octets {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(Octets)
    }

    struct Octets;

    impl Visitor<'_> for Octets {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}

/// What a peer sent cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireError(pub(crate) &'static str);

pub(crate) fn put_message(buffer: &mut Vec<u8>, to: Place, from: Place, ty: u32) {
    put_head(buffer, MESSAGE, to, from, ty);
}

pub(crate) fn put_call(buffer: &mut Vec<u8>, to: Place, from: Place, ty: u32, call: CallRef) {
    put_head(buffer, CALL, to, from, ty);
    buffer.extend_from_slice(&call.0.to_le_bytes());
}

/// Puts the head of a value for a port of `to`'s; a port's number is never 0.
pub(crate) fn put_port(buffer: &mut Vec<u8>, to: Place, from: Place, ty: u32, port: u32) {
    put_head(buffer, PORT, to, from, ty);
    buffer.extend_from_slice(&port.to_le_bytes());
}

pub(crate) fn put_reply(buffer: &mut Vec<u8>, to: Place, from: Place, ty: u32, call: CallRef) {
    put_head(buffer, REPLY, to, from, ty);
    buffer.extend_from_slice(&call.0.to_le_bytes());
}

fn put_head(buffer: &mut Vec<u8>, kind: u8, to: Place, from: Place, ty: u32) {
    let mut head = [0; MESSAGE_HEAD];
    head[0] = kind;
    let words = [to.index, to.generation, from.index, from.generation, ty];
    for (bytes, word) in head[1..].chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    buffer.extend_from_slice(&head);
}

pub(crate) fn put_signal(buffer: &mut Vec<u8>, signal: &Signal) {
    buffer.push(SIGNAL);
    put_plain(buffer, signal);
}

/// Puts the head of a request to start a function; the argument goes behind it.
pub(crate) fn put_spawn(buffer: &mut Vec<u8>, head: &SpawnHead) {
    buffer.push(SPAWN);
    put_plain(buffer, head);
}

fn put_plain(buffer: &mut Vec<u8>, plain: &impl Serialize) {
    let at = buffer.len();
    match postcard::to_extend(plain, std::mem::take(buffer)) {
        Ok(whole) => *buffer = whole,
        // Signals are made of plain data, which postcard always encodes.
        Err(error) => unreachable!("a signal at {at} does not encode: {error}"),
    }
}

/// Reads one frame's payload.
pub(crate) fn read(bytes: &[u8]) -> Result<Frame<'_>, WireError> {
    let (&kind, rest) = bytes.split_first().ok_or(WireError("an empty frame"))?;
    if kind == SIGNAL {
        let (signal, rest) = postcard::take_from_bytes(rest)
            .map_err(|_postcards_reason_says_less| WireError("a signal that does not decode"))?;
        return match rest {
            [] => Ok(Frame::Signal(signal)),
            _ => Err(WireError("bytes behind a signal")),
        };
    }
    if kind == SPAWN {
        let (head, argument) = postcard::take_from_bytes(rest)
            .map_err(|_postcards_reason_says_less| WireError("a spawn that does not decode"))?;
        return Ok(Frame::Spawn { head, argument });
    }
    let (head, payload) =
        rest.split_at_checked(MESSAGE_HEAD - 1).ok_or(WireError("a message without its head"))?;
    let word = |at: usize| {
        let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        u32::from_le_bytes(bytes)
    };
    let to = Place { index: word(0), generation: word(4) };
    let from = Place { index: word(8), generation: word(12) };
    let ty = word(16);
    if kind == MESSAGE {
        return Ok(Frame::Message { to, from, ty, payload });
    }
    if kind == PORT {
        let (port, payload) =
            payload.split_first_chunk().ok_or(WireError("a value without its port"))?;
        return match u32::from_le_bytes(*port) {
            0 => Err(WireError("a value for no port")),
            port => Ok(Frame::Port { to, from, ty, port, payload }),
        };
    }
    let (call, payload) =
        payload.split_first_chunk().ok_or(WireError("a call without its number"))?;
    let call = CallRef(u64::from_le_bytes(*call));
    match kind {
        CALL => Ok(Frame::Call { to, from, ty, call, payload }),
        REPLY => Ok(Frame::Reply { to, from, ty, call, payload }),
        _ => Err(WireError("an unknown kind of frame")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: Place = Place { index: 1, generation: 2 };
    const FROM: Place = Place { index: 3, generation: 4 };

    #[test]
    fn golden_bytes_of_a_call() {
        let mut bytes = Vec::new();
        put_call(&mut bytes, TO, FROM, 5, CallRef(6));
        bytes.extend_from_slice(b"x");
        let golden = [
            2, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,
            b'x',
        ];
        assert_eq!(bytes, golden);
        let call = Frame::Call { to: TO, from: FROM, ty: 5, call: CallRef(6), payload: b"x" };
        assert_eq!(read(&golden), Ok(call));
    }

    #[test]
    fn golden_bytes_of_a_value_for_a_port() {
        let mut bytes = Vec::new();
        put_port(&mut bytes, TO, FROM, 5, 6);
        assert_eq!(bytes.len(), PORT_HEAD);
        bytes.extend_from_slice(b"x");
        let golden =
            [6, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, b'x'];
        assert_eq!(bytes, golden);
        let port = Frame::Port { to: TO, from: FROM, ty: 5, port: 6, payload: b"x" };
        assert_eq!(read(&golden), Ok(port));
        for end in 0..PORT_HEAD {
            assert!(read(&golden[..end]).is_err(), "{end}");
        }
        bytes[MESSAGE_HEAD] = 0;
        assert!(read(&bytes).is_err(), "no port has the number 0");
    }

    #[test]
    fn golden_bytes_of_a_signal() {
        let mut bytes = Vec::new();
        put_signal(&mut bytes, &Signal::Credit { process: TO, messages: 300, bytes: 4 });
        assert_eq!(bytes, [4, 8, 1, 2, 172, 2, 4]);
        assert!(matches!(read(&bytes), Ok(Frame::Signal(Signal::Credit { .. }))));
    }

    #[test]
    fn golden_bytes_of_a_request_to_start_a_function() {
        let head = SpawnHead {
            request: 300,
            from: FROM,
            ty: 5,
            function: "f".into(),
            name: None,
            monitor: Some(MonitorRef(6)),
            link: true,
            call: None,
            channel: Some("c".into()),
        };
        let mut bytes = Vec::new();
        put_spawn(&mut bytes, &head);
        bytes.extend_from_slice(b"xy");
        assert_eq!(bytes, [5, 172, 2, 3, 4, 5, 1, b'f', 0, 1, 6, 1, 0, 1, 1, b'c', b'x', b'y']);
        assert_eq!(read(&bytes), Ok(Frame::Spawn { head, argument: b"xy" }));
        for end in 0..16 {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let mut bytes = Vec::new();
        put_call(&mut bytes, TO, FROM, 5, CallRef(6));
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        assert!(read(&[9; 40]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8.., 0..256)) {
            let _ = read(&bytes);
        }
    }
}
