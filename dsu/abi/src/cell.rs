//! One living behaviour: its state, or its suspended handler, or neither after a panic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use crate::async_context::{AsyncContext, Shared, YIELD_OP, lock};
use crate::behaviour::{Begin, Behaviour, Handler, Running};
use crate::context::Context;
use crate::error::Failure;
use crate::raw::CallInfo;
use crate::status::{Outcome, Status};

/// How often a handler that wakes itself is polled before the host gets a turn.
const SELF_WAKES_MAX: usize = 64;

/// A behaviour whose type is forgotten.
pub trait Cell: Send {
    fn start(&mut self, type_index: u32, message: &[u8], info: &CallInfo, spare: Vec<u8>) -> Ended;
    fn resume(&mut self, end: OpEnd<'_>, info: &CallInfo, spare: Vec<u8>) -> Ended;
    fn size(&self) -> u64;
    fn save(&self, state_version: u32, spare: Vec<u8>) -> Result<Vec<u8>, Failure>;
}

/// How a call ended: the status and the effects.
pub(crate) type Ended = Result<(Status, Vec<u8>), Failure>;

/// How an awaited operation ended.
#[derive(Debug)]
pub struct OpEnd<'a> {
    pub op: u64,
    pub outcome: Outcome,
    pub result: &'a [u8],
}

pub(crate) struct Slot<B: Behaviour> {
    phase: Phase<B>,
    /// A handler is running: found set by a later call, it panicked.
    running: bool,
}

enum Phase<B: Behaviour> {
    Ready(B),
    Suspended(Suspended<B>),
    Lost,
}

struct Suspended<B: Behaviour> {
    handler: Running<B>,
    shared: Arc<Mutex<Shared>>,
    woken: Arc<Woken>,
}

impl<B: Behaviour> Slot<B> {
    pub(crate) const fn new(state: B) -> Self {
        Self { phase: Phase::Ready(state), running: false }
    }

    fn state(&self) -> Result<&B, Failure> {
        match &self.phase {
            Phase::Ready(state) if !self.running => Ok(state),
            Phase::Suspended(_) => Err(busy()),
            Phase::Ready(_) | Phase::Lost => Err(lost()),
        }
    }

    fn suspend(&mut self, begin: Begin<B>, info: &CallInfo) -> Result<(), Failure> {
        match std::mem::replace(&mut self.phase, Phase::Lost) {
            Phase::Ready(state) => {
                let shared = Arc::new(Mutex::new(Shared::new(info)));
                let handler = begin(state, AsyncContext::new(shared.clone()));
                let woken = Arc::new(Woken::default());
                self.phase = Phase::Suspended(Suspended { handler, shared, woken });
                Ok(())
            }
            other => {
                self.phase = other;
                Err(busy())
            }
        }
    }

    /// Polls the suspended handler. While it runs the phase is `Lost`, and stays so if it panics.
    fn poll(&mut self, info: &CallInfo, spare: Vec<u8>) -> Ended {
        let mut suspended = match std::mem::replace(&mut self.phase, Phase::Lost) {
            Phase::Suspended(suspended) => suspended,
            other => {
                self.phase = other;
                return Ok((Status::OK, spare));
            }
        };
        let shared = suspended.shared.clone();
        lock(&shared).enter(info, spare);
        let leave = Leave(&shared);
        let polled = suspended.poll();
        drop(leave);
        let mut shared = lock(&shared);
        match polled {
            Poll::Ready(state) => {
                self.phase = Phase::Ready(state);
                Ok((Status::OK, shared.effects.take()?))
            }
            Poll::Pending => {
                if suspended.woken.0.load(Ordering::Acquire) {
                    shared.effects.sleep(YIELD_OP, 0);
                } else if !shared.awaits() {
                    return Err(Failure::new(
                        Status::STUCK,
                        "the handler awaits something that is not of Midflight: only calls and \
                         sleeps of its context are ever resumed",
                    ));
                }
                let effects = shared.effects.take()?;
                drop(shared);
                self.phase = Phase::Suspended(suspended);
                Ok((Status::PENDING, effects))
            }
        }
    }
}

impl<B: Behaviour> Suspended<B> {
    fn poll(&mut self) -> Poll<B> {
        let waker = Waker::from(self.woken.clone());
        let mut task = TaskContext::from_waker(&waker);
        for _ in 0..SELF_WAKES_MAX {
            self.woken.0.store(false, Ordering::Release);
            if let Poll::Ready(state) = self.handler.as_mut().poll(&mut task) {
                return Poll::Ready(state);
            }
            if !self.woken.0.load(Ordering::Acquire) {
                break;
            }
        }
        Poll::Pending
    }
}

impl<B: Behaviour> Cell for Slot<B> {
    fn start(&mut self, type_index: u32, message: &[u8], info: &CallInfo, spare: Vec<u8>) -> Ended {
        self.state()?;
        let accept = B::ACCEPTS.get(type_index as usize).ok_or_else(|| {
            let text = format!("{} handles no message of index {type_index}", B::NAME);
            Failure::new(Status::UNKNOWN, text)
        })?;
        match accept.handler {
            Handler::Plain(handle) => {
                let Phase::Ready(state) = &mut self.phase else { return Err(busy()) };
                let mut cx = Context::new(*info, spare);
                self.running = true;
                let handled = handle(state, &mut cx, message);
                self.running = false;
                handled?;
                Ok((Status::OK, cx.finish()?))
            }
            Handler::Async(prepare) => {
                let begin = prepare(message)?;
                self.suspend(begin, info)?;
                self.poll(info, spare)
            }
        }
    }

    fn resume(&mut self, end: OpEnd<'_>, info: &CallInfo, spare: Vec<u8>) -> Ended {
        match &self.phase {
            Phase::Suspended(suspended) => {
                let waker = lock(&suspended.shared).complete(end.op, end.outcome, end.result);
                if let Some(waker) = waker {
                    waker.wake();
                }
                self.poll(info, spare)
            }
            // An operation that the handler gave up before it ended.
            Phase::Ready(_) if !self.running => Ok((Status::OK, spare_emptied(spare))),
            Phase::Ready(_) | Phase::Lost => Err(lost()),
        }
    }

    fn size(&self) -> u64 {
        self.state().map_or(0, crate::codec::size)
    }

    fn save(&self, state_version: u32, spare: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let state = self.state()?;
        if state_version == B::VERSION {
            return crate::codec::write_state(state, spare);
        }
        let conversion = B::CONVERSIONS.iter().find(|c| c.version == state_version);
        let convert = conversion.and_then(|c| c.to).ok_or_else(|| {
            let (name, own) = (B::NAME, B::VERSION);
            let text =
                format!("{name} does not convert its state {own} to version {state_version}");
            Failure::new(Status::UNKNOWN, text)
        })?;
        convert(state)
    }
}

/// Makes a living behaviour of a start's bytes, or of a saved state of any version it knows.
pub(crate) fn create<B: Behaviour>(
    args: &[u8],
    info: &CallInfo,
    spare: Vec<u8>,
) -> Result<(Box<dyn Cell>, Vec<u8>), Failure> {
    let start = crate::codec::read::<B::Start>(args)?;
    let mut cx = Context::new(*info, spare);
    let state = B::begin(&mut cx, start)?;
    Ok((Box::new(Slot::new(state)), cx.finish()?))
}

pub(crate) fn restore<B: Behaviour>(
    state_version: u32,
    bytes: &[u8],
) -> Result<Box<dyn Cell>, Failure> {
    let state = if state_version == B::VERSION {
        crate::codec::read_state(bytes)?
    } else {
        let conversion = B::CONVERSIONS.iter().find(|c| c.version == state_version);
        let convert = conversion.and_then(|c| c.from).ok_or_else(|| {
            let (name, own) = (B::NAME, B::VERSION);
            let text =
                format!("{name} does not convert state {state_version} to its version {own}");
            Failure::new(Status::UNKNOWN, text)
        })?;
        convert(bytes)?
    };
    Ok(Box::new(Slot::new(state)))
}

fn spare_emptied(mut spare: Vec<u8>) -> Vec<u8> {
    spare.clear();
    spare
}

fn busy() -> Failure {
    Failure::new(Status::BUSY, "a handler is suspended")
}

fn lost() -> Failure {
    Failure::new(Status::LOST, "the state was lost in a panic")
}

/// Remembers that the handler wants to be polled. The only waker there is: none crosses the border.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Puts the host out of the handler's reach at the end of a call, also when the handler panics.
struct Leave<'a>(&'a Mutex<Shared>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        lock(self.0).leave();
    }
}
