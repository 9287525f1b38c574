//! The two halves of a session on its socket. They have no lock in common.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::open::{Opener, Step};
use super::seal::Sealer;

/// Records that are written with one call, at the most.
const RECORDS_MAX: usize = 16;

/// What comes.
pub(super) struct ReadHalf {
    socket: OwnedReadHalf,
    opener: Opener,
}

impl ReadHalf {
    pub(super) const fn new(socket: OwnedReadHalf, opener: Opener) -> Self {
        Self { socket, opener }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        while into.remaining() > 0 {
            let some = into.filled().len() > before;
            match this.opener.step() {
                Ok(Step::Take) => {
                    let bytes = this.opener.bytes();
                    let count = bytes.len().min(into.remaining());
                    into.put_slice(&bytes[..count]);
                    this.opener.took(count);
                }
                Ok(Step::Closed) => break,
                // It is said again behind what has been taken.
                Err(_) if some => break,
                Err(error) => return Poll::Ready(Err(wrong(error))),
                Ok(Step::Read) if some => break,
                Ok(Step::Read) => {
                    let mut room = ReadBuf::new(this.opener.room());
                    ready!(Pin::new(&mut this.socket).poll_read(cx, &mut room))?;
                    let count = room.filled().len();
                    if count == 0 {
                        // Somebody on the way can do that too.
                        let what = "the stream ended without a close_notify";
                        let error = io::Error::new(io::ErrorKind::UnexpectedEof, what);
                        return Poll::Ready(Err(error));
                    }
                    this.opener.came(count);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What goes.
pub(super) struct WriteHalf {
    socket: OwnedWriteHalf,
    sealer: Sealer,
    /// Sealed and not written.
    records: VecDeque<Vec<u8>>,
    /// How much of the first one is.
    written: usize,
    /// Whether the end has been sealed.
    ended: bool,
}

impl WriteHalf {
    pub(super) const fn new(socket: OwnedWriteHalf, sealer: Sealer) -> Self {
        Self { socket, sealer, records: VecDeque::new(), written: 0, ended: false }
    }

    /// Writes what is sealed.
    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.records.is_empty() {
            let mut slices = [IoSlice::new(&[]); RECORDS_MAX];
            let mut from = self.written;
            for (slice, record) in slices.iter_mut().zip(&self.records) {
                *slice = IoSlice::new(&record[from..]);
                from = 0;
            }
            let count = self.records.len().min(RECORDS_MAX);
            let socket = Pin::new(&mut self.socket);
            let wrote = ready!(socket.poll_write_vectored(cx, &slices[..count]))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += wrote;
            while let Some(first) = self.records.front()
                && self.written >= first.len()
            {
                self.written -= first.len();
                self.records.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // What waits for the socket is never more than one call has sealed.
        ready!(this.poll_records(cx))?;
        let count = this.sealer.data(slices, &mut this.records).map_err(wrong)?;
        match this.poll_records(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_records(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ended {
            this.ended = true;
            this.sealer.close(&mut this.records).map_err(wrong)?;
        }
        ready!(this.poll_records(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl Drop for WriteHalf {
    /// A peer that did something wrong is told what, if there is room for it.
    fn drop(&mut self) {
        if self.ended || !self.records.is_empty() {
            return;
        }
        if self.sealer.complaint(&mut self.records).is_ok()
            && let Some(record) = self.records.front()
        {
            // What it comes to is the peer's affair.
            let _ = self.socket.try_write(record);
        }
    }
}

/// What is wrong with a session.
pub(super) fn wrong(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
