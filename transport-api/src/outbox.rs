//! The sending half of a link, shared by its handles, its writer and its reader. For those who write
//! a backend: most of [`Link`](crate::Link) forwards to it.
//!
//! It also holds the link's fate: who sets it first says how the link ended, and the reader, which
//! owns the sink, tells it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{
    Batch, ConnectionId, Limits, LinkLoss, LossKind, Outgoing, Room, SendError, SendErrorKind,
};

/// The sending half of a link, as every backend needs it: the batch, its bound and its end.
///
/// # How its parts use it
///
/// - **Handles** call [`open`](Self::open), [`write`](Self::write),
///   [`poll_ready`](Self::poll_ready) and [`close_connection`](Self::close_connection), and
///   [`close`](Self::close): when that answers true, start the deadline after which the link is
///   [failed](Self::fail) as cut.
/// - **The writer** loops: [`poll_take`](Self::poll_take), write all of the batch, again. It wakes
///   for what is appended, and ends at [`Taken::End`], closing its direction. While it writes it
///   watches [`poll_fate`](Self::poll_fate), so that a peer that does not read cannot hold it.
/// - **The reader** loops: ask the sink, read, feed an [`Incoming`](crate::Incoming). It answers a ping
///   with [`pong`](Self::pong) and a bye with [`bye_heard`](Self::bye_heard), watches
///   [`poll_fate`](Self::poll_fate) all the while, and when there is one, tells it and ends. An
///   end of the stream after the peer's bye is none: then it waits for the fate. Any other is a
///   [`fail`](Self::fail).
/// - **The heartbeat** calls [`ping`](Self::ping) or [`fail`](Self::fail) as a
///   [`Heartbeat`](crate::Heartbeat) says.
///
/// Every call takes one short lock, wakes nobody under it, and may come from any thread.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    /// Whether there is a fate: read on the hot path of the reader.
    lost: AtomicBool,
}

#[derive(Debug)]
struct State {
    outgoing: Outgoing,
    fate: Option<LinkLoss>,
    /// No more writing: a polite close has begun here or there.
    closing: bool,
    bye_heard: bool,
    bye_written: bool,
    /// The writer, while it has nothing to do.
    writer: Option<Waker>,
    /// Those who wait for room for small messages, and for large ones.
    small_waiters: Vec<Waker>,
    large_waiters: Vec<Waker>,
    /// Those who wait for the fate.
    watchers: Vec<Waker>,
}

/// What [`Outbox::poll_take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The batch has something to write.
    Batch,
    /// Nothing will ever come again: the writer ends.
    End,
}

impl Outbox {
    /// Open, with nothing in it.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        let state = State {
            outgoing: Outgoing::new(limits),
            fate: None,
            closing: false,
            bye_heard: false,
            bye_written: false,
            writer: None,
            small_waiters: Vec::new(),
            large_waiters: Vec::new(),
            watchers: Vec::new(),
        };
        Self { state: Mutex::new(state), lost: AtomicBool::new(false) }
    }

    /// As [`Link::open`](crate::Link::open).
    ///
    /// # Errors
    /// `TooMany`, `Full`, `LinkLost`.
    pub fn open(&self) -> Result<ConnectionId, SendError> {
        let mut state = self.lock();
        state.check()?;
        if !state.outgoing.has_room(Room::Small) {
            return Err(SendErrorKind::Full.into());
        }
        let opened = state.outgoing.open();
        state.unlock_and_wake_writer();
        opened
    }

    /// As [`Link::close_connection`](crate::Link::close_connection).
    ///
    /// # Errors
    /// `LinkLost`.
    pub fn close_connection(&self, connection: ConnectionId) -> Result<(), SendError> {
        let mut state = self.lock();
        state.check()?;
        state.outgoing.close(connection);
        state.unlock_and_wake_writer();
        Ok(())
    }

    /// As [`Link::write`](crate::Link::write).
    ///
    /// # Errors
    /// `Full`, `LinkLost`; then `fill` did not run.
    pub fn write(&self, room: Room, fill: &mut dyn FnMut(&mut Outgoing)) -> Result<(), SendError> {
        let mut state = self.lock();
        state.check()?;
        if !state.outgoing.has_room(room) {
            return Err(SendErrorKind::Full.into());
        }
        // What a `fill` that panics has appended before goes out all the same.
        let filled = catch_unwind(AssertUnwindSafe(|| fill(&mut state.outgoing)));
        state.unlock_and_wake_writer();
        filled.map_err(|panic| resume_unwind(panic))
    }

    /// As [`Link::poll_ready`](crate::Link::poll_ready).
    ///
    /// # Errors
    /// `LinkLost`.
    pub fn poll_ready(&self, room: Room, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let mut state = self.lock();
        if let Err(error) = state.check() {
            return Poll::Ready(Err(error));
        }
        if state.outgoing.has_room(room) {
            return Poll::Ready(Ok(()));
        }
        match room {
            Room::Small => register(&mut state.small_waiters, cx),
            Room::Large => register(&mut state.large_waiters, cx),
        }
        Poll::Pending
    }

    /// Has a ping sent.
    pub fn ping(&self) {
        self.control(Outgoing::ping);
    }

    /// Has the answer to a ping sent.
    pub fn pong(&self) {
        self.control(Outgoing::pong);
    }

    /// Begins a polite close: from now on nobody appends, those who wait for room are told, and the
    /// batch ends with a bye. Answers whether it was the first to; then its deadline is to be set.
    pub fn close(&self) -> bool {
        let mut state = self.lock();
        if state.closing || state.fate.is_some() {
            return false;
        }
        state.closing = true;
        state.outgoing.finish();
        let waiters = state.take_waiters();
        state.unlock_and_wake_writer();
        wake_all(waiters);
        true
    }

    /// The peer's bye came. Once ours is written too, the link is closed by agreement. Answers
    /// whether this began the close on our side; then its deadline is to be set.
    pub fn bye_heard(&self) -> bool {
        let began = self.close();
        let mut state = self.lock();
        state.bye_heard = true;
        if state.bye_written {
            drop(state);
            self.end_by_agreement();
        }
        began
    }

    /// Whether the peer has said goodbye, so that its silence means nothing.
    #[must_use]
    pub fn is_bye_heard(&self) -> bool {
        self.lock().bye_heard
    }

    /// Whether it can still be written to: it is not lost, and nobody has begun to close it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.is_lost() && !self.lock().closing
    }

    /// Ends the link, and wakes all who wait: the writer, those who wait for room, those who watch the
    /// fate. What was not taken is not written any more. Answers whether this was what ended it; who
    /// comes later changes nothing.
    pub fn fail(&self, loss: LinkLoss) -> bool {
        let mut state = self.lock();
        if state.fate.is_some() {
            return false;
        }
        state.fate = Some(loss);
        // A handle may be kept for long, what was to be sent on it need not.
        let unsent = state.outgoing.abandon();
        self.lost.store(true, Ordering::Release);
        let mut wakers = state.take_waiters();
        wakers.append(&mut state.watchers);
        wakers.extend(state.writer.take());
        drop(state);
        drop(unsent);
        wake_all(wakers);
        true
    }

    /// Whether the link has ended.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Ready when the link has ended, with how. Any number of tasks may wait; each is kept until the
    /// end, once, so a task that waits again and again costs no more.
    pub fn poll_fate(&self, cx: &mut Context<'_>) -> Poll<LinkLoss> {
        let mut state = self.lock();
        match &state.fate {
            Some(loss) => Poll::Ready(loss.clone()),
            None => {
                register(&mut state.watchers, cx);
                Poll::Pending
            }
        }
    }

    /// For the writer alone: moves what is to be written next into the empty `batch`. To ask again
    /// says that the last batch has been written, to the stream and not only to a buffer of the
    /// backend's: what was said before a bye counts as delivered then.
    ///
    /// Wakes the task of `cx`, one alone, when there is something. Dropping a future around it between
    /// two calls loses nothing; dropping the `batch` loses what is in it.
    pub fn poll_take(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Taken> {
        let mut state = self.lock();
        if state.fate.is_some() {
            return Poll::Ready(Taken::End);
        }
        if state.outgoing.take(batch) {
            let mut ready = Vec::new();
            if state.outgoing.has_room(Room::Small) {
                ready.append(&mut state.small_waiters);
            }
            if state.outgoing.has_room(Room::Large) {
                ready.append(&mut state.large_waiters);
            }
            drop(state);
            wake_all(ready);
            return Poll::Ready(Taken::Batch);
        }
        if state.outgoing.is_finished() {
            state.bye_written = true;
            let agreed = state.bye_heard;
            drop(state);
            if agreed {
                self.end_by_agreement();
            }
            return Poll::Ready(Taken::End);
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn end_by_agreement(&self) {
        self.fail(LinkLoss::new(LossKind::Closed, "both sides said goodbye"));
    }

    /// After a bye there is nothing to say.
    fn control(&self, append: fn(&mut Outgoing)) {
        let mut state = self.lock();
        if state.fate.is_none() && !state.outgoing.is_finished() {
            append(&mut state.outgoing);
            state.unlock_and_wake_writer();
        }
    }

    /// A panic of a `fill` leaves the batch whole (it takes back what it had begun), so that a
    /// poisoned lock is no reason to stop.
    fn lock(&self) -> Guard<'_> {
        Guard(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Guard<'a>(MutexGuard<'a, State>);

impl Guard<'_> {
    fn unlock_and_wake_writer(mut self) {
        let writer = if self.outgoing.is_idle() { None } else { self.writer.take() };
        drop(self);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

impl std::ops::Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl std::ops::DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl State {
    /// All who wait for room.
    fn take_waiters(&mut self) -> Vec<Waker> {
        let mut waiters = std::mem::take(&mut self.small_waiters);
        waiters.append(&mut self.large_waiters);
        waiters
    }

    fn check(&self) -> Result<(), SendError> {
        if self.closing || self.fate.is_some() {
            return Err(SendError::new(SendErrorKind::LinkLost));
        }
        Ok(())
    }
}

fn register(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
