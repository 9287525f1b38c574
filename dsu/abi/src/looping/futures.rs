//! The futures that only loops await.
//!
//! A point holds the state that it was lent. The host reads it by having the loop polled with a question on the desk,
//! which the point answers: so no pointer to it is kept anywhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};

use super::Letter;
use super::desk::{Asked, Given};
use crate::async_context::{Shared, lock};
use crate::behaviour::Behaviour;
use crate::error::Failure;
use crate::status::Status;
use crate::{cell, codec, panic};

/// An update point that is awaited.
#[must_use = "a point does nothing unless it is awaited"]
pub struct UpdatePoint<'a, B: Behaviour> {
    rest: Rest<'a, B>,
}

impl<'a, B: Behaviour> UpdatePoint<'a, B> {
    pub(super) const fn new(shared: Arc<Mutex<Shared>>, state: &'a mut B) -> Self {
        Self { rest: Rest { state, shared, op: None } }
    }
}

impl<B: Behaviour> Future for UpdatePoint<'_, B> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let rest = &mut self.rest;
        if rest.op.is_none() && lock(&rest.shared).desk.passes() {
            return Poll::Ready(());
        }
        rest.poll(task)
    }
}

/// A receive that is awaited. Dropping it loses no message.
#[must_use = "a receive does nothing unless it is awaited"]
pub struct Receive<'a, B: Behaviour> {
    shared: Arc<Mutex<Shared>>,
    rest: Option<Rest<'a, B>>,
    begun: bool,
}

impl<'a, B: Behaviour> Receive<'a, B> {
    pub(super) fn new(shared: Arc<Mutex<Shared>>, state: Option<&'a mut B>) -> Self {
        let rest = state.map(|state| Rest { state, shared: shared.clone(), op: None });
        Self { shared, rest, begun: false }
    }
}

impl<B: Behaviour> Future for Receive<'_, B> {
    type Output = Letter<B>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Letter<B>> {
        let me = &mut *self;
        {
            let mut shared = lock(&me.shared);
            let Shared { desk, effects, info, .. } = &mut *shared;
            if !std::mem::replace(&mut me.begun, true) {
                desk.close(effects);
                desk.begin_receiving();
            }
            if let Some(letter) = desk.take() {
                info.received(letter.from);
                desk.end_receiving();
                me.begun = false;
                return Poll::Ready(Letter::new(letter));
            }
            desk.wait(task.waker());
        }
        if let Some(rest) = &mut me.rest {
            // Only a message ends it.
            let _ended = rest.poll(task);
        }
        Poll::Pending
    }
}

impl<B: Behaviour> Drop for Receive<'_, B> {
    fn drop(&mut self) {
        if self.begun {
            lock(&self.shared).desk.end_receiving();
        }
    }
}

/// A point at which the loop is.
struct Rest<'a, B: Behaviour> {
    state: &'a mut B,
    shared: Arc<Mutex<Shared>>,
    /// None before it is polled.
    op: Option<u64>,
}

impl<B: Behaviour> Rest<'_, B> {
    fn poll(&mut self, task: &TaskContext<'_>) -> Poll<()> {
        let mut shared = lock(&self.shared);
        let op = match self.op {
            Some(op) => op,
            None => {
                let Shared { desk, effects, .. } = &mut *shared;
                desk.close(effects);
                let op = shared.begin_point();
                self.op = Some(op);
                op
            }
        };
        if let Some(asked) = shared.desk.asked(op) {
            drop(shared);
            let given = self.answer(asked);
            shared = lock(&self.shared);
            shared.desk.give(given);
        }
        shared.poll_op(op, task.waker()).map(|_done| ())
    }

    /// A conversion of the author's may panic: the loop must not notice.
    fn answer(&self, asked: Asked) -> Given {
        match asked {
            Asked::Size => Given::Size(panic::catch(|| codec::size(&*self.state)).unwrap_or(0)),
            Asked::State(version, spare) => {
                let written = panic::catch(|| cell::write::<B>(self.state, version, spare));
                Given::State(written.unwrap_or_else(|text| Err(Failure::new(Status::PANIC, text))))
            }
            Asked::Health => {
                let health = panic::catch(|| cell::health::<B>(self.state));
                Given::Health(health.unwrap_or_else(|text| Err(Failure::new(Status::PANIC, text))))
            }
        }
    }
}

impl<B: Behaviour> Drop for Rest<'_, B> {
    fn drop(&mut self) {
        let Some(op) = self.op else { return };
        let mut shared = lock(&self.shared);
        shared.desk.leave(op);
        let forgotten = shared.forget_op(op);
        // Outside the lock, as for every operation.
        drop(shared);
        drop(forgotten);
    }
}

impl<B: Behaviour> fmt::Debug for UpdatePoint<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdatePoint").field("op", &self.rest.op).finish_non_exhaustive()
    }
}

impl<B: Behaviour> fmt::Debug for Receive<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receive").field("begun", &self.begun).finish_non_exhaustive()
    }
}
