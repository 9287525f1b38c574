//! What is said before the first frame: pure, from bytes and to bytes.
//!
//! Dialler: hello. Acceptor: welcome or refusal. Dialler: confirmation, and frames. Each is
//!
//! ```text
//! magic "midflght" | kind u8 | lowest version u16 | highest version u16 | length u16 | body
//! ```
//!
//! little endian. The head is the same in all versions, so that two without a common one can say so.
//! A body may be longer than what is known of it: the rest belongs to a later version.

use std::fmt;
use std::time::Duration;

use midflight_transport_api::Address;

/// Lowest and highest version spoken here.
pub const VERSIONS: (u16, u16) = (1, 1);

const MAGIC: [u8; 8] = *b"midflght";
const HEAD_LEN: usize = 15;
/// The longest body.
const BODY_MAX: usize = 1024;
/// The longest message of a handshake.
pub const MESSAGE_MAX: usize = HEAD_LEN + BODY_MAX;

/// One message of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The dialler says who it is.
    Hello(Introduction),
    /// The acceptor does, and would take the link.
    Welcome(Introduction),
    /// The acceptor would not; and what it calls itself, when it says so.
    Refusal(Refusal, Option<Address>),
    /// The dialler takes it: what follows are frames.
    Confirmation,
}

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Where it can be dialled, or a made-up name.
    pub address: Address,
    /// Drawn when the endpoint was opened.
    pub nonce: [u8; 16],
    /// Who is silent for so long is lost to it.
    pub heartbeat: Duration,
    /// The longest message it takes.
    pub max_message: usize,
}

/// Why there will be no link on this socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// See the range in the head.
    NoCommonVersion,
    /// The acceptor's own dial is the one that counts.
    Crossed,
    /// The acceptor is closing.
    Closed,
    /// The acceptor has as many links as it may.
    TooMany,
    /// The endpoint has dialled itself.
    Oneself,
    /// The link of that name lives.
    Linked,
    /// Another one has that name.
    Taken,
    /// What the dialler has proven does not allow it to be at that address.
    NotCovered,
    /// Of a later version.
    Other(u8),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommonVersion => f.write_str("no common protocol version"),
            Self::Crossed => f.write_str("crossed by a dial from the other side"),
            Self::Closed => f.write_str("the endpoint is closing"),
            Self::TooMany => f.write_str("the endpoint has too many links"),
            Self::Oneself => f.write_str("this is the same endpoint"),
            Self::Linked => f.write_str("the link to the endpoint of that name lives"),
            Self::Taken => f.write_str("an endpoint of that name and another identity is linked"),
            Self::NotCovered => f.write_str("what you have proven does not cover your address"),
            Self::Other(code) => write!(f, "reason {code}, unknown here"),
        }
    }
}

impl Refusal {
    const fn code(self) -> u8 {
        match self {
            Self::NoCommonVersion => 1,
            Self::Crossed => 2,
            Self::Closed => 3,
            Self::TooMany => 4,
            Self::Oneself => 5,
            Self::Linked => 6,
            Self::Taken => 7,
            Self::NotCovered => 8,
            Self::Other(code) => code,
        }
    }

    const fn of(code: u8) -> Self {
        match code {
            1 => Self::NoCommonVersion,
            2 => Self::Crossed,
            3 => Self::Closed,
            4 => Self::TooMany,
            5 => Self::Oneself,
            6 => Self::Linked,
            7 => Self::Taken,
            8 => Self::NotCovered,
            other => Self::Other(other),
        }
    }
}

/// What came and is no handshake: the peer is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// It does not begin as it must.
    Magic,
    /// No such message.
    Kind(u8),
    /// A range that ends before it begins.
    Versions(u16, u16),
    /// A body longer than any.
    Length(usize),
    /// A body that is not what the kind needs.
    Body,
    /// An address of another transport.
    Scheme,
    /// Another message was due.
    Unexpected,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("it does not speak Midflight's protocol"),
            Self::Kind(kind) => write!(f, "handshake message of kind {kind}"),
            Self::Versions(low, high) => write!(f, "version range {low} to {high}"),
            Self::Length(len) => write!(f, "handshake message of {len} bytes"),
            Self::Body => f.write_str("malformed handshake message"),
            Self::Scheme => f.write_str("the peer's address is one of another transport"),
            Self::Unexpected => f.write_str("handshake message out of turn"),
        }
    }
}

impl std::error::Error for Malformed {}

/// A message and the version range of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What was said; none when the versions have none in common.
    pub message: Option<Message>,
    /// Lowest and highest version of its sender.
    pub versions: (u16, u16),
    /// How many bytes it had.
    pub len: usize,
}

/// The bytes of `message`.
#[must_use]
pub fn encode(message: &Message, versions: (u16, u16)) -> Vec<u8> {
    let mut body = Vec::new();
    let kind = match message {
        Message::Hello(who) => {
            who.encode(&mut body);
            1
        }
        Message::Welcome(who) => {
            who.encode(&mut body);
            2
        }
        Message::Refusal(refusal, from) => {
            body.push(refusal.code());
            from.iter().for_each(|from| put_address(&mut body, from));
            3
        }
        Message::Confirmation => 4,
    };
    let len = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.push(kind);
    for number in [versions.0, versions.1, len] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.append(&mut body);
    bytes
}

/// The message at the beginning of `bytes`, when it is whole. Its content is none when its sender
/// has no version in common with `ours`: then only the head can be understood.
///
/// # Errors
/// [`Malformed`] when no continuation of `bytes` is a message of a handshake.
pub fn decode(bytes: &[u8], ours: (u16, u16)) -> Result<Option<Heard>, Malformed> {
    let magic_len = bytes.len().min(MAGIC.len());
    if bytes[..magic_len] != MAGIC[..magic_len] {
        return Err(Malformed::Magic);
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_LEN>() else { return Ok(None) };
    let number = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let (kind, versions, len) = (head[8], (number(9), number(11)), usize::from(number(13)));
    if versions.0 > versions.1 {
        return Err(Malformed::Versions(versions.0, versions.1));
    }
    if len > BODY_MAX {
        return Err(Malformed::Length(len));
    }
    let Some(body) = rest.get(..len) else { return Ok(None) };
    let message = match kind {
        _ if common(ours, versions).is_none() => None,
        1 => Some(Message::Hello(Introduction::decode(body).ok_or(Malformed::Body)?)),
        2 => Some(Message::Welcome(Introduction::decode(body).ok_or(Malformed::Body)?)),
        3 => {
            let (code, rest) = body.split_first().ok_or(Malformed::Body)?;
            Some(Message::Refusal(Refusal::of(*code), address(rest)))
        }
        4 => Some(Message::Confirmation),
        other => return Err(Malformed::Kind(other)),
    };
    Ok(Some(Heard { message, versions, len: HEAD_LEN + len }))
}

/// The highest version in both ranges.
#[must_use]
pub const fn common(ours: (u16, u16), theirs: (u16, u16)) -> Option<u16> {
    let highest = if ours.1 < theirs.1 { ours.1 } else { theirs.1 };
    if highest >= ours.0 && highest >= theirs.0 { Some(highest) } else { None }
}

impl Introduction {
    fn encode(&self, body: &mut Vec<u8>) {
        let millis = u32::try_from(self.heartbeat.as_millis()).unwrap_or(u32::MAX);
        let max_message = u32::try_from(self.max_message).unwrap_or(u32::MAX);
        body.extend_from_slice(&self.nonce);
        body.extend_from_slice(&millis.to_le_bytes());
        body.extend_from_slice(&max_message.to_le_bytes());
        put_address(body, &self.address);
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (nonce, body) = body.split_first_chunk::<16>()?;
        let (millis, body) = body.split_first_chunk::<4>()?;
        let (max_message, body) = body.split_first_chunk::<4>()?;
        Some(Self {
            address: address(body)?,
            nonce: *nonce,
            heartbeat: Duration::from_millis(u64::from(u32::from_le_bytes(*millis))),
            max_message: usize::try_from(u32::from_le_bytes(*max_message)).ok()?,
        })
    }
}

fn put_address(body: &mut Vec<u8>, address: &Address) {
    let address = address.as_str().as_bytes();
    body.push(u8::try_from(address.len()).unwrap_or(u8::MAX));
    body.extend_from_slice(address);
}

/// The address at the beginning of `body`, if there is one.
fn address(body: &[u8]) -> Option<Address> {
    let (len, body) = body.split_first()?;
    std::str::from_utf8(body.get(..usize::from(*len))?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> Introduction {
        Introduction {
            address: "tcp:127.0.0.1:7400".parse().unwrap(),
            nonce: [7; 16],
            heartbeat: Duration::from_millis(200),
            max_message: 1000,
        }
    }

    #[test]
    fn round_trip_and_parts() {
        for message in [
            Message::Hello(somebody()),
            Message::Welcome(somebody()),
            Message::Refusal(Refusal::Crossed, None),
            Message::Refusal(Refusal::Linked, Some(somebody().address)),
            Message::Confirmation,
        ] {
            let bytes = encode(&message, VERSIONS);
            assert!(bytes.len() <= MESSAGE_MAX);
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut], VERSIONS), Ok(None));
            }
            let heard = decode(&bytes, VERSIONS).unwrap().unwrap();
            assert_eq!((heard.message, heard.len), (Some(message), bytes.len()));
        }
    }

    #[test]
    fn another_version_is_understood_as_far_as_the_head() {
        let bytes = encode(&Message::Hello(somebody()), (2, 9));
        let heard = decode(&bytes, VERSIONS).unwrap().unwrap();
        assert_eq!((heard.message, heard.versions), (None, (2, 9)));
    }

    #[test]
    fn the_highest_common_version_is_taken() {
        assert_eq!(common((1, 3), (2, 9)), Some(3));
        assert_eq!(common((1, 1), (1, 4)), Some(1));
        assert_eq!(common((1, 1), (2, 4)), None);
    }

    #[test]
    fn what_is_malformed_is_said_early() {
        assert_eq!(decode(b"GET / HT", VERSIONS), Err(Malformed::Magic));
        assert_eq!(decode(b"G", VERSIONS), Err(Malformed::Magic));
        assert_eq!(
            decode(b"midflght\x01\x01\0\x01\0\xff\xff", VERSIONS),
            Err(Malformed::Length(65535))
        );
        assert_eq!(
            decode(b"midflght\x01\x02\0\x01\0\0\0", VERSIONS),
            Err(Malformed::Versions(2, 1))
        );
        assert_eq!(decode(b"midflght\x01\x01\0\x01\0\0\0", VERSIONS), Err(Malformed::Body));
    }
}
