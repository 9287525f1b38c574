//! What runs in a cell: the seam between the scheduler and the kinds of process.

use std::any::Any;

use midflight_runtime::Instant;
use serde::{Deserialize, Serialize};

use crate::ExitReason;
use crate::info::Unreceived;
use crate::scheduler::turn::{Batch, Turn};
use crate::waits::Wait;

/// The code and state of a process. The runner owns the loop: it calls [`Body::turn`] when there
/// is something to do, and may take the body out between turns (to switch its code, for one).
pub trait Body: Send + Any {
    /// Handles what has come. Must not block. What is left in `batch` stays, in order.
    fn turn(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow;

    /// Whether it is between messages, so that it may be taken out.
    fn is_quiescent(&self) -> bool;

    /// Whether it has something to do before anything comes: then it has a turn as soon as it is in its place.
    fn has_work(&self) -> bool {
        false
    }

    /// What it is, for people.
    fn label(&self) -> Label;

    /// What it has passed over and keeps, by type; what was passed over at a time that `is_old` is counted as
    /// old. (A behaviour keeps nothing: it refuses.)
    fn unreceived(&self, is_old: &dyn Fn(Instant) -> bool) -> Vec<Unreceived> {
        let _ = is_old;
        Vec::new()
    }

    /// What it waits for, when it has had its turn and nothing has come since.
    fn waits(&self, now: Instant) -> Vec<Wait> {
        let _ = now;
        Vec::new()
    }

    /// The body, to be recognised by the layer that made it.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// Wait for the next message or wake-up; what is left in the batch is handled at once.
    Wait,
    /// Wait for something new or a wake-up; what is left in the batch is not for now.
    Suspend,
    /// Wait for a wake-up only: messages stay where they are.
    Park,
    /// The process is done.
    Exit(ExitReason),
}

/// A process's kind, name and version of its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Label {
    /// The behaviour's or function's name.
    pub name: String,
    /// The version of its code; 0 for a plain function.
    pub version: u32,
    /// What it waits for in the middle of a message, if anything.
    pub suspended: Option<String>,
}

impl Label {
    /// A label for code `name` of `version`.
    #[must_use]
    pub fn new(name: impl Into<String>, version: u32) -> Self {
        Self { name: name.into(), version, suspended: None }
    }
}
