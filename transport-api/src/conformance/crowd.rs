//! Many at once: endpoints, tasks, streams.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Fixture, Outcome, Party, Seen, send};
use crate::{ConnectionId, Link, Room, SendError};

/// Many endpoints to one: each has its own link, and all that they send comes.
pub async fn many_end_points_to_one(f: Fixture) -> Outcome {
    const MANY: u8 = 20;
    const MESSAGES: u8 = 50;
    let server = Party::open(&f, "server").await;
    let mut clients = Vec::new();
    for n in 0..MANY {
        clients.push(Arc::new(Party::open(&f, &format!("client{n}")).await));
    }
    for (client, n) in clients.iter().zip(0..MANY) {
        let (client, to) = (client.clone(), server.address().clone());
        f.spawn(async move {
            let link = client.end().connect(&to).await.expect("it connects");
            let connection = link.open().expect("it opens");
            for message in 0..MESSAGES {
                send(&*link, connection, &[n, message]).await.expect("it is sent");
            }
        });
    }
    let mut next = BTreeMap::new();
    for _ in 0..u32::from(MANY) * u32::from(MESSAGES) {
        let (link, client, message) = server
            .pick(|link, seen| match seen {
                Seen::Received { payload, .. } => Some((link, payload[0], payload[1])),
                _ => None,
            })
            .await;
        let (of, wanted) = next.entry(client).or_insert((link, 0));
        assert_eq!((*of, *wanted), (link, message), "client {client}: its link, its order");
        *wanted += 1;
    }
    let links: BTreeSet<_> = next.values().map(|(link, _)| *link).collect();
    assert_eq!(links.len(), usize::from(MANY), "no link is shared");
    Ok(())
}

/// Many tasks connect, open, send and close, and half of them are dropped in the middle of it: the
/// messages of the others all come, the link lives, and nothing stays open that is closed at the end.
pub async fn kill(f: Fixture) -> Outcome {
    const TASKS: u32 = 200;
    let server = Party::open(&f, "server").await;
    let client = Arc::new(Party::open(&f, "client").await);
    let (opened, running) = (Opened::default(), Arc::new(Running::default()));
    running.lock().0 = TASKS;
    let mut survivors = BTreeSet::new();
    for n in 0..TASKS {
        let work = connect_and_send(client.clone(), server.address().clone(), n, opened.clone());
        // A number of polls after which the odd ones are dropped: at every place some are.
        let polls = if n % 2 == 0 { u32::MAX } else { n / 2 % 7 };
        if n % 2 == 0 {
            survivors.insert(n);
        }
        f.spawn(Doomed { work: Some(Box::pin(work)), polls, running: running.clone() });
    }
    let mut missing = BTreeMap::from_iter(survivors.iter().map(|n| (*n, 2)));
    while missing.values().any(|count| *count > 0) {
        let (_, payload) = server.received().await;
        let n = u32::from_le_bytes(payload[..].try_into().expect("the number of a task"));
        missing.entry(n).and_modify(|count| *count -= 1);
    }
    assert!(missing.values().all(|count| *count == 0), "each message came once: {missing:?}");

    running.ended().await;

    // Who was dropped has left connections open; they are closed for it.
    let link = client.connect(&server).await;
    let opened = std::mem::take(&mut *opened.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(opened.iter().all(|(of, _)| of.id() == link.id()), "the one link has lived");
    for (link, connection) in &opened {
        link.close_connection(*connection).expect("the link lives");
    }
    let mut left: BTreeSet<_> = opened.iter().map(|(_, connection)| *connection).collect();
    while !left.is_empty() {
        assert!(left.remove(&server.closed().await), "each is closed once");
    }
    let ups = server.seen().iter().filter(|(_, seen)| *seen == Seen::Up).count();
    assert_eq!(ups, 1);
    Ok(())
}

type Opened = Arc<Mutex<Vec<(Arc<dyn Link>, ConnectionId)>>>;

async fn connect_and_send(client: Arc<Party>, to: crate::Address, n: u32, opened: Opened) {
    let link = client.end().connect(&to).await.expect("it connects");
    pause().await;
    let connection = link.open().expect("it opens");
    opened.lock().unwrap_or_else(PoisonError::into_inner).push((link.clone(), connection));
    for _ in 0..2 {
        pause().await;
        send(&*link, connection, &n.to_le_bytes()).await.expect("it is sent");
    }
    pause().await;
    link.close_connection(connection).expect("it closes");
}

/// Lets others go first, once.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How many tasks run, and who waits for none to.
#[derive(Default)]
struct Running(Mutex<(u32, Option<Waker>)>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, (u32, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_ended(&self) {
        let mut state = self.lock();
        state.0 -= 1;
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn ended(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.0 == 0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Work that is dropped where it stands after so many polls.
struct Doomed {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    polls: u32,
    running: Arc<Running>,
}

impl Drop for Doomed {
    fn drop(&mut self) {
        self.work = None;
        self.running.one_ended();
    }
}

impl Future for Doomed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.polls == 0 {
            self.work = None;
        }
        self.polls = self.polls.saturating_sub(1);
        match &mut self.work {
            Some(work) => work.as_mut().poll(cx),
            None => Poll::Ready(()),
        }
    }
}

/// T7: streams of large messages get shares of the link within a factor of two for as long as all
/// have something to send, whatever the sizes of their messages; and a small message passes them.
pub async fn bulk_streams_get_fair_shares(f: Fixture) -> Outcome {
    const EACH: usize = 4 << 20;
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let quick = link.open().expect("it opens");
    let streams = [65_536, 100_000, 262_144, 400_000]
        .map(|size| (link.open().expect("it opens"), Bytes::from(vec![0; size])));
    // In one go, so that all of them have something from the beginning, and the small one is last.
    let mut result = Ok::<_, SendError>(());
    link.write(Room::Large, &mut |outgoing| {
        for (connection, message) in &streams {
            for _ in 0..EACH / message.len() {
                let sent = outgoing.message_bytes(*connection, &[], message.clone());
                result = std::mem::replace(&mut result, Ok(())).and(sent);
            }
        }
        let sent = outgoing.message(quick, b"quick");
        result = std::mem::replace(&mut result, Ok(())).and(sent);
    })
    .expect("there is room");
    result.expect("they are open");

    let mut shares: BTreeMap<ConnectionId, usize> = BTreeMap::new();
    let mut quick_came = false;
    loop {
        let (connection, payload) = server.received().await;
        if connection == quick {
            quick_came = true;
            continue;
        }
        let share = shares.entry(connection).or_default();
        *share += payload.len();
        if *share > EACH - payload.len() {
            break;
        }
    }
    let least = streams.iter().map(|(c, _)| shares.get(c).copied().unwrap_or_default()).min();
    assert!(least.is_some_and(|least| least * 2 >= EACH), "unequal shares of {EACH}: {shares:?}");
    assert!(quick_came, "a small message waits for no stream to end");
    Ok(())
}
