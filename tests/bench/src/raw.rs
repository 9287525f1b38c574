//! Plain tokio: what a program reaches that uses tasks, channels and a socket with care, and has
//! none of what processes are for. The limit that Midflight is measured against.
//!
//! Channels are bounded at 1,024 and received from in batches; sockets have `TCP_NODELAY`, and are
//! written and read 64 KiB at a time.
#![expect(clippy::disallowed_methods, reason = "plain tokio and its clock are the point here")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::args::{Own, Size, Workload};
use crate::far_side::{self, FarSide};
use crate::memory;
use crate::payload::SMALL;
use crate::remote::{round_trip_figures, throughput};
use crate::report::{Figure, Report};
use crate::transport::receipt::{Counter, Receipt};
use crate::transport::{self, ECHO, Shape, Wire};

/// Messages in a channel.
const CHANNEL: usize = 1_024;
/// Bytes written and read at once.
const CHUNK: usize = 64 << 10;
/// Bytes of a frame's length.
const HEAD: usize = 4;
/// Bytes of a ping, as long as Midflight's: a pid and a number.
const PING_LEN: usize = 24;

/// What this file reached on a machine with two shared cores; the worse end of each range.
const REACHED: &[(&str, f64)] = &[
    ("local_pingpong", 4.9e6),
    ("local_fanin", 10e6),
    ("ring", 4.6e6),
    ("spawn_rate", 0.74e6),
    ("process_memory", 1_288.0),
    ("remote_pingpong_rtt_median", 88.0),
    ("remote_pingpong_rtt_p99", 181.0),
    ("remote_stream_64B", 4.5e6),
    ("remote_stream_64KiB", 1_930.0),
    ("remote_stream_1MiB", 2_330.0),
    ("transport_stream_64B", 4.5e6),
    ("transport_stream_64KiB", 1_930.0),
    ("transport_stream_1MiB", 2_330.0),
    ("transport_rtt_median", 88.0),
    ("transport_rtt_p99", 181.0),
    ("transport_tls_stream_64B", 4.5e6),
    ("transport_tls_stream_64KiB", 1_700.0),
    ("transport_tls_stream_1MiB", 2_200.0),
    ("transport_tls_rtt_median", 79.0),
    ("transport_tls_rtt_p99", 143.0),
];

/// The metrics of which this file is more than 30 % short: a ratio to them says little.
pub(crate) fn weak(report: &Report) -> Vec<String> {
    let falls_short = |(metric, reached): &(&str, f64)| {
        let figure = report.median(Own::Raw.name(), metric)?;
        let share = figure.value / reached;
        let share = if figure.unit.more_is_better() { share } else { share.recip() };
        (share < 0.7).then(|| format!("{metric} at {:.0} %", share * 100.0))
    };
    REACHED.iter().filter_map(falls_short).collect()
}

/// Runs a workload once.
pub(crate) async fn sample(workload: Workload, size: Size) -> Result<Vec<Figure>, String> {
    let rate = |count, seconds| Ok(vec![Figure::rate(&workload.name(), count, seconds)]);
    let stream = |len, count| remote_stream(count, Bytes::from(vec![7; len]));
    match workload {
        Workload::LocalPingpong => {
            let count = size.of(1_000_000);
            rate(count, pingpong(size.of(50_000), count).await?)
        }
        Workload::LocalCall => {
            let count = size.of(500_000);
            rate(count, calls(count).await?)
        }
        Workload::LocalFanin => {
            let each = size.of(1_000_000);
            rate(4 * each, fanin(4, each).await?)
        }
        Workload::Ring => {
            let laps = size.of(1_000);
            rate(1_000 * laps, ring(1_000, laps).await?)
        }
        Workload::SpawnRate => {
            let batches = size.of(1_000);
            rate(1_000 * batches, spawn_rate(batches).await?)
        }
        Workload::ProcessMemory => idle_tasks(memory::processes(size)).await,
        Workload::RemotePingpong => remote_pingpong(size).await,
        Workload::Stream64B => {
            let count = size.of(2_000_000);
            rate(count, stream(SMALL, count).await?)
        }
        Workload::Stream64KiB | Workload::Stream1MiB => {
            let len = if workload == Workload::Stream1MiB { 1 << 20 } else { 64 << 10 };
            let count = size.of(1 << 30) / len;
            Ok(vec![throughput(workload, count * len, stream(len, count).await?)])
        }
        Workload::TlsRemotePingpong => over_tls(workload, Shape::RoundTrips, size).await,
        Workload::TlsStream64B => over_tls(workload, Shape::Stream64B, size).await,
        Workload::TlsStream64KiB => over_tls(workload, Shape::Stream64KiB, size).await,
        Workload::TlsStream1MiB => over_tls(workload, Shape::Stream1MiB, size).await,
        other => Err(format!("plain tokio has nothing like {other:?}")),
    }
}

/// What sockets do over TLS, with or without nodes in mind.
async fn over_tls(workload: Workload, shape: Shape, size: Size) -> Result<Vec<Figure>, String> {
    let mut figures = transport::sample(Own::Raw, Wire::Tls, shape, size).await?;
    // The figures come in the same order; those of the transport alone have no rate, but their
    // processor time.
    let metrics = workload.metrics();
    figures.truncate(metrics.len().min(2));
    for (figure, metric) in figures.iter_mut().zip(metrics) {
        (*metric).clone_into(&mut figure.metric);
    }
    Ok(figures)
}

/// The other end has gone, which none does before it is done.
pub(crate) fn gone<E>(_: E) -> String {
    "a task ended early".into()
}

async fn pingpong(warm_up: usize, count: usize) -> Result<f64, String> {
    let (ping, mut pings) = mpsc::channel::<(mpsc::Sender<u64>, u64)>(CHANNEL);
    let (pong, mut pongs) = mpsc::channel::<u64>(CHANNEL);
    tokio::spawn(async move {
        while let Some((reply_to, number)) = pings.recv().await {
            if reply_to.send(number).await.is_err() {
                return;
            }
        }
    });
    let pinger = tokio::spawn(async move {
        let mut began = Instant::now();
        for number in 0..warm_up + count {
            if number == warm_up {
                began = Instant::now();
            }
            ping.send((pong.clone(), number as u64)).await.map_err(gone)?;
            pongs.recv().await.ok_or("no pong")?;
        }
        Ok(began.elapsed().as_secs_f64())
    });
    pinger.await.map_err(gone)?
}

async fn calls(count: usize) -> Result<f64, String> {
    let (call, mut received) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(CHANNEL);
    tokio::spawn(async move {
        let mut sum = 0;
        while let Some((amount, reply)) = received.recv().await {
            sum += amount;
            // Whoever has stopped waiting needs no answer.
            let _ = reply.send(sum);
        }
    });
    let caller = tokio::spawn(async move {
        let began = Instant::now();
        for _ in 0..count {
            let (reply, replied) = oneshot::channel();
            call.send((1, reply)).await.map_err(gone)?;
            replied.await.map_err(gone)?;
        }
        Ok(began.elapsed().as_secs_f64())
    });
    caller.await.map_err(gone)?
}

async fn fanin(senders: usize, each: usize) -> Result<f64, String> {
    let (send, mut received) = mpsc::channel::<[u8; SMALL]>(CHANNEL);
    let began = Instant::now();
    let receiver = tokio::spawn(async move {
        let (mut count, mut batch) = (0, Vec::with_capacity(CHANNEL));
        while count < senders * each {
            count += received.recv_many(&mut batch, CHANNEL).await;
            batch.clear();
        }
    });
    for _ in 0..senders {
        let send = send.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                if send.send([7; SMALL]).await.is_err() {
                    return;
                }
            }
        });
    }
    receiver.await.map_err(gone)?;
    Ok(began.elapsed().as_secs_f64())
}

async fn ring(members: usize, laps: usize) -> Result<f64, String> {
    let (home, mut returned) = mpsc::channel::<usize>(CHANNEL);
    let mut next = home;
    for _ in 1..members {
        let (send, mut received) = mpsc::channel::<usize>(CHANNEL);
        let to = std::mem::replace(&mut next, send);
        tokio::spawn(async move {
            while let Some(hops_left) = received.recv().await {
                if to.send(hops_left - 1).await.is_err() {
                    return;
                }
            }
        });
    }
    let starter = tokio::spawn(async move {
        let began = Instant::now();
        let mut hops_left = members * laps;
        while hops_left > 0 {
            next.send(hops_left - 1).await.map_err(gone)?;
            hops_left = returned.recv().await.ok_or("the ring is broken")?;
        }
        Ok(began.elapsed().as_secs_f64())
    });
    starter.await.map_err(gone)?
}

async fn spawn_rate(batches: usize) -> Result<f64, String> {
    let (done, mut ended) = mpsc::channel::<()>(CHANNEL);
    let parent = tokio::spawn(async move {
        let began = Instant::now();
        for _ in 0..batches {
            for _ in 0..1_000 {
                let (mailbox, received) = mpsc::channel::<()>(CHANNEL);
                let done = done.clone();
                tokio::spawn(async move {
                    let _mailbox = (mailbox, received);
                    // The parent waits for all of them.
                    let _ = done.send(()).await;
                });
            }
            for _ in 0..1_000 {
                ended.recv().await.ok_or("no child is left")?;
            }
        }
        Ok(began.elapsed().as_secs_f64())
    });
    parent.await.map_err(gone)?
}

async fn idle_tasks(count: usize) -> Result<Vec<Figure>, String> {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    let before = memory::resident()?;
    let mut mailboxes = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let (mailbox, mut received) = mpsc::channel::<u64>(CHANNEL);
        mailboxes.push(mailbox);
        tokio::spawn(async move {
            let mut held = number;
            BEGUN.fetch_add(1, Ordering::Relaxed);
            while let Some(more) = received.recv().await {
                held += more;
            }
            held
        });
    }
    while BEGUN.load(Ordering::Relaxed) < count {
        tokio::task::yield_now().await;
    }
    Ok(vec![memory::figure(before, memory::resident()?, count)])
}

/// The far side: each connection is what its first message says, as
/// [`transport`] has it.
pub(crate) async fn serve() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { answer(Ends::of(stream)?).await });
        }
    });
    far_side::serve_until_abandoned(&address.to_string())
}

pub(crate) fn text(error: io::Error) -> String {
    error.to_string()
}

pub(crate) async fn answer(Ends { send, mut received }: Ends) -> Result<(), String> {
    let purpose = received.recv().await.ok_or("nothing came")?.get_u64_le();
    let (mut counter, mut batch) = (Counter::new(purpose), Vec::with_capacity(CHANNEL));
    while received.recv_many(&mut batch, CHANNEL).await > 0 {
        for message in batch.drain(..) {
            if purpose == ECHO {
                send.send(message).await.map_err(gone)?;
            } else if let Some(receipt) = counter.add(message.len()) {
                send.send(Bytes::copy_from_slice(&receipt.encode())).await.map_err(gone)?;
            }
        }
    }
    Ok(())
}

/// Sends so many messages, until they have been counted: the seconds and the receipt.
pub(crate) async fn stream(
    mut ends: Ends,
    count: usize,
    message: Bytes,
) -> Result<(f64, Receipt), String> {
    let began = Instant::now();
    ends.say(count as u64).await?;
    for _ in 0..count {
        ends.send.send(message.clone()).await.map_err(gone)?;
    }
    let receipt = ends.received.recv().await.ok_or("no receipt")?;
    let seconds = began.elapsed().as_secs_f64();
    match Receipt::decode(&receipt) {
        Some(receipt) if receipt.bytes == (count * message.len()) as u64 => Ok((seconds, receipt)),
        _ => Err("the far side has counted otherwise".into()),
    }
}

/// Has messages of `len` bytes sent back, one after another, as long as `goes_on` says so of those
/// there have been: how many nanoseconds each took.
pub(crate) async fn round_trips(
    ends: &mut Ends,
    len: usize,
    goes_on: impl Fn(usize) -> bool,
) -> Result<Vec<u64>, String> {
    let (mut nanos, mut message) = (Vec::new(), vec![0; len]);
    while goes_on(nanos.len()) {
        let began = Instant::now();
        message[..8].copy_from_slice(&(nanos.len() as u64).to_le_bytes());
        ends.send.send(Bytes::copy_from_slice(&message)).await.map_err(gone)?;
        let reply = ends.received.recv().await.ok_or("no reply")?;
        if reply != message {
            return Err("a reply is not the one to the last ping".into());
        }
        nanos.push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(nanos)
}

/// The far side, and a connection to it.
async fn connect() -> Result<(FarSide, Ends), String> {
    let far_side = FarSide::start(Own::Raw, None)?;
    let ends = Ends::of(TcpStream::connect(&far_side.address).await.map_err(text)?)?;
    Ok((far_side, ends))
}

async fn remote_pingpong(size: Size) -> Result<Vec<Figure>, String> {
    let (_far_side, mut ends) = connect().await?;
    let pinger = tokio::spawn(async move {
        ends.say(ECHO).await?;
        round_trips(&mut ends, PING_LEN, |done| done < size.of(10_000)).await?;
        round_trips(&mut ends, PING_LEN, |done| done < size.of(100_000)).await
    });
    let nanos = pinger.await.map_err(gone)??;
    Ok(round_trip_figures(Workload::RemotePingpong, nanos))
}

/// Seconds of a stream to a far side of its own.
async fn remote_stream(count: usize, message: Bytes) -> Result<f64, String> {
    let (_far_side, ends) = connect().await?;
    let (seconds, _) = tokio::spawn(stream(ends, count, message)).await.map_err(gone)??;
    Ok(seconds)
}

/// The ends of a connection's channels; a task reads and one writes.
pub(crate) struct Ends {
    pub(crate) send: mpsc::Sender<Bytes>,
    received: mpsc::Receiver<Bytes>,
}

impl Ends {
    pub(crate) fn of(stream: TcpStream) -> Result<Self, String> {
        stream.set_nodelay(true).map_err(text)?;
        let (read, write) = stream.into_split();
        Ok(Self::of_halves(read, write))
    }

    pub(crate) fn of_halves(
        read: impl AsyncRead + Unpin + Send + 'static,
        write: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Self {
        let (send, to_write) = mpsc::channel(CHANNEL);
        let (has_read, received) = mpsc::channel(CHANNEL);
        tokio::spawn(reads(read, has_read));
        tokio::spawn(writes(write, to_write));
        Self { send, received }
    }

    /// Says what the connection is for.
    pub(crate) async fn say(&self, purpose: u64) -> Result<(), String> {
        self.send.send(Bytes::copy_from_slice(&purpose.to_le_bytes())).await.map_err(gone)
    }
}

async fn writes(mut write: impl AsyncWrite + Unpin, mut to_write: mpsc::Receiver<Bytes>) {
    let (mut batch, mut buffer) = (Vec::with_capacity(CHANNEL), BytesMut::with_capacity(CHUNK));
    while to_write.recv_many(&mut batch, CHANNEL).await > 0 {
        for message in batch.drain(..) {
            let head = u32::try_from(message.len()).unwrap_or(u32::MAX);
            buffer.extend_from_slice(&head.to_le_bytes());
            let large = message.len() > CHUNK / 4;
            if !large {
                buffer.extend_from_slice(&message);
            }
            if large || buffer.len() >= CHUNK {
                let mut both = (&mut buffer).chain(if large { message } else { Bytes::new() });
                if write.write_all_buf(&mut both).await.is_err() {
                    return;
                }
            }
        }
        // What is behind a TLS stream keeps something back until it is told to flush.
        if write.write_all_buf(&mut buffer).await.is_err() || write.flush().await.is_err() {
            return;
        }
    }
}

async fn reads(mut read: impl AsyncRead + Unpin, has_read: mpsc::Sender<Bytes>) {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        let mut missing = CHUNK;
        while let Some(head) = buffer.first_chunk::<HEAD>() {
            let len = u32::from_le_bytes(*head) as usize;
            if buffer.len() < HEAD + len {
                missing = (HEAD + len - buffer.len()).max(CHUNK);
                break;
            }
            buffer.advance(HEAD);
            if has_read.send(buffer.split_to(len).freeze()).await.is_err() {
                return;
            }
        }
        buffer.reserve(missing);
        match read.read_buf(&mut buffer).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
    }
}
