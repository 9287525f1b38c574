//! What is gone leaves nothing: no task, no socket, no byte. These cases measure the whole process and
//! so need one of their own, see [`conformance_leaks`](crate::conformance_leaks).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Fixture, Outcome, Usage, send};
use crate::{EndPoint, Link, LinkAcceptor, LinkEvent, LinkSink};

const CONNECTIONS: u32 = 10_000;
const LINKS: u32 = 1000;
/// What may have changed beside the transport: less than seven bytes of each connection, or the
/// smallest of what a link is made of.
const BYTES_MAX: usize = 64 << 10;
/// How long tasks may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before measuring again.
const PAUSE: Duration = Duration::from_millis(20);

/// Ten thousand connections on one link.
pub async fn connections_leave_nothing(f: Fixture) -> Outcome {
    f.usage()?;
    let (server, client) = (Counter::open(&f, "server").await, Counter::open(&f, "client").await);
    // Buffers and tables have their size after the first.
    connections(&server, &client, CONNECTIONS / 10).await;
    let before = at_rest(&f).await?;
    connections(&server, &client, CONNECTIONS).await;
    settles(&f, before).await
}

/// A thousand links, one after the other, with every way to end, from an endpoint that stays and from
/// ones that do not.
pub async fn links_leave_nothing(f: Fixture) -> Outcome {
    f.usage()?;
    let (server, client) = (Counter::open(&f, "server").await, Counter::open(&f, "client").await);
    links(&f, &server, &client, 0..LINKS / 10).await;
    let before = at_rest(&f).await?;
    links(&f, &server, &client, LINKS / 10..LINKS / 10 + LINKS).await;
    settles(&f, before).await
}

async fn connections(server: &Counter, client: &Counter, count: u32) {
    let before = server.lock().closed;
    for n in 1..=count {
        let link = client.connect(server).await;
        let connection = link.open().expect("it opens");
        send(&*link, connection, b"x").await.expect("it is sent");
        link.close_connection(connection).expect("it closes");
        if n % 100 == 0 {
            server.until(|counts| counts.closed == before + n).await;
        }
    }
}

async fn links(f: &Fixture, server: &Counter, client: &Counter, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let guest = match n % 5 {
            0 | 1 => Some(Counter::open(f, &format!("guest{n}")).await),
            _ => None,
        };
        let from = guest.as_ref().unwrap_or(client);
        let lost = from.lock().lost;
        let link = from.connect(server).await;
        let connection = link.open().expect("it opens");
        send(&*link, connection, b"x").await.expect("it is sent");
        server.until(|counts| counts.received == n + 1).await;
        match n % 5 {
            0 => from.end.close().await,
            1 => {}
            2 => link.close(),
            3 => drop(from.end.break_link(server.end.address())),
            _ => link.abort("enough"),
        }
        if n % 5 == 1 {
            drop(guest);
        } else {
            from.until(|counts| counts.lost == lost + 1).await;
        }
        server.until(|counts| counts.lost == n + 1).await;
    }
}

/// What the process holds once what has ended is gone.
async fn at_rest(f: &Fixture) -> Result<Usage, String> {
    let until = f.now() + PATIENCE;
    let mut now = f.usage()?;
    loop {
        f.sleep(PAUSE).await;
        let before = std::mem::replace(&mut now, f.usage()?);
        if before == now || f.now() >= until {
            return Ok(now);
        }
    }
}

/// Waits until the process is back where it was.
async fn settles(f: &Fixture, before: Usage) -> Outcome {
    let until = f.now() + PATIENCE;
    loop {
        let now = f.usage()?;
        let same = now.tasks <= before.tasks
            && now.sockets <= before.sockets
            && now.bytes <= before.bytes + BYTES_MAX;
        if same {
            return Ok(());
        }
        assert!(f.now() < until, "it was {before:?}, and is {now:?}");
        f.sleep(PAUSE).await;
    }
}

/// An endpoint that counts what it is told, and keeps nothing.
struct Counter {
    end: Arc<dyn EndPoint>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    received: u32,
    closed: u32,
    lost: u32,
    waker: Option<Waker>,
}

impl Counter {
    async fn open(f: &Fixture, name: &str) -> Self {
        let counts: Arc<Mutex<Counts>> = Arc::default();
        let acceptor = Arc::new(Acceptor(counts.clone()));
        let end = f.transport.open((f.bind)(name), acceptor).await.expect("it opens");
        Self { end, counts }
    }

    async fn connect(&self, other: &Self) -> Arc<dyn Link> {
        self.end.connect(other.end.address()).await.expect("it connects")
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }

    /// There is one who waits.
    async fn until(&self, reached: impl Fn(&Counts) -> bool) {
        std::future::poll_fn(|cx| {
            let mut counts = self.lock();
            if reached(&counts) {
                return Poll::Ready(());
            }
            counts.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Acceptor(Arc<Mutex<Counts>>);

impl LinkAcceptor for Acceptor {
    fn link_up(&self, _: Arc<dyn Link>) -> Box<dyn LinkSink> {
        Box::new(Sink(self.0.clone()))
    }
}

struct Sink(Arc<Mutex<Counts>>);

impl LinkSink for Sink {
    fn event(&mut self, event: LinkEvent<'_>) {
        let mut counts = lock(&self.0);
        match event {
            LinkEvent::Received { .. } => counts.received += 1,
            LinkEvent::Closed(_) => counts.closed += 1,
            LinkEvent::Lost(_) => counts.lost += 1,
            LinkEvent::Opened(_) => {}
        }
        let waker = counts.waker.take();
        drop(counts);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
