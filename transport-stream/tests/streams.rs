//! What links make of streams that misbehave.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use midflight_runtime::{TokioRuntime, timeout};
use midflight_transport_api::conformance::Party;
use midflight_transport_api::{
    Address, Bind, Capabilities, ConnectError, ConnectErrorKind, LossKind, OpenError,
};
use midflight_transport_stream::{Arrival, Carrier, LinkConfig, Listener, Stream, StreamTransport};
use tokio::io::{AsyncWrite, DuplexStream, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// At most so many streams are there at once.
const STREAMS: usize = 8;

/// Pipes within this process, of which the sending side cannot be closed, as when a session has no
/// room for its last word.
#[derive(Debug)]
struct Pipes {
    /// Each half of a stream holds one.
    streams: Arc<Semaphore>,
    listeners: Mutex<Vec<(Address, mpsc::Sender<Stream>)>>,
}

#[async_trait]
impl Carrier for Pipes {
    fn scheme(&self) -> &'static str {
        "pipe"
    }

    fn describe(&self, _capabilities: &mut Capabilities) {}

    fn is_well_formed(&self, _rest: &str) -> bool {
        true
    }

    async fn listen(&self, at: &Address) -> Result<(Box<dyn Listener>, Address), OpenError> {
        let (dialled, listens) = mpsc::channel(STREAMS);
        self.listeners.lock().unwrap().push((at.clone(), dialled));
        Ok((Box::new(Listening(listens)), at.clone()))
    }

    async fn dial(&self, _from: &Address, peer: &Address) -> Result<Stream, ConnectError> {
        let listeners = self.listeners.lock().unwrap();
        let found = listeners.iter().find(|(address, _)| address == peer);
        let (_, dialled) = found.ok_or(ConnectErrorKind::NotFound)?;
        let (near, far) = tokio::io::duplex(64 << 10);
        let full = |_| ConnectError::from(ConnectErrorKind::Unreachable);
        dialled.try_send(self.stream(far)).map_err(full)?;
        Ok(self.stream(near))
    }
}

impl Pipes {
    fn stream(&self, pipe: DuplexStream) -> Stream {
        let (read, write) = tokio::io::split(pipe);
        let place = self.streams.clone().try_acquire_owned().expect("streams are let go");
        Stream::new(read, Unclosable { write, _place: place })
    }
}

struct Listening(mpsc::Receiver<Stream>);

#[async_trait]
impl Listener for Listening {
    async fn accept(&mut self) -> io::Result<Arrival> {
        let stream = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Arrival { from: "pipe".into(), stream: Box::pin(async { Ok(stream) }) })
    }
}

struct Unclosable {
    write: WriteHalf<DuplexStream>,
    _place: OwnedSemaphorePermit,
}

impl AsyncWrite for Unclosable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// A stream whose end takes for ever is let go, however its link ends.
#[test]
fn a_stream_that_cannot_be_closed_is_let_go() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let streams = Arc::new(Semaphore::new(STREAMS));
    let pipes = Pipes { streams: streams.clone(), listeners: Mutex::default() };
    let mut config = LinkConfig::default();
    config.drain_deadline = Duration::from_millis(50);
    let transport = StreamTransport::new(pipes, config, runtime.clone());
    let case = async {
        let listen = |name: &str| Bind::Listen { listen: name.parse().unwrap(), advertise: None };
        let a = Party::with(&transport, listen("pipe:a"), false).await;
        let b = Party::with(&transport, listen("pipe:b"), false).await;
        for polite in [true, false] {
            let link = a.connect(&b).await;
            let kind = if polite {
                link.close();
                LossKind::Closed
            } else {
                link.abort("enough");
                LossKind::Cut
            };
            assert_eq!(a.lost().await.1.kind, kind);
            b.lost().await;
            let all = u32::try_from(STREAMS).unwrap();
            drop(streams.acquire_many(all).await.unwrap());
        }
    };
    tokio.block_on(timeout(&*runtime, Duration::from_secs(10), case)).expect("no hang");
}
