//! One direction of a stream: bytes under way, with the time at which each comes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes};
use midflight_runtime::{BoxFuture, Handle, Instant};
use midflight_transport_api::Address;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Hub;
use crate::shuffle::Shuffle;

/// How many bytes are under way at the most.
const HELD_MAX: usize = 256 * 1024;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Pipe {
    hub: Hub,
    runtime: Handle,
    from: Address,
    to: Address,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was written together comes together.
    under_way: VecDeque<(Instant, Bytes)>,
    held: usize,
    /// When the last of it comes.
    last: Instant,
    shuffle: Shuffle,
    /// When it becomes known that nothing more comes.
    ended: Option<Instant>,
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The end at which bytes come out. Dropped, the pipe is abandoned: the writer hears of it.
pub(crate) struct Reading {
    pipe: Arc<Pipe>,
    alarm: Option<(Instant, BoxFuture<()>)>,
}

/// The end into which bytes go. Dropped, the pipe has ended behind what was written.
pub(crate) struct Writing(Arc<Pipe>);

impl Pipe {
    pub(crate) fn new(hub: Hub, runtime: Handle, from: Address, to: Address) -> Arc<Self> {
        Arc::new(Self { hub, runtime, from, to, state: Mutex::default() })
    }

    /// The one end at which it is read.
    pub(crate) fn reading(self: &Arc<Self>) -> Reading {
        Reading { pipe: self.clone(), alarm: None }
    }

    /// The one end at which it is written to.
    pub(crate) fn writing(self: &Arc<Self>) -> Writing {
        Writing(self.clone())
    }

    /// Sends `bytes` on their way, and says when they come.
    fn send(&self, state: &mut State, bytes: Bytes) {
        let taken = bytes.len();
        let (delay, taking) = self.hub.faults(|f| (f.delay(), f.taking(&self.to, taken)));
        state.last = state.last.max(self.runtime.now() + delay) + taking;
        state.under_way.push_back((state.last, bytes));
    }

    fn end(&self) {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return;
        }
        let rest = state.shuffle.rest();
        if !rest.is_empty() {
            self.send(&mut state, rest);
        }
        let delay = self.hub.faults(|faults| faults.delay());
        state.ended = Some(state.last.max(self.runtime.now() + delay));
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for Reading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pipe = self.pipe.clone();
        loop {
            let mut state = pipe.state.lock();
            let due = match (state.under_way.front(), state.ended) {
                (Some((due, _)), _) => *due,
                (None, Some(due)) => due,
                (None, None) => {
                    state.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            };
            if due > pipe.runtime.now() {
                drop(state);
                ready!(self.poll_alarm(cx, due));
                continue;
            }
            ready!(pipe.hub.poll_path(&pipe.from, &pipe.to, cx));
            let Some((_, bytes)) = state.under_way.front_mut() else { return Poll::Ready(Ok(())) };
            let came = bytes.split_to(bytes.len().min(into.remaining()));
            if !bytes.has_remaining() {
                state.under_way.pop_front();
            }
            state.held -= came.len();
            let writer = state.writer.take();
            drop(state);
            pipe.hub.note(pipe.runtime.now(), &pipe.from, &pipe.to, &came);
            into.put_slice(&came);
            writer.into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(()));
        }
    }
}

impl Reading {
    /// Ready at `due`.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let runtime = &self.pipe.runtime;
        let (_, alarm) = match &mut self.alarm {
            Some(alarm) if alarm.0 == due => alarm,
            other => other.insert((due, runtime.sleep_until(due))),
        };
        ready!(alarm.as_mut().poll(cx));
        self.alarm = None;
        Poll::Ready(())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        state.abandoned = true;
        state.under_way.clear();
        state.held = 0;
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl AsyncWrite for Writing {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let pipe = &*self.0;
        let mut state = pipe.state.lock();
        if state.abandoned {
            // The news of it come the other way.
            ready!(pipe.hub.poll_path(&pipe.to, &pipe.from, cx));
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.ended.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = HELD_MAX - state.held.min(HELD_MAX);
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut taken = Vec::new();
        for part in parts {
            let room = room - taken.len();
            taken.extend_from_slice(&part[..part.len().min(room)]);
        }
        let count = taken.len();
        state.held += count;
        let taken = if pipe.hub.faults(|faults| faults.reorder) {
            pipe.hub.faults(|faults| state.shuffle.shuffle(&taken, faults))
        } else {
            // A beginning may be left from when they were shuffled.
            let mut all = Vec::from(state.shuffle.rest());
            all.append(&mut taken);
            all.into()
        };
        if !taken.is_empty() {
            pipe.send(&mut state, taken);
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.end();
    }
}
