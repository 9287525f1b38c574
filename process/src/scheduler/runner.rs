//! A runner: takes processes off the run queues and gives each its turn.
//!
//! A runner is one task. It yields by time, so that input and output get in, and not by count:
//! measured, yielding every 256 turns cost a third of the message rate.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Poll, Waker};

use futures_channel::oneshot;
use midflight_runtime::Instant;

use crate::events::{EventKinds, Happened};
use crate::mailbox::came::Came;
use crate::mailbox::envelope::{Envelope, Refusal, Sender};
use crate::mailbox::{Inbox, InboxPool};
use crate::metrics::count;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::unhandled::HandledBytes;
use crate::peer::wire::{Place, Signal};
use crate::scheduler::body::{Body, Flow};
use crate::scheduler::contain::discard;
use crate::scheduler::frozen::Frozen;
use crate::scheduler::pace::{Pace, Spent};
use crate::scheduler::queues::Ticks;
use crate::scheduler::turn::{Batch, Handled, Turn, TurnWaker};
use crate::send::stage;
use crate::table::slot::{Owed, Run, Slot};
use crate::{ExitReason, trace};

/// Turns after which a runner yields whatever the clock says: in the simulator time stands still
/// while a task runs.
const TURNS_MAX: u32 = 8_192;

/// Runs as runner `number` until the node closes.
pub(crate) async fn run(node: Node, number: usize) {
    let (mut ticks, mut spare) = (Ticks::default(), Spare::default());
    while !node.inner.is_closing() {
        let slice = || slice(&node, number, &mut ticks, &mut spare);
        let more = node.inner.queues.at_work(number, slice);
        spare.handled.book(&node.inner, |_| {});
        node.inner.queues.show(number, spare.turns, spare.messages);
        if more {
            node.inner.runtime.yield_now().await;
        } else {
            idle(&node.inner, number).await;
        }
    }
}

/// Works for one slice of time. Answers whether there is more to do.
fn slice(node: &Node, number: usize, ticks: &mut Ticks, spare: &mut Spare) -> bool {
    let inner = &node.inner;
    let began = inner.runtime.now();
    let mut next_look = spare.pace.steps_per_look();
    spare.looked = began;
    for turn in 1..=TURNS_MAX {
        let Some(index) = inner.queues.next(number, ticks) else { return false };
        take_turn(node, index, spare);
        if turn == next_look {
            let now = inner.runtime.now();
            spare.pace.took(now.since(spare.looked), inner.limits.slice);
            if now.since(began) >= inner.limits.slice {
                return true;
            }
            spare.looked = now;
            next_look = turn + spare.pace.steps_per_look();
        }
    }
    true
}

async fn idle(inner: &Inner, number: usize) {
    let mut slept = false;
    std::future::poll_fn(|cx| {
        if slept || !inner.queues.sleep(number, cx) || inner.is_closing() {
            return Poll::Ready(());
        }
        slept = true;
        Poll::Pending
    })
    .await;
    inner.queues.awake(number);
}

/// What a runner keeps from one turn to the next. (The pool of buffers has a lock that all share.)
#[derive(Default)]
struct Spare {
    inbox: Option<Box<Inbox>>,
    waker: TurnWaker,
    /// Of turns.
    pace: Pace,
    /// When the clock was looked at last.
    looked: Instant,
    /// What was handled since it was last booked.
    handled: HandledBytes,
    /// Turns given, and messages handled in them.
    turns: u64,
    messages: u64,
}

impl Spare {
    fn take(&mut self, inner: &Inner) -> Box<Inbox> {
        self.inbox.take().unwrap_or_else(|| inner.table.pool.take())
    }

    fn give(&mut self, inner: &Inner, mut inbox: Box<Inbox>) {
        if self.inbox.is_none() && InboxPool::is_kept(&inbox) {
            inbox.clear();
            self.inbox = Some(inbox);
        } else {
            inner.table.pool.give(inbox);
        }
    }
}

/// How a process rests that goes on; see [`Flow`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rests {
    Waiting,
    Suspended,
    Parked,
}

/// What a turn begins with.
struct Begun {
    generation: u32,
    body: Box<dyn Body>,
    trace: Option<Box<trace::Active>>,
}

fn take_turn(node: &Node, index: u32, spare: &mut Spare) {
    let inner = &node.inner;
    let mut batch = Batch::default();
    let Some(begun) = begin(inner, index, spare, &mut batch.came) else { return };
    let Begun { generation, mut body, trace } = begun;
    let place = Place { index, generation };
    let mut ended = None;
    let rests = stage::turn(inner, || {
        let _traced = trace.map(|active| trace::enter(inner, active, batch.came.last()));
        let (waker, now) = (&mut spare.waker, spare.looked);
        let mut turn = Turn { node, place, waker, spent: Spent::default(), now };
        // The body is dropped after a panic: nobody sees what it left half done.
        let turn = AssertUnwindSafe(|| match body.turn(&mut batch, &mut turn) {
            Flow::Wait => Rests::Waiting,
            Flow::Suspend => Rests::Suspended,
            Flow::Park => Rests::Parked,
            Flow::Exit(reason) => {
                ended = Some(reason);
                Rests::Waiting
            }
        });
        catch_unwind(turn).unwrap_or_else(|panic| {
            ended = Some(ExitReason::Panic(panic_text(&*panic)));
            discard(panic);
            Rests::Waiting
        })
    });
    spare.turns += 1;
    spare.messages += u64::from(batch.handled.messages);
    match ended {
        Some(reason) => end(inner, place, body, batch, reason),
        None => rest(inner, place, body, batch, rests, spare),
    }
}

/// Takes the body out of the cell, and what has come, which goes where it is wanted: moved along on the way it
/// would be read before it has arrived.
fn begin(inner: &Inner, index: u32, spare: &mut Spare, came: &mut Came) -> Option<Begun> {
    let mut slot = inner.table.slot(index)?.lock();
    if slot.run != Run::Queued {
        // Queued twice, or frozen meanwhile: whoever changed that sees to it.
        return None;
    }
    let body = slot.body.take()?;
    slot.run = Run::Running;
    slot.woken = false;
    let mut trace = None;
    if slot.traced {
        (*came, trace) = trace::begin(inner, index, &mut slot, || spare.take(inner));
    } else {
        *came = slot.mailbox.take();
    }
    if let Some(mut front) = slot.front.take() {
        if let Some(mut newer) = std::mem::take(came).gather(|| spare.take(inner)) {
            front.append(&mut newer);
            spare.give(inner, newer);
        }
        *came = Some(front).into();
    }
    Some(Begun { generation: slot.generation, body, trace })
}

/// Puts the body back after a turn.
fn rest(
    inner: &Arc<Inner>,
    place: Place,
    body: Box<dyn Body>,
    batch: Batch,
    rests: Rests,
    spare: &mut Spare,
) {
    let Batch { came, mut handled } = batch;
    let mut inbox = came.gather(|| spare.take(inner));
    handled.remote.iter().for_each(|owed| spare.handled.add(owed.node, owed.bytes));
    let (mut room, mut owed) = (Vec::new(), Vec::new());
    let after = {
        let Some(slot) = inner.table.slot(place.index) else { return };
        let mut slot = slot.lock();
        if slot.is(place.generation) {
            if inbox.as_ref().is_some_and(|inbox| !inbox.entries.is_empty()) {
                slot.front = inbox.take();
            }
            slot.mailbox.handled(&handled);
            account(inner, &mut slot, &mut handled, &mut room, &mut owed);
            put_back(&mut slot, body, rests)
        } else {
            After::Removed(body)
        }
    };
    if let Some(mut inbox) = inbox {
        // Of a process that was removed under its turn, what it had not handled.
        inbox.entries.drain(..).for_each(discard);
        spare.give(inner, inbox);
    }
    match after {
        After::Rests => {}
        After::Queued => inner.queues.push_behind(place.index),
        // Dropped here, outside the lock: by the receiver when it has given up, which thaws the
        // process, or because the node was shut down under the turn.
        After::Frozen(body, freeze) => {
            drop(freeze.send(Frozen::new(inner.clone(), place, body)));
        }
        After::Removed(body) => discard(body),
    }
    if !room.is_empty() {
        room.into_iter().for_each(Waker::wake);
    }
    give_credit(inner, place, &owed);
}

/// What is to be done, outside the lock, with a process whose turn has ended.
enum After {
    Rests,
    Queued,
    /// Its body goes to whoever waited to freeze it.
    Frozen(Box<dyn Body>, oneshot::Sender<Frozen>),
    /// The cell was emptied meanwhile.
    Removed(Box<dyn Body>),
}

/// Books what a turn has handled: who has room now, and which credit is due.
fn account(
    inner: &Inner,
    slot: &mut Slot,
    handled: &mut Handled,
    room: &mut Vec<Waker>,
    due: &mut Vec<Owed>,
) {
    if handled.messages > 0
        && let Some(rare) = &mut slot.rare
    {
        room.extend(rare.room.take());
    }
    if handled.remote.is_empty() {
        return;
    }
    let books = &mut slot.rare().owed;
    for more in handled.remote.drain(..) {
        let at = books.iter().position(|owed| owed.node == more.node).unwrap_or_else(|| {
            books.push(Owed { messages: 0, bytes: 0, ..more });
            books.len() - 1
        });
        let owed = &mut books[at];
        owed.messages += more.messages;
        owed.bytes = owed.bytes.saturating_add(more.bytes);
        // A quarter of the window: the sender never runs dry while this is on its way.
        if owed.messages >= inner.limits.window_messages / 4
            || owed.bytes >= inner.limits.window_bytes / 4
        {
            due.push(books.swap_remove(at));
        }
    }
}

/// Leaves the cell as the turn's end demands.
fn put_back(slot: &mut Slot, body: Box<dyn Body>, rests: Rests) -> After {
    let freeze = match &mut slot.rare {
        Some(rare) if body.is_quiescent() => rare.freeze.take(),
        _ => None,
    };
    if let Some(freeze) = freeze {
        slot.rare().label = Some(body.label());
        slot.run = Run::Frozen;
        return After::Frozen(body, freeze);
    }
    slot.body = Some(body);
    let more = match rests {
        Rests::Parked => false,
        Rests::Suspended => !slot.mailbox.is_empty(),
        Rests::Waiting => slot.has_mail(),
    };
    if more || std::mem::take(&mut slot.woken) {
        slot.run = Run::Queued;
        return After::Queued;
    }
    slot.run = if rests == Rests::Parked { Run::Parked } else { Run::Idle };
    After::Rests
}

fn give_credit(inner: &Arc<Inner>, process: Place, due: &[Owed]) {
    for owed in due {
        if let Some(peer) = inner.peer_numbered(owed.node) {
            let Owed { messages, bytes, .. } = *owed;
            inner.signal(&peer, &Signal::Credit { process, messages, bytes });
        }
    }
}

/// A process has ended: its cell is emptied, its calls are refused, its watchers are told.
fn end(
    inner: &Arc<Inner>,
    place: Place,
    body: Box<dyn Body>,
    batch: Batch,
    mut reason: ExitReason,
) {
    // Everybody who watches it gets a copy.
    reason.shorten();
    if let ExitReason::Panic(_) | ExitReason::Error(_) = reason {
        let pid = inner.local_pid(place);
        tracing::warn!(%pid, name = body.label().name, %reason, "process ended");
    }
    // First the body: what it owns, such as callers to be answered, goes before the notices.
    discard(body);
    match inner.table.remove(place.index, place.generation) {
        Some(slot) => bury(inner, place, slot, batch, reason),
        // The node was closed under its turn, and has told whom it concerns.
        None => batch.came.into_entries().for_each(discard),
    }
}

impl Inner {
    /// The node is shut down, and these have not ended when they were asked to. One that is in its turn acts
    /// still, and nobody may hear of its end before what it says: it ends with its turn.
    pub(crate) fn end_processes_at_rest(self: &Arc<Self>) {
        for (index, generation) in self.table.pids() {
            let place = Place { index, generation };
            match self.table.remove_at_rest(index, generation) {
                Some(slot) => self.end_removed(place, slot),
                None => self.end_process(place, Sender::NOBODY, ExitReason::Shutdown),
            }
        }
    }

    /// The node is closed: what its processes still do concerns nobody.
    pub(crate) fn end_processes(self: &Arc<Self>) {
        for (index, generation) in self.table.pids() {
            if let Some(slot) = self.table.remove(index, generation) {
                self.end_removed(Place { index, generation }, slot);
            }
        }
    }

    fn end_removed(self: &Arc<Self>, place: Place, mut slot: Slot) {
        // Bodies hold the node: dropping them here ends the circle.
        discard(slot.body.take());
        bury(self, place, slot, Batch::default(), ExitReason::Shutdown);
    }
}

/// Sees to what the emptied cell of a process held, and `batch`, which is older: its calls are
/// refused, its watchers are told.
pub(crate) fn bury(inner: &Arc<Inner>, place: Place, slot: Slot, batch: Batch, reason: ExitReason) {
    wind_up(inner, place, slot, batch, &reason);
    let pid = inner.local_pid(place);
    inner.event(EventKinds::PROCESSES, || Happened::Exited { pid, reason });
    inner.relocation.ended(inner.id, place);
    // Last: a node that is shut down waits for what was said above.
    inner.ending.process_ended();
}

/// As [`bury`], for a pid that was reserved for a process which is not to come.
pub(crate) fn bury_unborn(inner: &Arc<Inner>, place: Place, slot: Slot) {
    wind_up(inner, place, slot, Batch::default(), &ExitReason::NoProcess);
    inner.ending.process_ended();
}

fn wind_up(inner: &Arc<Inner>, place: Place, mut slot: Slot, batch: Batch, reason: &ExitReason) {
    if !matches!(reason, ExitReason::Normal) {
        count(&inner.counts.ended_badly);
    }
    inner.end_alarm(place, slot.alarm);
    trace::exited(inner, place, &slot, reason);
    let mut handled = HandledBytes::default();
    batch.handled.remote.iter().for_each(|owed| handled.add(owed.node, owed.bytes));
    let left = [batch.came, slot.front.take().into(), slot.mailbox.take()];
    for entry in left.into_iter().flat_map(Came::into_entries) {
        let from = entry.from();
        if from.is_remote() {
            handled.add(from.node, entry.weight().1);
        }
        if let Envelope::Parcel { from, parcel } = &entry
            && let Some(call) = parcel.call()
        {
            let reason = format!("the process ended: {reason}");
            inner.reply(place, *from, call, Err(Refusal::Aborted { reason }));
        }
        discard(entry);
    }
    let Some(rare) = slot.rare.take() else { return gone(inner, place, handled) };
    if rare.in_groups {
        inner.end_groups(place);
    }
    inner.end_timers(rare.timers);
    for name in &rare.names {
        let pid = inner.local_pid(place);
        if inner.registry.remove(name, pid) {
            let name = name.clone();
            inner.event(EventKinds::NAMES, || Happened::Unregistered { pid, name });
        }
    }
    inner.end_relations(place, &rare.relations, reason);
    rare.room.wake();
    // These have been booked, and only wait for more.
    rare.owed.iter().for_each(|owed| handled.add(owed.node, 0));
    gone(inner, place, handled);
}

/// Whatever came for a process that has ended counts as handled, and nothing more to it needs credit.
fn gone(inner: &Arc<Inner>, process: Place, mut handled: HandledBytes) {
    handled.book(inner, |peer| inner.signal(peer, &Signal::Gone { process }));
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
