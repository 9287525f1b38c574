//! What a loop and its machinery share besides calls and sleeps: the letter that has come, and the points at which it
//! rests.

use std::any::Any;
use std::fmt;
use std::task::Waker;

use midflight_message::Pid;

use crate::effect::{EffectWriter, UNIT_REPLY};
use crate::error::Failure;

/// So many points are passed in one call of the host; at the next the host has a turn, wanted or not. A loop that awaits
/// nothing else would never let go.
const PASSES_MAX: u32 = 64;

#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// How many futures await a letter.
    receiving: u32,
    waker: Option<Waker>,
    /// One that has come, and was not taken yet.
    letter: Option<Posted>,
    /// The call received last, until it is answered.
    pub(crate) open: Option<Open>,
    /// The operations of the points at which the loop is, the oldest first.
    points: Vec<u64>,
    /// What the host wants to know of the state, and what it is told.
    asked: Option<Asked>,
    given: Option<Given>,
    /// Whether the host wants the process to come to rest.
    wanted: bool,
    passes: u32,
}

/// A message on its way into the loop.
pub(crate) struct Posted {
    pub(crate) index: u32,
    pub(crate) message: Box<dyn Any + Send>,
    pub(crate) from: Option<Pid>,
    pub(crate) call: Option<u64>,
    /// Whether its type has a reply.
    pub(crate) has_reply: bool,
}

impl fmt::Debug for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posted").field("index", &self.index).finish_non_exhaustive()
    }
}

/// A call that is to be answered.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) index: u32,
    pub(crate) call: u64,
    has_reply: bool,
}

#[derive(Debug)]
pub(crate) enum Asked {
    /// How large it is.
    Size,
    /// The state as that version of it, into this vector.
    State(u32, Vec<u8>),
    /// Whether it is well.
    Health,
}

#[derive(Debug)]
pub(crate) enum Given {
    Size(u64),
    State(Result<Vec<u8>, Failure>),
    Health(Result<(), Failure>),
}

impl Desk {
    /// A call of the host begins.
    pub(crate) const fn enter(&mut self, wanted: bool) {
        self.wanted = wanted;
        self.passes = 0;
    }

    /// Whether a message can be handed over.
    pub(crate) const fn is_receiving(&self) -> bool {
        self.receiving > 0 && self.letter.is_none()
    }

    /// Hands a message over. The waker to wake, if somebody waits.
    pub(crate) fn post(&mut self, letter: Posted) -> Option<Waker> {
        self.letter = Some(letter);
        self.waker.take()
    }

    pub(super) fn begin_receiving(&mut self) {
        self.receiving += 1;
    }

    pub(super) fn wait(&mut self, waker: &Waker) {
        self.waker = Some(waker.clone());
    }

    pub(super) const fn end_receiving(&mut self) {
        self.receiving = self.receiving.saturating_sub(1);
    }

    /// The letter that has come; from here on it is the one to be answered.
    pub(super) fn take(&mut self) -> Option<Posted> {
        let letter = self.letter.take()?;
        let Posted { index, has_reply, .. } = letter;
        self.open = letter.call.map(|call| Open { index, call, has_reply });
        Some(letter)
    }

    /// The loop is done with the message it has received: where its type has no reply, whoever called with it learns
    /// that. One that is owed a reply the host sees to.
    pub(super) fn close(&mut self, effects: &mut EffectWriter) {
        match self.open.take() {
            Some(Open { call, has_reply: false, .. }) => effects.reply(call, UNIT_REPLY, &()),
            open => self.open = open,
        }
    }

    /// Whether a point is passed at once.
    pub(super) const fn passes(&mut self) -> bool {
        self.passes += 1;
        // A letter that was handed over would be lost with the loop.
        self.letter.is_some() || (!self.wanted && self.passes < PASSES_MAX)
    }

    pub(crate) fn come_to(&mut self, point: u64) {
        self.points.push(point);
    }

    pub(super) fn leave(&mut self, point: u64) {
        self.points.retain(|other| *other != point);
    }

    /// What the host is to do while the loop is suspended.
    pub(crate) fn tell(&self, effects: &mut EffectWriter) {
        if self.is_receiving() {
            effects.receive();
        }
        if let Some(point) = self.points.last() {
            effects.update_point(*point);
        }
    }

    /// Asks the point at which the loop rests. Answers false when it rests at none.
    pub(crate) fn ask(&mut self, asked: Asked) -> bool {
        self.asked = Some(asked).filter(|_| !self.points.is_empty());
        self.asked.is_some()
    }

    /// What `point` is asked.
    pub(super) fn asked(&mut self, point: u64) -> Option<Asked> {
        if self.points.last() == Some(&point) { self.asked.take() } else { None }
    }

    pub(super) fn give(&mut self, given: Given) {
        self.given = Some(given);
    }

    /// What the point has answered.
    pub(crate) fn given(&mut self) -> Option<Given> {
        self.asked = None;
        self.given.take()
    }
}
