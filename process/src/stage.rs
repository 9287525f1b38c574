//! What a turn sends to other nodes is gathered here and written once, when the turn ends.
//!
//! One staging area for each thread: it is empty between turns.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use midflight_message::EncodeError;

use crate::account::Account;
use crate::envelope::encoded_weight;
use crate::inner::Inner;
use crate::limits::Limits;
use crate::peer::{Lane, Peer, Staged, WriteOutcome};
use crate::types::TypeNo;
use crate::wire::Place;

/// Frames gathered before they are written in the middle of a turn.
const FRAMES_MAX: usize = 256;
/// Bytes gathered before they are written in the middle of a turn.
const BYTES_MAX: usize = 64 * 1_024;

thread_local! {
    static STAGE: RefCell<Stage> = const { RefCell::new(Stage::new()) };
}

struct Stage {
    /// A turn is under way on this thread: whoever runs it writes at its end.
    open: bool,
    peer: Option<Arc<Peer>>,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// The account used last: a stream to one process looks it up once.
    account: Option<(u64, Place, Arc<Account>)>,
}

struct Frame {
    lane: Lane,
    end: usize,
    ty: Option<TypeNo>,
    large: Option<Bytes>,
}

/// A frame to be staged.
pub(crate) struct Request<'a> {
    pub(crate) lane: Lane,
    pub(crate) ty: Option<TypeNo>,
    /// Whose credit it takes; none for what never waits.
    pub(crate) credit: Option<Charge>,
    pub(crate) large: Option<Bytes>,
    pub(crate) head: &'a mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>,
}

/// The credit a frame takes.
pub(crate) struct Charge {
    /// Whose.
    pub(crate) process: Place,
    /// Bytes of the frame's head, which count nothing.
    pub(crate) head: usize,
}

/// Why nothing was staged.
#[derive(Debug)]
pub(crate) enum NotStaged {
    /// No credit, or the link's batch is full.
    Full,
    TooLarge {
        max: usize,
    },
    Encode(EncodeError),
}

impl Stage {
    const fn new() -> Self {
        Self { open: false, peer: None, bytes: Vec::new(), frames: Vec::new(), account: None }
    }

    fn add(
        &mut self,
        limits: &Limits,
        peer: &Arc<Peer>,
        request: Request<'_>,
    ) -> Result<(), NotStaged> {
        if request.credit.is_some() && peer.is_full() {
            return Err(NotStaged::Full);
        }
        let start = self.bytes.len();
        if let Err(error) = (request.head)(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(NotStaged::Encode(error));
        }
        let size = self.bytes.len() - start + request.large.as_ref().map_or(0, Bytes::len);
        if size > peer.message_max {
            self.bytes.truncate(start);
            return Err(NotStaged::TooLarge { max: peer.message_max });
        }
        if let Some(Charge { process, head }) = request.credit
            && !self.take_credit(limits, peer, process, encoded_weight(size - head))
        {
            self.bytes.truncate(start);
            return Err(NotStaged::Full);
        }
        let end = self.bytes.len();
        self.frames.push(Frame { lane: request.lane, end, ty: request.ty, large: request.large });
        Ok(())
    }

    fn take_credit(&mut self, limits: &Limits, peer: &Peer, place: Place, size: u32) -> bool {
        match &self.account {
            Some((unique, cached, account)) if (*unique, *cached) == (peer.unique, place) => {
                account.take(size, limits)
            }
            _ => {
                let account = peer.account(place);
                let taken = account.take(size, limits);
                self.account = Some((peer.unique, place, account));
                taken
            }
        }
    }

    fn write(&mut self, inner: &Arc<Inner>) {
        let Some(peer) = self.peer.take() else { return };
        let mut start = 0;
        let mut staged: Vec<Staged<'_>> = Vec::with_capacity(self.frames.len());
        for frame in &mut self.frames {
            staged.push(Staged {
                lane: frame.lane,
                head: &self.bytes[start..frame.end],
                ty: frame.ty,
                large: frame.large.take(),
            });
            start = frame.end;
        }
        let outcome = peer.write(Some(&inner.types), &mut staged);
        drop(staged);
        self.frames.clear();
        self.bytes.clear();
        if self.bytes.capacity() > 4 * BYTES_MAX {
            self.bytes = Vec::new();
        }
        if outcome == WriteOutcome::KeptFirst {
            inner.write_kept_later(peer);
        }
    }
}

/// Stages a frame for `peer`; outside a turn it is written at once.
pub(crate) fn stage(
    inner: &Arc<Inner>,
    peer: &Arc<Peer>,
    request: Request<'_>,
) -> Result<(), NotStaged> {
    STAGE.with_borrow_mut(|stage| {
        if stage.peer.as_ref().is_some_and(|staged| !Arc::ptr_eq(staged, peer)) {
            stage.write(inner);
        }
        stage.add(&inner.limits, peer, request)?;
        if stage.peer.is_none() {
            stage.peer = Some(peer.clone());
        }
        let full = stage.frames.len() >= FRAMES_MAX || stage.bytes.len() >= BYTES_MAX;
        if full || !stage.open {
            stage.write(inner);
        }
        Ok(())
    })
}

/// Runs a turn: what it stages is written when it ends.
pub(crate) fn turn<T>(inner: &Arc<Inner>, turn: impl FnOnce() -> T) -> T {
    STAGE.with_borrow_mut(|stage| stage.open = true);
    let output = turn();
    STAGE.with_borrow_mut(|stage| {
        stage.open = false;
        if stage.peer.is_some() {
            stage.write(inner);
        }
    });
    output
}

/// The peer that frames are being staged for, if it is the one with this identity: spares a look-up
/// for each message of a run.
pub(crate) fn current_peer(id: midflight_message::NodeId) -> Option<Arc<Peer>> {
    STAGE.with_borrow(|stage| stage.peer.as_ref().filter(|peer| peer.id == id).cloned())
}
