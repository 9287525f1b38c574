//! A process made of an async function: a cell whose state is a boxed future.

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use bytes::Bytes;

use crate::ExitReason;
use crate::body::{Body, Flow, Label};
use crate::envelope::{CallRef, Content, Envelope, Parcel, Refusal, Sender};
use crate::runner::panic_text;
use crate::turn::{Batch, Handled, Turn};

/// What a function process and its [`Context`](crate::Context) share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) arrived: Mutex<Arrived>,
}

/// What has come and has not been received.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) letters: VecDeque<Letter>,
    /// Calls that wait for their reply, and replies that wait for their caller.
    pub(crate) calls: FxHashMap<CallRef, Option<Result<Content, Refusal>>>,
    pub(crate) handled: Handled,
}

/// A message that has not been received yet.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) from: Sender,
    pub(crate) call: Option<CallRef>,
    pub(crate) content: Content,
    pub(crate) weight: (u32, u32),
}

impl Arrived {
    /// Takes over a turn's batch. Answers why the process is to end, if it is.
    fn take(&mut self, batch: &mut Batch) -> Option<ExitReason> {
        let inbox = &mut batch.inbox;
        let segment = Bytes::from(std::mem::take(&mut inbox.segment));
        for entry in inbox.entries.drain(..) {
            let weight = entry.weight();
            let letter = |from, call, content| Letter { from, call, content, weight };
            self.letters.push_back(match entry {
                Envelope::Value { from, value } => letter(from, None, Content::Value(value)),
                Envelope::Small { from, ty, start, len } => {
                    let range = start as usize..start as usize + len as usize;
                    let bytes = segment.slice(range);
                    letter(from, None, Content::Bytes { ty, bytes })
                }
                Envelope::Parcel { from, parcel } => match *parcel {
                    Parcel::Large { ty, bytes } => letter(from, None, Content::Bytes { ty, bytes }),
                    Parcel::Call { call, content } => letter(from, Some(call), content),
                    Parcel::Reply { call, result } => {
                        // A reply that comes after its deadline has no caller any more.
                        if let Some(reply) = self.calls.get_mut(&call) {
                            *reply = Some(result);
                        }
                        continue;
                    }
                    Parcel::Exit { reason } => return Some(reason),
                },
            });
        }
        None
    }

    /// Gives back what has not been received, for the runner to refuse: the process has ended.
    fn give_back(&mut self, batch: &mut Batch) {
        let letters = self.letters.drain(..);
        batch.inbox.entries.extend(
            letters
                .map(|Letter { from, call, content, .. }| crate::send::entry(from, call, content)),
        );
    }
}

/// The future of a process and what it answers at its end.
pub(crate) type ProcessFuture = Pin<Box<dyn Future<Output = ExitReason> + Send>>;

pub(crate) struct FunctionBody {
    /// `None` once it has panicked: it must not be polled again.
    future: Option<ProcessFuture>,
    shared: Arc<Shared>,
    waker: Waker,
    name: &'static str,
}

impl FunctionBody {
    pub(crate) const fn new(
        name: &'static str,
        future: ProcessFuture,
        shared: Arc<Shared>,
        waker: Waker,
    ) -> Self {
        Self { future: Some(future), shared, waker, name }
    }

    fn poll(&mut self, batch: &mut Batch) -> Poll<ExitReason> {
        let Some(future) = &mut self.future else { return Poll::Ready(ExitReason::Normal) };
        let mut cx = TaskContext::from_waker(&self.waker);
        // The future is dropped after a panic: nobody sees what it left half done.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        batch.handled.merge(&mut self.shared.arrived.lock().handled);
        polled.unwrap_or_else(|panic| Poll::Ready(ExitReason::Panic(panic_text(&*panic))))
    }
}

impl Body for FunctionBody {
    fn turn(&mut self, batch: &mut Batch, _turn: &mut Turn<'_>) -> Flow {
        let told_to_end = self.shared.arrived.lock().take(batch);
        let reason = match told_to_end {
            Some(reason) => reason,
            None => match self.poll(batch) {
                Poll::Pending => return Flow::Wait,
                Poll::Ready(reason) => reason,
            },
        };
        // The future may hold callers to be answered: it goes before what nobody received.
        self.future = None;
        self.shared.arrived.lock().give_back(batch);
        Flow::Exit(reason)
    }

    fn is_quiescent(&self) -> bool {
        // Its state lies in local variables that nobody else can read.
        false
    }

    fn label(&self) -> Label {
        Label::new(self.name, 0)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
