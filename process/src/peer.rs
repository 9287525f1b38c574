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
use futures_channel::oneshot;
use midflight_message::{NodeId, Pid};
use midflight_transport_api::{ConnectionId, Link, Outgoing, SendErrorKind};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};

use crate::MonitorRef;
use crate::account::Account;
use crate::envelope::CallRef;
use crate::types::{TypeNo, TypeTable};
use crate::wire::{Place, Signal, put_signal};

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
    control: ConnectionId,
    lanes: Vec<ConnectionId>,
    out: Mutex<Out>,
    /// Something waits in `out.overflow`.
    full: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    accounts: Mutex<FxHashMap<Place, Arc<Account>>>,
    /// Calls that wait for a reply from there, by caller.
    pub(crate) calls: Mutex<FxHashMap<CallRef, Place>>,
    /// Monitors set from here on processes there.
    pub(crate) monitors: Mutex<FxHashMap<MonitorRef, RemoteMonitor>>,
    /// Questions that wait for an answer.
    pub(crate) questions: Mutex<FxHashMap<u64, oneshot::Sender<Option<Place>>>>,
}

/// A monitor whose target lives on the peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteMonitor {
    pub(crate) watcher: Place,
    pub(crate) target: Pid,
}

#[derive(Default)]
struct Out {
    /// Which types each lane has announced: a bit for each type.
    announced: Vec<Vec<u64>>,
    overflow: VecDeque<Kept>,
}

struct Kept {
    lane: Lane,
    head: Vec<u8>,
    ty: Option<TypeNo>,
    large: Option<Bytes>,
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
        member: crate::Member,
        link: Arc<dyn Link>,
        control: ConnectionId,
        lanes: Vec<ConnectionId>,
    ) -> Self {
        let announced = vec![Vec::new(); lanes.len()];
        let mut message_max = 0;
        // A link that refuses is lost or full: then nothing is sent on it anyway.
        let _ = link.write(&mut |batch| message_max = batch.max_message());
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            unique: NEXT.fetch_add(1, Ordering::Relaxed),
            number,
            id: member.id,
            name: member.name,
            address: member.address,
            link,
            message_max,
            control,
            lanes,
            out: Mutex::new(Out { announced, overflow: VecDeque::new() }),
            full: AtomicBool::new(false),
            waiting: Mutex::default(),
            accounts: Mutex::default(),
            calls: Mutex::default(),
            monitors: Mutex::default(),
            questions: Mutex::default(),
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

    /// Wakes `waker` when the peer is not full any more.
    pub(crate) fn wait_for_room(&self, waker: &Waker) {
        self.waiting.lock().push(waker.clone());
        if !self.is_full() {
            self.wake_waiting();
        }
    }

    fn wake_waiting(&self) {
        // Taken out first: the lock is not held while others are woken.
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Sends a signal on the control lane.
    pub(crate) fn signal(&self, signal: &Signal) -> WriteOutcome {
        self.signal_on(Lane::Control, signal)
    }

    /// Sends a signal on the lane of its pair, behind the pair's messages.
    pub(crate) fn signal_on(&self, lane: Lane, signal: &Signal) -> WriteOutcome {
        let mut head = Vec::new();
        put_signal(&mut head, signal);
        self.write(None, &mut [Staged { lane, head: &head, ty: None, large: None }])
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
            let announced = &mut out.announced;
            let written = self.link.write(&mut |batch| {
                for frame in &mut *frames {
                    self.announce(batch, announced, frame.lane, frame.ty, types);
                    self.append(batch, frame.lane, frame.head, frame.large.take());
                }
            });
            match written.map_err(|error| error.kind().clone()) {
                Ok(()) => return WriteOutcome::Written,
                Err(SendErrorKind::Full) => {}
                Err(_) => return WriteOutcome::Lost,
            }
        }
        out.overflow.extend(frames.iter_mut().map(|frame| Kept {
            lane: frame.lane,
            head: frame.head.to_vec(),
            ty: frame.ty,
            large: frame.large.take(),
        }));
        let first = !self.full.swap(true, Ordering::AcqRel);
        if first { WriteOutcome::KeptFirst } else { WriteOutcome::Kept }
    }

    /// Writes what was kept. Answers true when nothing is left.
    pub(crate) fn write_kept(&self, types: &TypeTable) -> WriteOutcome {
        let mut out = self.out.lock();
        let out = &mut *out;
        while let Some(kept) = out.overflow.pop_front() {
            let mut kept = Some(kept);
            let announced = &mut out.announced;
            let written = self.link.write(&mut |batch| {
                if let Some(kept) = kept.take() {
                    self.announce(batch, announced, kept.lane, kept.ty, Some(types));
                    self.append(batch, kept.lane, &kept.head, kept.large);
                }
            });
            match written.map_err(|error| error.kind().clone()) {
                Ok(()) => {}
                Err(SendErrorKind::Full) => {
                    // A full batch refuses before it runs the closure: the frame is still here.
                    if let Some(kept) = kept {
                        out.overflow.push_front(kept);
                    }
                    return WriteOutcome::Kept;
                }
                Err(_) => return WriteOutcome::Lost,
            }
        }
        self.full.store(false, Ordering::Release);
        self.wake_waiting();
        WriteOutcome::Written
    }

    /// The link is lost: nobody waits for it any more.
    pub(crate) fn lost(&self) {
        self.out.lock().overflow.clear();
        self.full.store(false, Ordering::Release);
        self.wake_waiting();
        for (_, account) in self.accounts.lock().drain() {
            account.close();
        }
    }

    fn connection(&self, lane: Lane) -> ConnectionId {
        match lane {
            Lane::Control => self.control,
            Lane::Data(number) => self.lanes[number],
        }
    }

    fn announce(
        &self,
        batch: &mut Outgoing,
        announced: &mut [Vec<u64>],
        lane: Lane,
        ty: Option<TypeNo>,
        types: Option<&TypeTable>,
    ) {
        let (Lane::Data(number), Some(ty), Some(types)) = (lane, ty, types) else { return };
        let (word, bit) = (ty.0 as usize / 64, 1 << (ty.0 % 64));
        let bits = &mut announced[number];
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        if bits[word] & bit != 0 {
            return;
        }
        bits[word] |= bit;
        let entry = types.entry(ty);
        let mut head = Vec::new();
        let signal = Signal::Announce {
            ty: ty.0,
            name: entry.name.to_string(),
            version: entry.version,
            fingerprint: entry.fingerprint,
        };
        put_signal(&mut head, &signal);
        self.append(batch, lane, &head, None);
    }

    fn append(&self, batch: &mut Outgoing, lane: Lane, head: &[u8], large: Option<Bytes>) {
        let connection = self.connection(lane);
        let appended = match large {
            None => batch.message(connection, head),
            Some(payload) => batch.message_bytes(connection, head, payload),
        };
        // The lanes stay open for the life of the link, and sizes were checked as they were staged.
        debug_assert!(appended.is_ok(), "{appended:?}");
        if let Err(error) = appended {
            tracing::error!(peer = %self.name, %error, "a frame could not be sent");
        }
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
