//! A process made of an async function: a cell whose state is a boxed future.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use midflight_runtime::Instant;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::ExitReason;
use crate::calls::Asked;
use crate::channel::ports::{Ports, Stray};
use crate::channel::refuse_strays;
use crate::info::Unreceived;
use crate::mailbox::Inbox;
use crate::mailbox::envelope::{CallRef, Content, Envelope, Parcel, Refusal};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::receive::shelf::Shelf;
use crate::scheduler::body::{Body, Flow, Label};
use crate::scheduler::contain::discard;
use crate::scheduler::runner::panic_text;
use crate::scheduler::turn::{Batch, Handled, Turn};
use crate::send::reply_to::ReplyTo;
use crate::waits::{Begun, Wait};

/// What a function process and its [`Context`](crate::Context) share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) arrived: Mutex<Arrived>,
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
    /// How often it was polled, over and over.
    pub(crate) polls: u32,
    /// Whether it waited in a receive, or for a value, as its last turn ended, and since when it does.
    pub(crate) receives: bool,
    pub(crate) received: Instant,
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

    fn errands(&mut self) -> Errands {
        let Some(aside) = &mut self.aside else { return Errands::default() };
        Errands {
            waiting: std::mem::take(&mut aside.waiting),
            relayed: std::mem::take(&mut aside.relayed),
            strays: std::mem::take(&mut aside.strays),
        }
    }

    /// Takes over a turn's batch. Answers why the process is to end, if it is.
    fn take(&mut self, batch: &mut Batch) -> Option<ExitReason> {
        let mut came = batch.inbox.take()?;
        let reason = if came.entries.iter().any(Envelope::is_apart) {
            self.take_apart(&mut came)
        } else {
            None
        };
        match &mut self.inbox {
            Some(inbox) => {
                inbox.append(&mut came);
                batch.inbox = Some(came);
            }
            none => *none = Some(came),
        }
        reason
    }

    /// Takes the replies, the values for ports, and the first demand to end; the others stay, in
    /// order.
    fn take_apart(&mut self, came: &mut Inbox) -> Option<ExitReason> {
        let mut reason = None;
        let mut message = self.front + self.inbox.as_ref().map_or(0, |i| i.entries.len() as u64);
        for _ in 0..came.entries.len() {
            let Some(entry) = came.entries.pop_front() else { break };
            if !entry.is_apart() {
                message += 1;
                came.entries.push_back(entry);
                continue;
            }
            if !entry.is_signal() {
                came.let_go(&entry);
                self.take_value(message, entry, &came.segment);
                continue;
            }
            let Envelope::Parcel { parcel, .. } = entry else { continue };
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
                }
                Parcel::Exit { reason: first, .. } => reason = reason.or(Some(first)),
                _ => {}
            }
        }
        reason
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
            batch.inbox = self.inbox.take();
        }
    }

    /// Gives back what has not been received, for the runner to refuse: the process has ended.
    /// Answers the rest, to be dropped outside the lock.
    fn give_back(&mut self, batch: &mut Batch) -> Option<Box<Aside>> {
        batch.inbox = self.inbox.take();
        let mut aside = self.aside.take()?;
        let mut entries = std::mem::take(&mut aside.shelf).into_entries();
        let inbox = batch.inbox.get_or_insert_default();
        entries.append(&mut inbox.entries);
        inbox.entries = entries;
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
}

impl FunctionBody {
    pub(crate) const fn new(
        name: &'static str,
        future: ProcessFuture,
        shared: Arc<Shared>,
    ) -> Self {
        Self { future: Some(future), shared, name }
    }

    /// Polls the process; `came`: with something that has come.
    fn poll(&mut self, came: bool, batch: &mut Batch, turn: &mut Turn<'_>) -> Poll<ExitReason> {
        let now = turn.now;
        let Some(future) = &mut self.future else { return Poll::Ready(ExitReason::Normal) };
        let waker = turn.lend_waker();
        // The future is dropped after a panic: nobody sees what it left half done.
        let (polled, receives) = self.shared.polled(waker, || {
            let mut cx = TaskContext::from_waker(waker);
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)))
        });
        let mut arrived = self.shared.arrived.lock();
        batch.handled.merge(&mut arrived.handled);
        arrived.give_back_empty(batch);
        if came || !arrived.receives {
            arrived.received = now;
        }
        arrived.receives = receives;
        drop(arrived);
        polled.unwrap_or_else(|panic| Poll::Ready(ExitReason::Panic(panic_text(&*panic))))
    }
}

impl Body for FunctionBody {
    fn turn(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        let came = batch.inbox.is_some();
        let (told_to_end, errands) = {
            let mut arrived = self.shared.arrived.lock();
            let told_to_end = arrived.take(batch);
            arrived.polls = arrived.polls.wrapping_add(1);
            // Whoever is woken for nothing would have the process woken once more, and so on.
            (told_to_end, if came { arrived.errands() } else { Errands::default() })
        };
        errands.run(&turn.node.inner, turn.place);
        let reason = match told_to_end {
            Some(reason) => reason,
            None => match self.poll(came, batch, turn) {
                Poll::Pending => return Flow::Wait,
                Poll::Ready(reason) => reason,
            },
        };
        // The future may hold callers to be answered: it goes before what nobody received.
        discard(self.future.take());
        let (aside, calls) = {
            let mut arrived = self.shared.arrived.lock();
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
        let arrived = self.shared.arrived.lock();
        arrived.aside.as_ref().map(|aside| aside.shelf.lying(is_old)).unwrap_or_default()
    }

    fn waits(&self, now: Instant) -> Vec<Wait> {
        self.shared.arrived.lock().waits(now)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
