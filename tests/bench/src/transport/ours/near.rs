//! The near side: tasks that append to the link, and a sink that hands answers to them.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use midflight_runtime::{Handle, spawn};
use midflight_transport_api::{
    ConnectionId, Link, LinkAcceptor, LinkEvent, LinkSink, LossKind, Outgoing, Room, SMALL_MAX,
    SendError, SendErrorKind,
};
use tokio::sync::{mpsc, oneshot};

use super::text;
use crate::args::Size;
use crate::transport::receipt::{Receipt, cpu};
use crate::transport::workload::{BESIDE, HUGE, Measured, PING, beside_time, round_trips, warm_up};
use crate::transport::written::Written;
use crate::transport::{ECHO, ENDLESS, Shape};

/// Messages that are appended under one lock. A node writes once for each turn of a process, with all
/// that the turn has sent; this is a turn of a busy sender.
const PER_WRITE: usize = 64;
/// Answers that wait to be taken: there is never more than one of each kind.
const ANSWERS: usize = 16;

/// What the sink hands on.
pub(super) struct Heard {
    echoes: mpsc::Receiver<Bytes>,
    receipts: mpsc::Receiver<Receipt>,
}

/// Shows the link's only sink to the ends of [`Heard`].
pub(super) struct Acceptor {
    echoes: mpsc::Sender<Bytes>,
    receipts: mpsc::Sender<Receipt>,
}

pub(super) fn acceptor() -> (Acceptor, Heard) {
    let (echoes, echoed) = mpsc::channel(ANSWERS);
    let (receipts, received) = mpsc::channel(ANSWERS);
    (Acceptor { echoes, receipts }, Heard { echoes: echoed, receipts: received })
}

impl LinkAcceptor for Acceptor {
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink> {
        let (echoes, receipts) = (self.echoes.clone(), self.receipts.clone());
        Box::new(Sink { link, echoes, receipts })
    }
}

struct Sink {
    link: Arc<dyn Link>,
    echoes: mpsc::Sender<Bytes>,
    receipts: mpsc::Sender<Receipt>,
}

impl LinkSink for Sink {
    fn event(&mut self, event: LinkEvent<'_>) {
        let taken = match event {
            LinkEvent::Received { payload, .. } if payload.as_slice().len() == Receipt::LEN => {
                let receipt = Receipt::decode(payload.as_slice());
                receipt.is_some_and(|receipt| self.receipts.try_send(receipt).is_ok())
            }
            LinkEvent::Received { payload, .. } => {
                self.echoes.try_send(payload.into_bytes()).is_ok()
            }
            // Our own end of it is a cut.
            LinkEvent::Lost(loss) if loss.kind != LossKind::Cut => {
                eprintln!("midflight-bench: link lost: {loss}");
                true
            }
            _ => true,
        };
        if !taken {
            self.link.abort("an answer that nobody waits for");
        }
    }
}

/// Runs a workload once, as tasks of `runtime`.
pub(super) async fn measure(
    runtime: Handle,
    link: Arc<dyn Link>,
    heard: Heard,
    shape: Shape,
    size: Size,
) -> Result<Measured, String> {
    let (done, measured) = oneshot::channel();
    let near = Near { runtime: runtime.clone(), link, heard };
    spawn(&runtime, "measured", async move {
        // Nobody waits for it only when the program ends.
        let _ = done.send(near.run(shape, size).await);
    });
    measured.await.map_err(text)?
}

struct Near {
    runtime: Handle,
    link: Arc<dyn Link>,
    heard: Heard,
}

impl Near {
    async fn run(mut self, shape: Shape, size: Size) -> Result<Measured, String> {
        if let Some((count, len)) = shape.stream(size) {
            return self.stream(count, len).await;
        }
        let pings = Sending::open(&self.link, ECHO).await?;
        self.round_trips(&pings, |done| done < warm_up(size)).await?;
        match shape {
            Shape::BesideStream => self.beside_stream(&pings, size).await,
            Shape::BesideHuge => self.beside_huge(&pings).await,
            _ => {
                let nanos = self.round_trips(&pings, |done| done < round_trips(size)).await?;
                Ok(Measured::RoundTrips(nanos))
            }
        }
    }

    async fn stream(mut self, count: usize, len: usize) -> Result<Measured, String> {
        let message = Bytes::from(vec![7; len]);
        let (cpu_before, began) = (cpu(), self.runtime.now());
        let sending = Sending::open(&self.link, count as u64).await?;
        sending.send(count, &message).await?;
        let receipt = self.heard.receipts.recv().await.ok_or("no receipt")?;
        let seconds = self.runtime.now().since(began).as_secs_f64();
        if receipt.bytes != (count * len) as u64 {
            return Err("the far side has counted otherwise".into());
        }
        let cpu = cpu().saturating_sub(cpu_before) + receipt.cpu;
        Ok(Measured::Stream { count, len, seconds, cpu })
    }

    async fn beside_stream(mut self, pings: &Sending, size: Size) -> Result<Measured, String> {
        let stream = Sending::open(&self.link, ENDLESS).await?;
        let written = Written::new(BESIDE);
        let messages = written.clone();
        let sending = spawn(&self.runtime, "stream", async move {
            while stream.send(1, &messages.message()).await.is_ok() {}
        });
        let (began, time) = (self.runtime.now(), beside_time(size));
        let runtime = self.runtime.clone();
        let goes_on = |_| runtime.now().since(began) < time;
        let nanos = self.round_trips(pings, goes_on).await?;
        let beside = written.rate(runtime.now().since(began).as_secs_f64());
        sending.abort();
        Ok(Measured::BesideStream(nanos, beside))
    }

    async fn beside_huge(mut self, pings: &Sending) -> Result<Measured, String> {
        let message = Bytes::from(vec![7; HUGE]);
        let sending = Sending::open(&self.link, 1).await?;
        sending.send(1, &message).await?;
        let mut nanos = Vec::new();
        let receipt = loop {
            match self.heard.receipts.try_recv() {
                Ok(receipt) => break receipt,
                Err(mpsc::error::TryRecvError::Disconnected) => return Err("no receipt".into()),
                Err(mpsc::error::TryRecvError::Empty) => {
                    nanos.append(&mut self.round_trips(pings, |done| done < 1).await?);
                }
            }
        };
        if receipt.bytes == HUGE as u64 {
            Ok(Measured::BesideHuge(nanos))
        } else {
            Err("the far side has counted otherwise".into())
        }
    }

    /// Has messages sent back, one after another, as long as `goes_on` says so of those there have
    /// been: how many nanoseconds each took.
    async fn round_trips(
        &mut self,
        pings: &Sending,
        goes_on: impl Fn(usize) -> bool,
    ) -> Result<Vec<u64>, String> {
        let (mut nanos, mut message) = (Vec::new(), [0; PING]);
        while goes_on(nanos.len()) {
            let began = self.runtime.now();
            message[..8].copy_from_slice(&(nanos.len() as u64).to_le_bytes());
            pings.send_one(&message).await?;
            let echo = self.heard.echoes.recv().await.ok_or("no reply")?;
            if echo != message[..] {
                return Err("a reply is not the one to the last ping".into());
            }
            nanos.push(self.runtime.now().as_nanos() - began.as_nanos());
        }
        Ok(nanos)
    }
}

/// A connection to send on.
struct Sending {
    link: Arc<dyn Link>,
    connection: ConnectionId,
}

impl Sending {
    /// Opens it, and says what it is for.
    async fn open(link: &Arc<dyn Link>, purpose: u64) -> Result<Self, String> {
        let sending = Self { link: link.clone(), connection: link.open().map_err(text)? };
        sending.send_one(&purpose.to_le_bytes()).await?;
        Ok(sending)
    }

    async fn send_one(&self, message: &[u8]) -> Result<(), String> {
        self.append(Room::Small, 1, |outgoing| outgoing.message(self.connection, message)).await
    }

    /// Sends so many. Long ones are kept by reference until they are written, as a node's are.
    async fn send(&self, count: usize, message: &Bytes) -> Result<(), String> {
        let connection = self.connection;
        if message.len() <= SMALL_MAX {
            self.append(Room::Small, count, |outgoing| outgoing.message(connection, message)).await
        } else {
            let one =
                |outgoing: &mut Outgoing| outgoing.message_bytes(connection, &[], message.clone());
            self.append(Room::Large, count, one).await
        }
    }

    /// Calls `one` so often, a batch of calls under one lock, and waits whenever the link is full.
    async fn append(
        &self,
        room: Room,
        mut left: usize,
        mut one: impl FnMut(&mut Outgoing) -> Result<(), SendError>,
    ) -> Result<(), String> {
        while left > 0 {
            let mut appended = Ok(());
            let wrote = self.link.write(room, &mut |outgoing| {
                for _ in 0..left.min(PER_WRITE) {
                    if appended.is_err() || !outgoing.has_room(room) {
                        break;
                    }
                    appended = one(outgoing);
                    left -= 1;
                }
            });
            appended.map_err(text)?;
            match wrote {
                Err(error) if *error.kind() == SendErrorKind::Full => {
                    poll_fn(|cx| self.link.poll_ready(room, cx)).await.map_err(text)?;
                }
                wrote => wrote.map_err(text)?,
            }
        }
        Ok(())
    }
}
