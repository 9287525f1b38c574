//! One living behaviour: its state, or its suspended handler, or neither after a panic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use midflight_message::Pid;

use crate::async_context::{AsyncContext, Shared, YIELD_OP, lock};
use crate::behaviour::{Behaviour, Handler, Running};
use crate::context::Context;
use crate::error::Failure;
use crate::looping::desk::{Asked, Given, Posted};
use crate::looping::{Loop, Looping};
use crate::raw::CallInfo;
use crate::status::{Outcome, Status};

/// How often a handler that wakes itself is polled before the host gets a turn.
const SELF_WAKES_MAX: usize = 64;

/// A behaviour whose type is forgotten.
pub trait Cell: Send {
    fn start(&mut self, type_index: u32, message: &[u8], info: &CallInfo, spare: Vec<u8>) -> Ended;
    fn resume(&mut self, end: OpEnd<'_>, info: &CallInfo, spare: Vec<u8>) -> Ended;
    fn size(&mut self) -> u64;
    fn save(&mut self, state_version: u32, spare: Vec<u8>) -> Result<Vec<u8>, Failure>;
    /// What the author's health function says of the state.
    fn health(&mut self) -> Result<(), Failure>;
    /// Whether it has a loop, which begins when operation 0 is resumed.
    fn is_loop(&self) -> bool;
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
    task: Task<B>,
    shared: Arc<Mutex<Shared>>,
    woken: Arc<Woken>,
}

/// What is suspended.
enum Task<B> {
    Handler(Running<B>),
    Loop(Looping),
}

/// How it ended.
enum Finished<B> {
    /// A handler gives the state back.
    Handler(B),
    /// A loop keeps it.
    Loop,
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

    fn suspend(
        &mut self,
        begin: impl FnOnce(B, Arc<Mutex<Shared>>) -> Task<B>,
        info: &CallInfo,
    ) -> Result<(), Failure> {
        match std::mem::replace(&mut self.phase, Phase::Lost) {
            Phase::Ready(state) => {
                let shared = Arc::new(Mutex::new(Shared::new(info)));
                let task = begin(state, shared.clone());
                let woken = Arc::new(Woken::default());
                self.phase = Phase::Suspended(Suspended { task, shared, woken });
                Ok(())
            }
            other => {
                self.phase = other;
                Err(busy())
            }
        }
    }

    /// Hands a message to the loop.
    fn post(&mut self, letter: Posted, info: &CallInfo, spare: Vec<u8>) -> Ended {
        let Phase::Suspended(suspended) = &self.phase else {
            return Err(if self.is_lost() { lost() } else { busy() });
        };
        let mut shared = lock(&suspended.shared);
        if !shared.desk.is_receiving() {
            return Err(busy());
        }
        let waker = shared.desk.post(letter);
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
        self.poll(info, spare)
    }

    const fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost)
    }

    /// Has the point at which a loop rests answer. The loop is polled for that, but nothing has ended that it awaits.
    fn peek(&mut self, asked: Asked) -> Result<Given, Failure> {
        let Phase::Suspended(suspended) = &mut self.phase else { return Err(lost()) };
        if !lock(&suspended.shared).desk.ask(asked) {
            return Err(busy());
        }
        let polled = suspended.poll_once();
        let given = lock(&suspended.shared).desk.given();
        if polled.is_ready() {
            self.phase = Phase::Lost;
            return Err(lost());
        }
        given.ok_or_else(busy)
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
            Poll::Ready(Finished::Handler(state)) => {
                self.phase = Phase::Ready(state);
                Ok((Status::OK, shared.effects.take()?))
            }
            Poll::Ready(Finished::Loop) => {
                shared.effects.exit("normal");
                Ok((Status::OK, shared.effects.take()?))
            }
            Poll::Pending => {
                if suspended.woken.0.load(Ordering::Acquire) {
                    shared.effects.sleep(YIELD_OP, 0);
                } else if !shared.awaits() {
                    return Err(Failure::new(
                        Status::STUCK,
                        "the code awaits something that is not of Midflight: only what its context \
                         offers is ever resumed",
                    ));
                }
                let Shared { desk, effects, .. } = &mut *shared;
                desk.tell(effects);
                let effects = effects.take()?;
                drop(shared);
                self.phase = Phase::Suspended(suspended);
                Ok((Status::PENDING, effects))
            }
        }
    }
}

impl<B: Behaviour> Suspended<B> {
    fn poll(&mut self) -> Poll<Finished<B>> {
        for _ in 0..SELF_WAKES_MAX {
            self.woken.0.store(false, Ordering::Release);
            if let Poll::Ready(finished) = self.poll_once() {
                return Poll::Ready(finished);
            }
            if !self.woken.0.load(Ordering::Acquire) {
                break;
            }
        }
        Poll::Pending
    }

    fn poll_once(&mut self) -> Poll<Finished<B>> {
        let waker = Waker::from(self.woken.clone());
        let mut task = TaskContext::from_waker(&waker);
        match &mut self.task {
            Task::Handler(handler) => handler.as_mut().poll(&mut task).map(Finished::Handler),
            Task::Loop(looping) => looping.as_mut().poll(&mut task).map(|()| Finished::Loop),
        }
    }
}

impl<B: Behaviour> Cell for Slot<B> {
    fn start(&mut self, type_index: u32, message: &[u8], info: &CallInfo, spare: Vec<u8>) -> Ended {
        let accept = B::ACCEPTS.get(type_index as usize).ok_or_else(|| {
            let text = format!("{} handles no message of index {type_index}", B::NAME);
            Failure::new(Status::UNKNOWN, text)
        })?;
        match accept.handler {
            Handler::Plain(handle) => {
                self.state()?;
                let Phase::Ready(state) = &mut self.phase else { return Err(busy()) };
                let mut cx = Context::new(*info, spare);
                self.running = true;
                let handled = handle(state, &mut cx, message);
                self.running = false;
                handled?;
                Ok((Status::OK, cx.finish()?))
            }
            Handler::Async(prepare) => {
                self.state()?;
                let begin = prepare(message)?;
                let handler =
                    |state, shared| Task::Handler(begin(state, AsyncContext::new(shared)));
                self.suspend(handler, info)?;
                self.poll(info, spare)
            }
            Handler::Received(read) => {
                let (from, call) = (info.caller().map(Pid::from), info.reply_id());
                let (message, has_reply) = (read(message)?, accept.reply.is_some());
                let letter = Posted { index: type_index, message, from, call, has_reply };
                self.post(letter, info, spare)
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
            Phase::Ready(_)
                if end.op == YIELD_OP
                    && let Some(run) = B::RUN =>
            {
                self.suspend(|state, shared| Task::Loop(run(state, Loop::new(shared))), info)?;
                self.poll(info, spare)
            }
            // An operation that the handler gave up before it ended.
            Phase::Ready(_) if !self.running => Ok((Status::OK, spare_emptied(spare))),
            Phase::Ready(_) | Phase::Lost => Err(lost()),
        }
    }

    fn size(&mut self) -> u64 {
        if let Phase::Suspended(_) = self.phase {
            return match self.peek(Asked::Size) {
                Ok(Given::Size(size)) => size,
                _ => 0,
            };
        }
        self.state().map_or(0, crate::codec::size)
    }

    fn save(&mut self, state_version: u32, spare: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if let Phase::Suspended(_) = self.phase {
            return match self.peek(Asked::State(state_version, spare))? {
                Given::State(state) => state,
                Given::Size(_) | Given::Health(_) => Err(busy()),
            };
        }
        write(self.state()?, state_version, spare)
    }

    fn health(&mut self) -> Result<(), Failure> {
        if let Phase::Suspended(_) = self.phase {
            return match self.peek(Asked::Health)? {
                Given::Health(health) => health,
                Given::Size(_) | Given::State(_) => Err(busy()),
            };
        }
        health(self.state()?)
    }

    fn is_loop(&self) -> bool {
        B::RUN.is_some()
    }
}

/// What the author's health function says of a state.
pub(crate) fn health<B: Behaviour>(state: &B) -> Result<(), Failure> {
    let none = || Failure::new(Status::UNKNOWN, format!("{} has no health function", B::NAME));
    B::HEALTH.ok_or_else(none)?(state)
}

/// Writes a state as that version of it.
pub(crate) fn write<B: Behaviour>(
    state: &B,
    state_version: u32,
    spare: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    if state_version == B::VERSION {
        return crate::codec::write_state(state, spare);
    }
    let conversion = B::CONVERSIONS.iter().find(|c| c.version == state_version);
    let convert = conversion.and_then(|c| c.to).ok_or_else(|| {
        let (name, own) = (B::NAME, B::VERSION);
        let text = format!("{name} does not convert its state {own} to version {state_version}");
        Failure::new(Status::UNKNOWN, text)
    })?;
    convert(state)
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
