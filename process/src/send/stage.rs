//! What a turn sends to other nodes is gathered here and written once, when the turn ends.
//!
//! One staging area for each thread: it is empty between turns.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use bytes::Bytes;
use midflight_message::{EncodeError, Encoding, NodeId};
use midflight_transport_api::Room;

use crate::mailbox::envelope::{Content, encoded_weight};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::peer::{Lane, Peer, Staged, WriteOutcome};
use crate::relocation::word::Behalf;
use crate::send::NotSent;
use crate::send::account::Account;
use crate::send::parts::{by_reference, len_of};
use crate::trace::TraceContext;
use crate::types::TypeNo;

/// Frames gathered before they are written in the middle of a turn.
const FRAMES_MAX: usize = 256;
/// Bytes gathered before they are written in the middle of a turn.
const BYTES_MAX: usize = 64 * 1_024;
/// The same for payloads by reference: whoever sends much learns soon that the link is full.
const LARGE_MAX: usize = 1 << 20;

thread_local! {
    /// The node whose turn is under way on this thread; whoever runs it writes at its end. Another
    /// node of the same program does not gather here meanwhile.
    static TURN_OF: Cell<Option<NodeId>> = const { Cell::new(None) };
    static STAGE: RefCell<Stage> = const { RefCell::new(Stage::new()) };
    /// Whether anything is staged: most turns only look here.
    static STAGED: Cell<bool> = const { Cell::new(false) };
    /// Where a frame is encoded before the stage is touched: the author's code runs then, which may
    /// panic, or send.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Stage {
    peer: Option<Arc<Peer>>,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// Bytes of payloads by reference.
    large: usize,
    /// The account used last: a stream to one process looks it up once.
    account: Option<(u64, Place, Arc<Account>)>,
}

struct Frame {
    lane: Lane,
    end: usize,
    ty: Option<TypeNo>,
    large: Vec<Bytes>,
    charged: bool,
    /// Bytes of extensions before the head.
    extensions: usize,
}

/// A frame to be staged.
pub(crate) struct Request<'a> {
    pub(crate) lane: Lane,
    pub(crate) ty: Option<TypeNo>,
    /// Whose credit it takes; none for what never waits.
    pub(crate) credit: Option<Charge>,
    pub(crate) large: Option<Bytes>,
    /// What a traced process sends it under.
    pub(crate) context: Option<TraceContext>,
    /// For whom it is handed on, where it is.
    pub(crate) behalf: Option<Behalf>,
    pub(crate) head: &'a mut dyn FnMut(&mut Encoding) -> Result<(), EncodeError>,
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

impl NotStaged {
    /// As why `content` was not sent.
    pub(crate) fn not_sent(self, content: Content) -> NotSent {
        match self {
            Self::Full => NotSent::Full(content),
            Self::TooLarge { max } => NotSent::TooLarge { max },
            Self::Encode(error) => NotSent::Encode(error),
        }
    }
}

impl Stage {
    const fn new() -> Self {
        Self { peer: None, bytes: Vec::new(), frames: Vec::new(), large: 0, account: None }
    }

    /// Adds an encoded frame, if there is credit for it.
    fn add(&mut self, peer: &Arc<Peer>, frame: NewFrame<'_>) -> Result<(), NotStaged> {
        let NewFrame { lane, ty, credit, large, context, behalf, head } = frame;
        let charged = credit.is_some();
        if let Some(Charge { process, head: uncharged }) = credit {
            let size = head.len() + len_of(&large);
            if !self.take_credit(peer, process, encoded_weight(size - uncharged)) {
                return Err(NotStaged::Full);
            }
        }
        let before = self.bytes.len();
        if let Some(context) = context {
            context.put(&mut self.bytes);
        }
        if let Some(behalf) = behalf {
            behalf.put(&mut self.bytes);
        }
        let extensions = self.bytes.len() - before;
        self.bytes.extend_from_slice(head);
        self.large += len_of(&large);
        self.frames.push(Frame { lane, end: self.bytes.len(), ty, large, charged, extensions });
        Ok(())
    }

    fn take_credit(&mut self, peer: &Peer, place: Place, size: u32) -> bool {
        let is_it = |account: &(u64, Place, _)| (account.0, account.1) == (peer.unique, place);
        let known = self.account.take_if(|account| is_it(account));
        let known = known.unwrap_or_else(|| (peer.unique, place, peer.accounts.of(place)));
        let (_, _, account) = self.account.insert(known);
        peer.accounts.take((place, account), size, peer.window)
    }

    /// Adds a frame, and writes what there is where that is due: at once, where no turn of the node is under way.
    fn take(
        &mut self,
        inner: &Arc<Inner>,
        peer: &Arc<Peer>,
        frame: NewFrame<'_>,
        in_turn: bool,
    ) -> Result<(), NotStaged> {
        if self.peer.as_ref().is_some_and(|staged| !Arc::ptr_eq(staged, peer)) {
            self.write(inner);
        }
        self.add(peer, frame)?;
        if self.peer.is_none() {
            self.peer = Some(peer.clone());
        }
        let full = self.frames.len() >= FRAMES_MAX
            || self.bytes.len() >= BYTES_MAX
            || self.large >= LARGE_MAX;
        if full || !in_turn {
            self.write(inner);
        }
        Ok(())
    }

    fn write(&mut self, inner: &Arc<Inner>) {
        let Some(peer) = self.peer.take() else { return };
        let mut start = 0;
        let mut staged: Vec<Staged<'_>> = Vec::with_capacity(self.frames.len());
        for frame in &mut self.frames {
            let (extensions, head) = self.bytes[start..frame.end].split_at(frame.extensions);
            staged.push(Staged {
                lane: frame.lane,
                extensions,
                head,
                ty: frame.ty,
                large: std::mem::take(&mut frame.large),
                charged: frame.charged,
            });
            start = frame.end;
        }
        let outcome = peer.write(&inner.types, &mut staged);
        drop(staged);
        self.frames.clear();
        self.large = 0;
        self.bytes.clear();
        if self.bytes.capacity() > 4 * BYTES_MAX {
            self.bytes = Vec::new();
        }
        if outcome == WriteOutcome::KeptFirst {
            inner.write_kept_later(peer);
        }
    }
}

/// A frame that has been encoded.
struct NewFrame<'a> {
    lane: Lane,
    ty: Option<TypeNo>,
    credit: Option<Charge>,
    large: Vec<Bytes>,
    context: Option<TraceContext>,
    behalf: Option<Behalf>,
    head: &'a [u8],
}

/// Stages a frame for `peer`; outside a turn of this node it is written at once.
pub(crate) fn stage(
    inner: &Arc<Inner>,
    peer: &Arc<Peer>,
    request: Request<'_>,
) -> Result<(), NotStaged> {
    if request.credit.is_some() && peer.is_full(request.lane) {
        return Err(NotStaged::Full);
    }
    let mut head = SCRATCH.take();
    if head.capacity() == 0 {
        head = inner.buffers.take();
    }
    head.clear();
    let mut encoding = Encoding::new(head);
    let staged = stage_in(&mut encoding, inner, peer, request);
    let head = encoding.into_buffer();
    match head.capacity() {
        0 => {}
        1..=BYTES_MAX => SCRATCH.set(head),
        // Too large for what is small, and for the next try with what is large.
        _ if staged.is_ok() => {
            SCRATCH.set(head.clone());
            drop(inner.buffers.lend(head));
        }
        _ => drop(inner.buffers.lend(head)),
    }
    staged
}

/// Encodes a frame in an empty buffer, which goes along where the frame is large, and stages it.
fn stage_in(
    encoding: &mut Encoding,
    inner: &Arc<Inner>,
    peer: &Arc<Peer>,
    request: Request<'_>,
) -> Result<(), NotStaged> {
    let Request { lane, ty, credit, large, context, behalf, head: encode } = request;
    encode(encoding).map_err(NotStaged::Encode)?;
    let size = encoding.len() + large.as_ref().map_or(0, Bytes::len);
    if size > peer.message_max {
        return Err(NotStaged::TooLarge { max: peer.message_max });
    }
    if credit.is_some() && Room::of(size) == Room::Large && peer.is_crowded() {
        return Err(NotStaged::Full);
    }
    // What is large goes on as it is: copying it twice more, to the stage and to the link, cost as much as
    // sending it.
    let large = match large {
        Some(large) => vec![large],
        None if Room::of(size) == Room::Large => by_reference(encoding, &inner.buffers),
        None => Vec::new(),
    };
    let frame = NewFrame { lane, ty, credit, large, context, behalf, head: encoding.buffer() };
    let turn_of = TURN_OF.get();
    if turn_of.is_none_or(|id| id == inner.id) {
        STAGE.with_borrow_mut(|stage| {
            let staged = stage.take(inner, peer, frame, turn_of.is_some());
            STAGED.set(stage.peer.is_some());
            staged
        })
    } else {
        Stage::new().take(inner, peer, frame, false)
    }
}

/// Runs a turn of a process of this node: what it stages is written when it ends.
#[inline]
pub(crate) fn turn<T>(inner: &Arc<Inner>, turn: impl FnOnce() -> T) -> T {
    TURN_OF.set(Some(inner.id));
    let output = turn();
    TURN_OF.set(None);
    if STAGED.replace(false) {
        STAGE.with_borrow_mut(|stage| stage.write(inner));
    }
    output
}

/// The peer of this node that frames are being staged for, if it is the one with this identity:
/// spares a look-up for each message of a run.
pub(crate) fn current_peer(inner: &Inner, id: NodeId) -> Option<Arc<Peer>> {
    if TURN_OF.get() != Some(inner.id) || !STAGED.get() {
        return None;
    }
    STAGE.with_borrow(|stage| {
        let peer = stage.peer.as_ref().filter(|peer| peer.id == id && !peer.is_lost());
        peer.cloned()
    })
}
