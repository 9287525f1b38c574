//! The frame codec: pure, incremental, and safe to feed with any bytes.
//!
//! A frame is 8 bytes of header, little endian, and its payload:
//!
//! ```text
//! u24 payload length | u8 kind and flags | u32 connection
//! ```
//!
//! | bits | meaning |
//! |---|---|
//! | 0–3 | [`Kind`] |
//! | 4 | `MORE`: a fragment, and not the last one of its message (`DATA` alone) |
//! | 5 | `EXT`: the payload begins with extensions |
//! | 6–7 | header form; 0 in protocol version 1, anything else is a violation |
//!
//! A payload, extensions included, has at most [`FRAGMENT_MAX`] bytes. Extensions are a `u16` total
//! length and then entries of type `u8`, length `u8` and bytes. A type with its high bit set is
//! critical: who does not know it must not use the frame; others are skipped when unknown. Of a
//! message in fragments the first alone carries extensions.

mod extensions;

use std::fmt;

use crate::{ConnectionId, LinkLoss, LossKind};

pub use extensions::{
    CRITICAL, EXTENSIONS_MAX, Extension, extensions, push_extension, refuse_critical,
};

/// Bytes of a header.
pub const HEADER_LEN: usize = 8;
/// The longest payload of one frame, extensions included.
pub const FRAGMENT_MAX: usize = 64 * 1024;
/// How many connections one side may have open on a link. Two that are open at the same time differ
/// in the low [`SLOT_BITS`] bits of their numbers, so that a table is an array.
pub const CONNECTIONS_MAX: usize = 1 << SLOT_BITS;
/// See [`CONNECTIONS_MAX`].
pub const SLOT_BITS: u32 = 12;

const MORE: u8 = 1 << 4;
const EXT: u8 = 1 << 5;
const FORM: u8 = 0b1100_0000;
const KIND: u8 = 0x0f;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A message or a fragment of one.
    Data = 0,
    /// The sender opens a connection.
    Open = 1,
    /// The sender closes a connection of its own.
    Close = 2,
    /// The sender grants a connection of the other side so many bytes (`u32`).
    Credit = 3,
    /// The sender lives and wants to hear something.
    Ping = 4,
    /// The answer to a ping.
    Pong = 5,
    /// The sender sends nothing more and wants the link closed; the other side agrees with its own.
    Bye = 6,
}

impl Kind {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte & KIND {
            0 => Self::Data,
            1 => Self::Open,
            2 => Self::Close,
            3 => Self::Credit,
            4 => Self::Ping,
            5 => Self::Pong,
            6 => Self::Bye,
            _ => return None,
        })
    }

    /// Whether it concerns the whole link: its connection is 0.
    const fn is_of_link(self) -> bool {
        matches!(self, Self::Ping | Self::Pong | Self::Bye)
    }
}

/// A whole frame, borrowed from the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// Whether further fragments of the message follow.
    pub more: bool,
    /// Which connection it concerns; 0 where it concerns the link.
    pub connection: ConnectionId,
    /// The extension entries, well-formed, without their total length; empty when there are none.
    pub extensions: &'a [u8],
    /// The payload after the extensions.
    pub payload: &'a [u8],
}

/// What the peer sent and must not: the peer is at fault, and its link is to be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A header form that protocol version 1 does not have.
    Form(u8),
    /// A kind that there is none of.
    Kind(u8),
    /// A payload longer than [`FRAGMENT_MAX`].
    TooLong(usize),
    /// `MORE` where it has no meaning.
    More(Kind),
    /// A payload of the wrong length for the kind.
    Length(Kind, usize),
    /// A connection where there must be none.
    Connection(Kind, ConnectionId),
    /// Extensions that do not parse, or where there may be none.
    Extensions(&'static str),
    /// A critical extension that is not known.
    Critical(u8),
    /// A message or a close for a connection that is not open.
    NotOpen(ConnectionId),
    /// A connection opened twice, or in the place of one that is open.
    OpenTwice(ConnectionId),
    /// A message longer than this side takes.
    MessageTooLong(usize),
    /// More unfinished messages than this side holds.
    TooMuchUnfinished(usize),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer sent ")?;
        match self {
            Self::Form(form) => write!(f, "header form {form}, which version 1 does not have"),
            Self::Kind(kind) => write!(f, "frame kind {kind}, which there is none of"),
            Self::TooLong(len) => {
                write!(f, "a frame of {len} bytes, more than the {FRAGMENT_MAX} allowed")
            }
            Self::More(kind) => write!(f, "a fragment of {kind:?}, which has none"),
            Self::Length(kind, len) => write!(f, "{kind:?} with {len} bytes of payload"),
            Self::Connection(kind, id) => write!(f, "{kind:?} for connection {id}"),
            Self::Extensions(what) => write!(f, "wrong extensions: {what}"),
            Self::Critical(kind) => write!(f, "the critical extension {kind}, unknown here"),
            Self::NotOpen(id) => write!(f, "something for connection {id}, which is not open"),
            Self::OpenTwice(id) => write!(f, "an open for {id}, whose place is taken"),
            Self::MessageTooLong(len) => write!(f, "a message of at least {len} bytes, too long"),
            Self::TooMuchUnfinished(len) => write!(f, "{len} bytes of unfinished messages"),
        }
    }
}

impl std::error::Error for Violation {}

impl From<Violation> for LinkLoss {
    fn from(violation: Violation) -> Self {
        Self::new(LossKind::Violation, violation.to_string())
    }
}

/// The eight bytes before a payload of `len` bytes, which count extensions and their length too.
#[inline]
#[must_use]
pub fn header(
    kind: Kind,
    more: bool,
    extended: bool,
    connection: ConnectionId,
    len: usize,
) -> [u8; HEADER_LEN] {
    debug_assert!(len <= FRAGMENT_MAX, "a frame is at most a fragment");
    let flags = kind as u8 | if more { MORE } else { 0 } | if extended { EXT } else { 0 };
    let word = len as u64 | u64::from(flags) << 24 | u64::from(connection.0) << 32;
    word.to_le_bytes()
}

/// Takes the first frame off `bytes`, and says how many bytes it had; none when it is not whole yet.
/// What is wrong with a header is said as soon as the header is there.
///
/// # Errors
/// [`Violation`] when no continuation of `bytes` is a frame.
#[inline]
pub fn decode(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Violation> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let word = u64::from_le_bytes(*head);
    let len = (word & 0x00ff_ffff) as usize;
    let flags = (word >> 24) as u8;
    let connection = ConnectionId((word >> 32) as u32);
    if len > FRAGMENT_MAX {
        return Err(Violation::TooLong(len));
    }
    let more = flags & MORE != 0;
    if flags & !MORE != Kind::Data as u8 {
        return decode_rare(flags, connection, len, rest);
    }
    let Some(payload) = rest.get(..len) else { return Ok(None) };
    let frame = Frame { kind: Kind::Data, more, connection, extensions: &[], payload };
    Ok(Some((frame, HEADER_LEN + len)))
}

/// The head of a frame of plain data that [`decode`] found to be valid and not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataHead {
    pub(crate) connection: ConnectionId,
    pub(crate) more: bool,
    /// Bytes of the payload.
    pub(crate) len: usize,
}

/// The head at the beginning of `bytes`, if it is one of plain data, and what is there of its payload.
pub(crate) fn begun(bytes: &[u8]) -> Option<(DataHead, &[u8])> {
    let (head, there) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let word = u64::from_le_bytes(*head);
    let (len, flags) = ((word & 0x00ff_ffff) as usize, (word >> 24) as u8);
    let plain = flags & !MORE == Kind::Data as u8 && there.len() < len;
    let connection = ConnectionId((word >> 32) as u32);
    plain.then_some((DataHead { connection, more: flags & MORE != 0, len }, there))
}

/// Everything but plain data.
#[cold]
fn decode_rare(
    flags: u8,
    connection: ConnectionId,
    len: usize,
    rest: &[u8],
) -> Result<Option<(Frame<'_>, usize)>, Violation> {
    if flags & FORM != 0 {
        return Err(Violation::Form(flags >> 6));
    }
    let kind = Kind::of(flags).ok_or(Violation::Kind(flags & KIND))?;
    let (more, extended) = (flags & MORE != 0, flags & EXT != 0);
    if more && kind != Kind::Data {
        return Err(Violation::More(kind));
    }
    if kind.is_of_link() && connection.0 != 0 {
        return Err(Violation::Connection(kind, connection));
    }
    let wanted = if kind == Kind::Credit { 4 } else { 0 };
    if kind != Kind::Data && !extended && len != wanted {
        return Err(Violation::Length(kind, len));
    }
    let Some(payload) = rest.get(..len) else { return Ok(None) };
    let (extensions, payload) =
        if extended { extensions::split(payload)? } else { (&[][..], payload) };
    if kind != Kind::Data {
        if payload.len() != wanted {
            return Err(Violation::Length(kind, payload.len()));
        }
        // The transport itself knows no extension of its own frames.
        refuse_critical(extensions, |_| false)?;
    }
    Ok(Some((Frame { kind, more, connection, extensions, payload }, HEADER_LEN + len)))
}

#[cfg(test)]
mod tests;
