//! Frames for a peer, written to the link's batch: what a lane is, and a type's announcement before its
//! first message on one.

use bytes::Bytes;
use midflight_transport_api::{Outgoing, SendError, SendErrorKind};

use crate::peer::Peer;
use crate::peer::wire::{Signal, put_signal};
use crate::types::{TypeNo, TypeTable};

/// One of the connections to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Control,
    /// A data lane, by number.
    Data(usize),
}

impl Lane {
    /// Its place in a row of all lanes, of which so many are data lanes.
    pub(crate) const fn row(self, data_lanes: usize) -> usize {
        match self {
            Self::Control => data_lanes,
            Self::Data(number) => number,
        }
    }
}

/// One frame that a turn wants sent: `head` and, behind it, the parts of a large payload by reference.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    pub(crate) lane: Lane,
    /// Entries of extensions, mostly none.
    pub(crate) extensions: &'a [u8],
    pub(crate) head: &'a [u8],
    pub(crate) ty: Option<TypeNo>,
    pub(crate) large: Vec<Bytes>,
    /// Whether it took credit.
    pub(crate) charged: bool,
}

/// What became of frames that were to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    Written,
    /// Kept for later; somebody already sees to it.
    Kept,
    /// Kept for later, the first: the caller starts the task that sees to it.
    KeptFirst,
    /// The link is lost.
    Lost,
}

/// The link's batch, while it is written to.
pub(crate) struct Batch<'a> {
    peer: &'a Peer,
    announced: &'a mut Vec<Vec<u64>>,
    error: Option<SendError>,
}

impl<'a> Batch<'a> {
    pub(crate) const fn new(peer: &'a Peer, announced: &'a mut Vec<Vec<u64>>) -> Self {
        Self { peer, announced, error: None }
    }

    pub(crate) fn append(
        &mut self,
        outgoing: &mut Outgoing,
        types: Option<&TypeTable>,
        lane: Lane,
        (extensions, head): (&[u8], &[u8]),
        ty: Option<TypeNo>,
        large: &[Bytes],
    ) {
        let connection = self.peer.connection(lane);
        let mut appended = Ok(());
        if let (Lane::Data(number), Some(ty), Some(types)) = (lane, ty, types)
            && self.first_on(number, ty)
        {
            appended = outgoing.message(connection, &announcement(types, ty));
        }
        let appended = appended.and_then(|()| match large {
            [] if extensions.is_empty() => outgoing.message(connection, head),
            large => outgoing.message_parts(connection, extensions, head, large),
        });
        self.error = self.error.take().or_else(|| appended.err());
    }

    /// Whether this is the first message of its type on this lane.
    fn first_on(&mut self, lane: usize, ty: TypeNo) -> bool {
        let (word, bit) = (ty.0 as usize / 64, 1 << (ty.0 % 64));
        let bits = &mut self.announced[lane];
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        let first = bits[word] & bit == 0;
        bits[word] |= bit;
        first
    }

    /// `Kept` says that the link is full, and nothing was appended.
    pub(crate) fn outcome(self, written: Result<(), SendError>) -> WriteOutcome {
        if let Some(error) = self.error {
            // Lanes stay open and sizes were checked before: what cannot be appended all the same
            // must not be missing without a word.
            tracing::error!(peer = %self.peer.name, %error, "a frame could not be sent: link cut");
            self.peer.link.abort("a frame could not be sent");
            return WriteOutcome::Lost;
        }
        match written.map_err(|error| error.kind().clone()) {
            Ok(()) => WriteOutcome::Written,
            Err(SendErrorKind::Full) => WriteOutcome::Kept,
            Err(_) => WriteOutcome::Lost,
        }
    }
}

/// The sender's number for a type, with what it stands for.
fn announcement(types: &TypeTable, ty: TypeNo) -> Vec<u8> {
    let entry = types.entry(ty);
    let mut head = Vec::new();
    let signal = Signal::Announce {
        ty: ty.0,
        name: entry.name.to_string(),
        version: entry.version,
        fingerprint: entry.fingerprint,
    };
    put_signal(&mut head, &signal);
    head
}
