//! A peer: the other node of a living link, with the lanes towards it.
//!
//! What a turn sends to the peer is written under one lock. What the link's batch has no room for waits
//! here, in the order of its lane, and senders on that lane are told `Full` until it has gone.

mod announced;
pub(crate) mod ask;
mod batch;
pub(crate) mod code;
pub(crate) mod connect;
pub(crate) mod handshake;
pub(crate) mod idle;
pub(crate) mod link;
pub(crate) mod overflow;
pub(crate) mod peering;
pub(crate) mod pending;
pub(crate) mod schemas;
pub(crate) mod signals;
pub(crate) mod sink;
pub(crate) mod texts;
pub(crate) mod unhandled;
pub(crate) mod wire;

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use midflight_message::{NodeId, Pid};
use midflight_runtime::Instant;
use midflight_transport_api::{ConnectionId, Link, Room};
use parking_lot::Mutex;
use rustc_hash::FxHasher;

use crate::letters::refused::Refused;
use crate::mailbox::envelope::Sender;
use crate::membership::Card;
use crate::metrics::{Shown, Traffic};
use crate::node::numbers::Number;
use crate::peer::batch::Batch;
pub(crate) use crate::peer::batch::{Lane, Staged, WriteOutcome};
use crate::peer::overflow::{Kept, Overflow};
use crate::peer::pending::Pending;
use crate::peer::wire::{Hello, Place, Signal, put_signal};
use crate::reconnect::senders::Senders;
use crate::roles::{Granted, Grants};
use crate::send::account::{Account, Accounts, Window};
use crate::types::TypeTable;
use crate::waiters::{Entry, Waiters};

/// Bytes kept for a link that takes nothing, in frames that take no credit: signals and replies. A
/// peer that makes it more reads nothing and asks a lot.
const FREE_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// A node at the other end of a link incarnation.
pub(crate) struct Peer {
    /// Unlike any other peer of any node in this program.
    pub(crate) unique: u64,
    /// Its number in the node's table of nodes.
    pub(crate) number: Number,
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) address: Option<String>,
    /// How it presented itself when the link was made.
    pub(crate) card: Card,
    /// What it may do here.
    pub(crate) granted: Grants,
    pub(crate) link: Arc<dyn Link>,
    /// The longest message both sides take, in bytes.
    pub(crate) message_max: usize,
    /// How much may be under way to each of its processes.
    pub(crate) window: Window,
    control: ConnectionId,
    lanes: Vec<ConnectionId>,
    out: Mutex<Out>,
    is_lost: AtomicBool,
    /// Whether a task sees to `out.overflow`.
    kept: AtomicBool,
    /// For each data lane and, last, the control lane: whether something of it waits there.
    full: Vec<AtomicBool>,
    /// Whether so much waits there that nothing large may be added to it.
    crowded: AtomicBool,
    /// Who waits for room on the link.
    waiting: Waiters,
    /// What is under way to there.
    pub(crate) accounts: Accounts,
    /// What waits for a word from there.
    pub(crate) pending: Pending,
    /// Who has sent to there.
    pub(crate) senders: Senders,
    /// Requests from there to start functions, whose arguments have not been read.
    pub(crate) spawning: Account,
    /// What code it has, in its own words.
    pub(crate) code: Mutex<Option<Vec<u8>>>,
    /// What came from there.
    pub(crate) received: Shown,
    /// What its processes have refused.
    pub(crate) refused: Refused,
    /// How often it was told that code was switched here.
    switches_told: AtomicU64,
    /// Whether more than gossip has gone over the link, either way.
    used: AtomicBool,
    /// When gossip went over it last, or somebody here wanted it, in nanoseconds.
    touched: AtomicU64,
}

struct Out {
    /// Which types each lane has announced: a bit for each type.
    announced: Vec<Vec<u64>>,
    overflow: Overflow,
    sent: Traffic,
}

impl Peer {
    pub(crate) fn new(
        number: Number,
        hello: Hello,
        granted: Granted,
        link: Arc<dyn Link>,
        control: ConnectionId,
        lanes: Vec<ConnectionId>,
    ) -> Self {
        let member = hello.member;
        let announced = vec![Vec::new(); lanes.len()];
        let overflow = Overflow::new(lanes.len());
        let mut message_max = 0;
        // A link that refuses is lost or full: then nothing is sent on it anyway.
        let _ = link.write(Room::Small, &mut |batch| message_max = batch.max_message());
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            unique: NEXT.fetch_add(1, Ordering::Relaxed),
            number,
            id: member.id,
            name: member.name.clone(),
            address: member.address.clone(),
            card: member,
            granted: Grants::new(granted),
            link,
            message_max,
            window: hello.window,
            control,
            lanes,
            full: overflow.waiting().map(AtomicBool::new).collect(),
            crowded: AtomicBool::new(false),
            out: Mutex::new(Out { announced, overflow, sent: Traffic::default() }),
            is_lost: AtomicBool::new(false),
            kept: AtomicBool::new(false),
            waiting: Waiters::default(),
            accounts: Accounts::default(),
            pending: Pending::default(),
            senders: Senders::default(),
            spawning: Account::default(),
            code: Mutex::default(),
            received: Shown::default(),
            refused: Refused::default(),
            switches_told: AtomicU64::new(0),
            used: AtomicBool::new(false),
            touched: AtomicU64::new(0),
        }
    }

    /// More than gossip goes over the link. Answers whether that is the first time.
    pub(crate) fn uses(&self) -> bool {
        !self.is_used() && !self.used.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    /// Gossip goes over the link, or somebody wants it.
    pub(crate) fn touch(&self, now: Instant) {
        self.touched.fetch_max(now.as_nanos(), Ordering::AcqRel);
    }

    /// Whether the link could be closed: it was never used, nothing has gone over it for so long, and
    /// whoever is there can be dialled.
    fn is_idle(&self, now: Instant, quiet: Duration) -> bool {
        let touched = Instant::from_nanos(self.touched.load(Ordering::Acquire));
        !self.is_used() && self.address.is_some() && now.since(touched) >= quiet
    }

    /// The lane of a pair, for the life of the link.
    pub(crate) fn lane(&self, from: Place, to: Place) -> Lane {
        let mut hasher = FxHasher::default();
        (from, to).hash(&mut hasher);
        // The low bits of this hash are weak.
        let hash = usize::try_from(hasher.finish() >> 40).unwrap_or_default();
        Lane::Data(hash % self.lanes.len())
    }

    /// A process of the peer, in this node's own form.
    pub(crate) const fn sender(&self, place: Place) -> Sender {
        Sender { node: self.number.get(), index: place.index, generation: place.generation }
    }

    /// Code was switched here, and the peer is told next: what is refused from now on comes after it.
    pub(crate) fn switch_told(&self) {
        self.switches_told.fetch_add(1, Ordering::AcqRel);
    }

    /// How often the peer was told of a switch.
    pub(crate) fn switches_told(&self) -> u64 {
        self.switches_told.load(Ordering::Acquire)
    }

    /// Whether something waits to go on this lane.
    pub(crate) fn is_full(&self, lane: Lane) -> bool {
        self.full[lane.row(self.lanes.len())].load(Ordering::Acquire)
    }

    /// Whether so much waits, on whatever lanes, that no large frame may be added.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Acquire)
    }

    /// Wakes `waker` when a lane is not full any more, for as long as the entry is kept. Whoever calls this looks
    /// once more after.
    pub(crate) fn wait_for_room(&self, waker: &Waker) -> Entry {
        self.waiting.enter(waker)
    }

    /// How many wait for room.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sends a signal on the control lane.
    pub(crate) fn signal(&self, signal: &Signal) -> WriteOutcome {
        if !signal.is_upkeep() {
            self.uses();
        }
        let mut head = Vec::new();
        put_signal(&mut head, signal);
        self.put(
            None,
            &mut [Staged {
                lane: Lane::Control,
                extensions: &[],
                head: &head,
                ty: None,
                large: Vec::new(),
                charged: false,
            }],
        )
    }

    /// Writes frames in order. What the link cannot take now is kept and goes later, in the order of its
    /// lane.
    pub(crate) fn write(&self, types: &TypeTable, frames: &mut [Staged<'_>]) -> WriteOutcome {
        self.uses();
        self.put(Some(types), frames)
    }

    fn put(&self, types: Option<&TypeTable>, frames: &mut [Staged<'_>]) -> WriteOutcome {
        let mut out = self.out.lock();
        let Out { announced, overflow, sent } = &mut *out;
        sent.add(frames);
        let mut batch = Batch::new(self, announced);
        let written = self.link.write(Room::Small, &mut |outgoing| {
            for frame in &mut *frames {
                if overflow.lets_pass(frame, outgoing) {
                    let large = std::mem::take(&mut frame.large);
                    let head = (frame.extensions, frame.head);
                    batch.append(outgoing, types, frame.lane, head, frame.ty, &large);
                } else {
                    overflow.keep(frame);
                }
            }
        });
        match batch.outcome(written) {
            WriteOutcome::Kept => frames.iter_mut().for_each(|frame| overflow.keep(frame)),
            WriteOutcome::Written if overflow.is_empty() => return WriteOutcome::Written,
            WriteOutcome::Written => {}
            outcome => return outcome,
        }
        if overflow.free_bytes() > FREE_BYTES_MAX {
            self.link.abort("it reads nothing, and what it causes to be sent to it has piled up");
            return WriteOutcome::Lost;
        }
        self.say_what_is_full(overflow);
        let first = !self.kept.swap(true, Ordering::AcqRel);
        if first { WriteOutcome::KeptFirst } else { WriteOutcome::Kept }
    }

    /// Waits until nothing waits to be written, or the link is lost.
    pub(crate) async fn written_out(&self) {
        let mut entered = None;
        std::future::poll_fn(|cx| {
            // Entered first, looked at after: a waking in between is not missed.
            entered = Some(self.wait_for_room(cx.waker()));
            let waits = self.kept.load(Ordering::Acquire) && !self.is_lost();
            if waits { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Writes what was kept, as far as the link takes it; answers the room to wait for when something is
    /// left.
    pub(crate) fn write_kept(&self, types: &TypeTable) -> Option<Room> {
        let mut out = self.out.lock();
        let Out { announced, overflow, .. } = &mut *out;
        let mut batch = Batch::new(self, announced);
        let written = self.link.write(Room::Small, &mut |outgoing| {
            overflow.drain(outgoing, |outgoing, Kept { lane, extensions, head, ty, large, .. }| {
                batch.append(outgoing, Some(types), lane, (&extensions, &head), ty, &large);
            });
        });
        if batch.outcome(written) == WriteOutcome::Lost {
            return None;
        }
        self.say_what_is_full(overflow);
        let left = (!overflow.is_empty()).then(|| overflow.needs());
        self.kept.store(left.is_some(), Ordering::Release);
        drop(out);
        self.waiting.wake();
        left
    }

    fn say_what_is_full(&self, overflow: &Overflow) {
        self.crowded.store(overflow.is_crowded(), Ordering::Release);
        for (full, waiting) in self.full.iter().zip(overflow.waiting()) {
            full.store(waiting, Ordering::Release);
        }
    }

    /// What was sent there.
    pub(crate) fn sent(&self) -> Traffic {
        self.out.lock().sent
    }

    /// The link is lost: nobody waits for it any more.
    pub(crate) fn lost(&self) {
        self.is_lost.store(true, Ordering::Release);
        let nothing = Overflow::new(self.lanes.len());
        drop(std::mem::replace(&mut self.out.lock().overflow, nothing));
        self.full
            .iter()
            .chain([&self.crowded])
            .for_each(|full| full.store(false, Ordering::Release));
        self.waiting.wake();
        self.accounts.close();
    }

    /// Whether its link is lost: handles from before refuse sends.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// One of its processes.
    pub(crate) const fn pid(&self, place: Place) -> Pid {
        Pid { node: self.id, index: place.index, generation: place.generation }
    }

    fn connection(&self, lane: Lane) -> ConnectionId {
        match lane {
            Lane::Control => self.control,
            Lane::Data(number) => self.lanes[number],
        }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({} {})", self.name, self.id)
    }
}
