//! A peer: the other node of a living link, with the lanes towards it.
//!
//! What a turn sends to the peer is written under one lock. When the link's batch is full it waits
//! here, in order, and senders are told `Full` until it has gone.

use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use bytes::Bytes;
use midflight_message::NodeId;
use midflight_transport_api::{ConnectionId, Link, Outgoing, Room, SendError, SendErrorKind};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};

use crate::account::{Account, Window};
use crate::pending::Pending;
use crate::types::{TypeNo, TypeTable};
use crate::wire::{Hello, Place, Signal, put_signal};

/// Bytes kept for a link that takes nothing, in frames that take no credit: signals and replies. A
/// peer that makes it more reads nothing and asks a lot.
const OVERFLOW_BYTES_MAX: usize = 64 << 20;

/// A node at the other end of a link incarnation.
pub(crate) struct Peer {
    /// Unlike any other peer of any node in this program.
    pub(crate) unique: u64,
    /// Its number in the node's table of nodes.
    pub(crate) number: u32,
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) address: Option<String>,
    pub(crate) link: Arc<dyn Link>,
    /// The longest message both sides take, in bytes.
    pub(crate) message_max: usize,
    /// How much may be under way to each of its processes.
    pub(crate) window: Window,
    control: ConnectionId,
    lanes: Vec<ConnectionId>,
    out: Mutex<Out>,
    is_lost: AtomicBool,
    /// Something waits in `out.overflow`.
    full: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    accounts: Mutex<FxHashMap<Place, Arc<Account>>>,
    /// What waits for a word from there.
    pub(crate) pending: Pending,
}

#[derive(Default)]
struct Out {
    /// Which types each lane has announced: a bit for each type.
    announced: Vec<Vec<u64>>,
    overflow: VecDeque<Kept>,
    overflow_bytes: usize,
}

struct Kept {
    lane: Lane,
    head: Vec<u8>,
    ty: Option<TypeNo>,
    large: Option<Bytes>,
}

impl Kept {
    fn size(&self) -> usize {
        64 + self.head.len() + self.large.as_ref().map_or(0, Bytes::len)
    }
}

impl Out {
    fn keep(&mut self, frames: &mut [Staged<'_>]) {
        for Staged { lane, head, ty, large } in frames {
            let kept = Kept { lane: *lane, head: head.to_vec(), ty: *ty, large: large.take() };
            self.overflow_bytes += kept.size();
            self.overflow.push_back(kept);
        }
    }
}

/// One of the connections to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Control,
    /// A data lane, by number.
    Data(usize),
}

/// One frame that a turn wants sent: `head` and, behind it, a large payload by reference.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    pub(crate) lane: Lane,
    pub(crate) head: &'a [u8],
    pub(crate) ty: Option<TypeNo>,
    pub(crate) large: Option<Bytes>,
}

impl Peer {
    pub(crate) fn new(
        number: u32,
        hello: Hello,
        link: Arc<dyn Link>,
        control: ConnectionId,
        lanes: Vec<ConnectionId>,
    ) -> Self {
        let member = hello.member;
        let announced = vec![Vec::new(); lanes.len()];
        let mut message_max = 0;
        // A link that refuses is lost or full: then nothing is sent on it anyway.
        let _ = link.write(Room::Small, &mut |batch| message_max = batch.max_message());
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            unique: NEXT.fetch_add(1, Ordering::Relaxed),
            number,
            id: member.id,
            name: member.name,
            address: member.address,
            link,
            message_max,
            window: hello.window,
            control,
            lanes,
            out: Mutex::new(Out { announced, ..Out::default() }),
            is_lost: AtomicBool::new(false),
            full: AtomicBool::new(false),
            waiting: Mutex::default(),
            accounts: Mutex::default(),
            pending: Pending::default(),
        }
    }

    /// The lane of a pair, for the life of the link.
    pub(crate) fn lane(&self, from: Place, to: Place) -> Lane {
        let mut hasher = FxHasher::default();
        (from, to).hash(&mut hasher);
        // The low bits of this hash are weak.
        let hash = usize::try_from(hasher.finish() >> 40).unwrap_or_default();
        Lane::Data(hash % self.lanes.len())
    }

    /// The account of a process of the peer.
    pub(crate) fn account(&self, place: Place) -> Arc<Account> {
        self.accounts.lock().entry(place).or_default().clone()
    }

    /// The peer's process has handled so much.
    pub(crate) fn credit(&self, place: Place, messages: u32, bytes: u32) {
        let mut accounts = self.accounts.lock();
        let Some(account) = accounts.get(&place) else { return };
        // Kept while a sender has it in hand.
        if account.give(messages, bytes) && Arc::strong_count(account) == 1 {
            accounts.remove(&place);
        }
    }

    /// The peer's process does not live.
    pub(crate) fn gone(&self, place: Place) {
        if let Some(account) = self.accounts.lock().remove(&place) {
            account.close();
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Wakes `waker` when the peer is not full any more. Whoever calls this looks once more after.
    pub(crate) fn wait_for_room(&self, waker: &Waker) {
        push_waker(&mut self.waiting.lock(), waker);
    }

    fn wake_waiting(&self) {
        // Taken out first: the lock is not held while others are woken.
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Sends a signal on the control lane.
    pub(crate) fn signal(&self, signal: &Signal) -> WriteOutcome {
        let mut head = Vec::new();
        put_signal(&mut head, signal);
        self.write(None, &mut [Staged { lane: Lane::Control, head: &head, ty: None, large: None }])
    }

    /// Writes frames in order. What the link cannot take now is kept and goes later, in order.
    pub(crate) fn write(
        &self,
        types: Option<&TypeTable>,
        frames: &mut [Staged<'_>],
    ) -> WriteOutcome {
        let mut out = self.out.lock();
        let out = &mut *out;
        if out.overflow.is_empty() {
            let mut batch = Batch { peer: self, announced: &mut out.announced, error: None };
            let large = frames.iter().any(|frame| frame.large.is_some());
            let written = self.link.write(room(large), &mut |outgoing| {
                for frame in &mut *frames {
                    let large = frame.large.take();
                    batch.append(outgoing, types, frame.lane, frame.head, frame.ty, large);
                }
            });
            match batch.outcome(written) {
                WriteOutcome::Kept => {}
                outcome => return outcome,
            }
        }
        out.keep(frames);
        if out.overflow_bytes > OVERFLOW_BYTES_MAX {
            self.link.abort("it reads nothing, and what it causes to be sent to it has piled up");
            return WriteOutcome::Lost;
        }
        let first = !self.full.swap(true, Ordering::AcqRel);
        if first { WriteOutcome::KeptFirst } else { WriteOutcome::Kept }
    }

    /// Writes what was kept, as far as the link takes it.
    pub(crate) fn write_kept(&self, types: &TypeTable) -> WriteOutcome {
        {
            let mut out = self.out.lock();
            let out = &mut *out;
            while let Some(kept) = out.overflow.pop_front() {
                let size = kept.size();
                let mut kept = Some(kept);
                let mut batch = Batch { peer: self, announced: &mut out.announced, error: None };
                let large = kept.as_ref().is_some_and(|kept| kept.large.is_some());
                let written = self.link.write(room(large), &mut |outgoing| {
                    if let Some(Kept { lane, head, ty, large }) = kept.take() {
                        batch.append(outgoing, Some(types), lane, &head, ty, large);
                    }
                });
                match batch.outcome(written) {
                    WriteOutcome::Written => out.overflow_bytes -= size,
                    WriteOutcome::Kept => {
                        // A full link refuses before it runs the closure: the frame is still here.
                        out.overflow.extend(kept);
                        out.overflow.rotate_right(1);
                        return WriteOutcome::Kept;
                    }
                    outcome => return outcome,
                }
            }
            self.full.store(false, Ordering::Release);
        }
        self.wake_waiting();
        WriteOutcome::Written
    }

    /// The link is lost: nobody waits for it any more.
    pub(crate) fn lost(&self) {
        self.is_lost.store(true, Ordering::Release);
        drop(std::mem::take(&mut self.out.lock().overflow));
        self.full.store(false, Ordering::Release);
        self.wake_waiting();
        let accounts = std::mem::take(&mut *self.accounts.lock());
        accounts.into_values().for_each(|account| account.close());
    }

    /// Whether its link is lost: handles from before refuse sends.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    fn connection(&self, lane: Lane) -> ConnectionId {
        match lane {
            Lane::Control => self.control,
            Lane::Data(number) => self.lanes[number],
        }
    }
}

/// The link's batch, while it is written to.
struct Batch<'a> {
    peer: &'a Peer,
    announced: &'a mut Vec<Vec<u64>>,
    error: Option<SendError>,
}

impl Batch<'_> {
    fn append(
        &mut self,
        outgoing: &mut Outgoing,
        types: Option<&TypeTable>,
        lane: Lane,
        head: &[u8],
        ty: Option<TypeNo>,
        large: Option<Bytes>,
    ) {
        let connection = self.peer.connection(lane);
        let mut appended = Ok(());
        if let (Lane::Data(number), Some(ty), Some(types)) = (lane, ty, types)
            && self.first_on(number, ty)
        {
            appended = outgoing.message(connection, &announcement(types, ty));
        }
        let appended = appended.and_then(|()| match large {
            None => outgoing.message(connection, head),
            Some(payload) => outgoing.message_bytes(connection, head, payload),
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
    fn outcome(self, written: Result<(), SendError>) -> WriteOutcome {
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

/// The room that frames need.
const fn room(large: bool) -> Room {
    if large { Room::Large } else { Room::Small }
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

/// Enters a waker, unless it is there.
pub(crate) fn push_waker(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|other| other.will_wake(waker)) {
        waiting.push(waker.clone());
    }
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

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({} {})", self.name, self.id)
    }
}
