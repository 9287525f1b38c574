//! A process made of an async function: a cell whose state is a boxed future.

use std::any::Any;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use midflight_runtime::Instant;
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;

use crate::ExitReason;
use crate::calls::Asked;
use crate::channel::ports::{Ports, Stray};
use crate::channel::refuse_strays;
use crate::info::Unreceived;
use crate::mailbox::came::Came;
use crate::mailbox::envelope::{CallRef, Content, Envelope, Parcel, Refusal};
use crate::mailbox::{Inbox, InboxPool};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::receive::shelf::Shelf;
use crate::scheduler::body::{Body, Flow, Label};
use crate::scheduler::contain::discard;
use crate::scheduler::runner::panic_text;
use crate::scheduler::turn::{Batch, Handled, Turn};
use crate::send::reply_to::ReplyTo;
use crate::waits::{Begun, Wait, WaitKind};

/// What a function process and its [`Context`](crate::Context) share.
///
/// Mostly each message is received in the turn with which it came. Such a one never gets here: it lies with the
/// thread that polls the process, which takes no lock for it; see [`polling`](crate::scheduler::polling).
#[derive(Debug, Default)]
pub(crate) struct Shared {
    arrived: Mutex<Arrived>,
    /// Whether [`Arrived::keeps`] anything, as whoever had it in hand last has left it.
    keeps: AtomicBool,
    /// How often it was polled, over and over. Only its turns write it.
    polls: AtomicU32,
}

#[cfg(test)]
thread_local! {
    /// How often this thread has had in hand what has arrived at a process.
    pub(crate) static LOCKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl Shared {
    pub(crate) fn lock(&self) -> InHand<'_> {
        #[cfg(test)]
        LOCKED.set(LOCKED.get() + 1);
        InHand { keeps: &self.keeps, arrived: self.arrived.lock() }
    }

    /// Whether a turn must see to what arrived before it.
    #[inline]
    pub(super) fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Acquire)
    }

    pub(crate) fn polls(&self) -> u32 {
        self.polls.load(Ordering::Relaxed)
    }
}

/// What arrived, under its lock.
pub(crate) struct InHand<'a> {
    keeps: &'a AtomicBool,
    arrived: MutexGuard<'a, Arrived>,
}

impl Deref for InHand<'_> {
    type Target = Arrived;

    fn deref(&self) -> &Arrived {
        &self.arrived
    }
}

impl DerefMut for InHand<'_> {
    fn deref_mut(&mut self) -> &mut Arrived {
        &mut self.arrived
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.keeps.store(self.arrived.keeps(), Ordering::Release);
    }
}

/// What has come and has not been received.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Oldest first; `None` when everything has been received.
    pub(crate) inbox: Option<Box<Inbox>>,
    /// The number of the first entry of `inbox`: entries are numbered as they arrive, and leave it
    /// at its front alone.
    pub(crate) front: u64,
    /// What most processes never have.
    pub(crate) aside: Option<Box<Aside>>,
    /// Calls that wait for their reply, and replies that wait for their caller.
    pub(crate) calls: FxHashMap<CallRef, Asked>,
    pub(crate) handled: Handled,
}

/// What most processes never have of what arrived.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// Older than all in the inbox.
    pub(crate) shelf: Shelf,
    pub(crate) ports: Ports,
    /// The source whose turn it is, for receives that take turns.
    pub(crate) turn: usize,
    /// Values that came for no open port.
    strays: Vec<Stray>,
    /// Who else waits for something to come; see [`Shared::wait`].
    pub(crate) waiting: Vec<Waker>,
    /// What it waits for of others; see [`Waiting`](crate::waits::Waiting).
    pub(crate) waits: Vec<Begun>,
    /// The callers of calls that were passed on.
    pub(crate) relays: FxHashMap<CallRef, ReplyTo>,
    /// Replies to such calls that have come.
    relayed: Vec<(ReplyTo, Result<Content, Refusal>)>,
}

impl Aside {
    /// Whether there is something that goes before what comes next, or waits for it. (Ports count while they are
    /// open: their values are numbered among the messages.)
    fn keeps(&self) -> bool {
        !self.shelf.is_empty()
            || !self.ports.is_none_open()
            || !self.waiting.is_empty()
            || !self.strays.is_empty()
            || !self.relayed.is_empty()
    }
}

/// What is to be done, outside the lock, about what has just arrived.
#[derive(Default)]
struct Errands {
    waiting: Vec<Waker>,
    relayed: Vec<(ReplyTo, Result<Content, Refusal>)>,
    strays: Vec<Stray>,
}

impl Errands {
    fn run(self, inner: &Arc<Inner>, me: Place) {
        self.waiting.into_iter().for_each(Waker::wake);
        for (caller, result) in self.relayed {
            caller.relay(result);
        }
        refuse_strays(inner, me, self.strays);
    }
}

impl Arrived {
    pub(crate) fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Whether there is something that must be seen to before, or after, what comes next.
    fn keeps(&self) -> bool {
        self.inbox.is_some()
            || !self.handled.is_nothing()
            || self.aside.as_ref().is_some_and(|aside| aside.keeps())
    }

    fn errands(&mut self) -> Errands {
        let Some(aside) = &mut self.aside else { return Errands::default() };
        Errands {
            waiting: std::mem::take(&mut aside.waiting),
            relayed: std::mem::take(&mut aside.relayed),
            strays: std::mem::take(&mut aside.strays),
        }
    }

    /// Takes over what has come. Answers why the process is to end, if it is.
    pub(super) fn take(&mut self, came: &mut Came, pool: &InboxPool) -> Option<ExitReason> {
        let message = self.front + self.inbox.as_ref().map_or(0, |i| i.entries.len() as u64);
        let mut reason = None;
        // A reply alone needs no buffer.
        if let Some(first) = came.pop_first_apart() {
            reason = self.take_apart(message, first, &[]);
        }
        let Some(mut newer) = std::mem::take(came).gather(|| pool.take()) else { return reason };
        if newer.entries.iter().any(Envelope::is_apart) {
            let later = self.take_all_apart(message, &mut newer);
            reason = reason.or(later);
        }
        match &mut self.inbox {
            Some(inbox) => {
                inbox.append(&mut newer);
                *came = Some(newer).into();
            }
            none => *none = Some(newer),
        }
        reason
    }

    /// Takes the replies, the values for ports, and the first demand to end; the others stay, in
    /// order, of which the first has this number.
    fn take_all_apart(&mut self, mut message: u64, came: &mut Inbox) -> Option<ExitReason> {
        let mut reason = None;
        for _ in 0..came.entries.len() {
            let Some(entry) = came.entries.pop_front() else { break };
            if entry.is_apart() {
                came.let_go(&entry);
                let later = self.take_apart(message, entry, &came.segment);
                reason = reason.or(later);
            } else {
                message += 1;
                came.entries.push_back(entry);
            }
        }
        reason
    }

    /// Takes something that is no message, and came before the one with this number.
    fn take_apart(&mut self, message: u64, entry: Envelope, segment: &[u8]) -> Option<ExitReason> {
        if !entry.is_signal() {
            self.take_value(message, entry, segment);
            return None;
        }
        let Envelope::Parcel { parcel, .. } = entry else { return None };
        match *parcel {
            // A reply that comes after its deadline has no caller any more.
            Parcel::Reply { call, result } => {
                if let Some(asked) = self.calls.get_mut(&call) {
                    asked.reply = Some(result);
                } else if let Some(aside) = &mut self.aside
                    && let Some(caller) = aside.relays.remove(&call)
                {
                    aside.relayed.push((caller, result));
                }
                None
            }
            Parcel::Exit { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Sorts a value to its port.
    fn take_value(&mut self, message: u64, entry: Envelope, segment: &[u8]) {
        let aside = self.aside.get_or_insert_default();
        if let Some(stray) = aside.ports.put(message, entry, segment) {
            self.handled.add(stray.from, stray.weight);
            aside.strays.push(stray);
        }
    }

    /// Gives the buffer back when nothing is left in it: an idle process has none.
    fn give_back_empty(&mut self, batch: &mut Batch) {
        if self.inbox.as_ref().is_some_and(|inbox| inbox.entries.is_empty()) {
            batch.came = self.inbox.take().into();
        }
    }

    /// Gives back what has not been received, for the runner to refuse: the process has ended.
    /// Answers the rest, to be dropped outside the lock.
    fn give_back(&mut self, batch: &mut Batch) -> Option<Box<Aside>> {
        let inbox = self.inbox.take();
        let Some(mut aside) = self.aside.take() else {
            batch.came = inbox.into();
            return None;
        };
        let mut entries = std::mem::take(&mut aside.shelf).into_entries();
        let mut inbox = inbox.unwrap_or_default();
        entries.append(&mut inbox.entries);
        inbox.entries = entries;
        batch.came = Some(inbox).into();
        Some(aside)
    }
}

/// The future of a process and what it answers at its end.
pub(crate) type ProcessFuture = Pin<Box<dyn Future<Output = ExitReason> + Send>>;

pub(crate) struct FunctionBody {
    /// `None` once it has panicked: it must not be polled again.
    future: Option<ProcessFuture>,
    shared: Arc<Shared>,
    name: &'static str,
    /// Whether it waited in a receive, or for a value, as its last turn ended, and since when it does.
    receives: bool,
    received: Instant,
}

impl FunctionBody {
    pub(crate) const fn new(
        name: &'static str,
        future: ProcessFuture,
        shared: Arc<Shared>,
    ) -> Self {
        let received = Instant::from_nanos(0);
        Self { future: Some(future), shared, name, receives: false, received }
    }

    /// Polls the process; `came`: with something that has come. Says in `ended` why it has ended, if it has.
    fn poll(
        &mut self,
        came: bool,
        batch: &mut Batch,
        turn: &mut Turn<'_>,
        ended: &mut Option<ExitReason>,
    ) {
        let now = turn.now;
        let Some(future) = &mut self.future else {
            *ended = Some(ExitReason::Normal);
            return;
        };
        let waker = turn.lend_waker();
        // The future is dropped after a panic: nobody sees what it left half done.
        let (polled, receives) = self.shared.polled(waker, batch, || {
            let mut cx = TaskContext::from_waker(waker);
            catch_unwind(AssertUnwindSafe(|| {
                // Moved along, what is not there would be read before it has arrived.
                if let Poll::Ready(reason) = future.as_mut().poll(&mut cx) {
                    *ended = Some(reason);
                }
            }))
        });
        if came || !self.receives {
            self.received = now;
        }
        self.receives = receives;
        if let Err(panic) = polled {
            *ended = Some(ExitReason::Panic(panic_text(&*panic)));
        }
    }

    /// Hands what has come to what arrived before. Answers why the process is to end, if it is.
    #[inline(never)]
    fn arrives(&self, batch: &mut Batch, turn: &Turn<'_>) -> Option<ExitReason> {
        let came = !batch.is_empty();
        let (told_to_end, errands) = {
            let mut arrived = self.shared.lock();
            let told_to_end = arrived.take(&mut batch.came, &turn.node.inner.table.pool);
            // Whoever is woken for nothing would have the process woken once more, and so on.
            (told_to_end, if came { arrived.errands() } else { Errands::default() })
        };
        errands.run(&turn.node.inner, turn.place);
        told_to_end
    }

    /// Books what has been handled of it, and gives back the buffer where nothing is left.
    #[inline(never)]
    fn settle(&self, batch: &mut Batch) {
        let mut arrived = self.shared.lock();
        batch.handled.merge(&mut arrived.handled);
        arrived.give_back_empty(batch);
    }
}

impl Body for FunctionBody {
    fn turn(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        let came = !batch.is_empty();
        self.shared.polls.store(self.shared.polls().wrapping_add(1), Ordering::Relaxed);
        let mut ended = None;
        if self.shared.keeps() || batch.came.has_apart() {
            ended = self.arrives(batch, turn);
        }
        if ended.is_none() {
            self.poll(came, batch, turn, &mut ended);
            if !batch.is_empty() {
                // What nobody has received is kept, and told to those who have begun to wait meanwhile.
                self.arrives(batch, turn);
            }
        }
        if self.shared.keeps() {
            self.settle(batch);
        }
        let Some(reason) = ended else { return Flow::Wait };
        // The future may hold callers to be answered: it goes before what nobody received.
        discard(self.future.take());
        let (aside, calls) = {
            let mut arrived = self.shared.lock();
            // What its ports had when they were closed has been handled.
            batch.handled.merge(&mut arrived.handled);
            (arrived.give_back(batch), std::mem::take(&mut arrived.calls))
        };
        calls.into_values().for_each(discard);
        if let Some(mut aside) = aside {
            aside.relayed.drain(..).for_each(discard);
            aside.strays.drain(..).for_each(discard);
            discard(aside);
        }
        Flow::Exit(reason)
    }

    fn is_quiescent(&self) -> bool {
        // Its state lies in local variables that nobody else can read.
        false
    }

    fn label(&self) -> Label {
        Label::new(self.name, 0)
    }

    fn unreceived(&self, is_old: &dyn Fn(Instant) -> bool) -> Vec<Unreceived> {
        let arrived = self.shared.lock();
        arrived.aside.as_ref().map(|aside| aside.shelf.lying(is_old)).unwrap_or_default()
    }

    fn waits(&self, now: Instant) -> Vec<Wait> {
        let mut waits = self.shared.lock().waits(now, self.shared.polls());
        if self.receives {
            let waited = Some(now.since(self.received));
            waits.push(Wait::new(WaitKind::Message, None, waited));
            waits.sort_unstable();
        }
        waits
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
