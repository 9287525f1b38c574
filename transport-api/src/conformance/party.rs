//! An endpoint that writes down what happens to it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::Fixture;
use crate::{
    Address, Bind, ConnectionId, EndPoint, Link, LinkAcceptor, LinkEvent, LinkId, LinkLoss,
    LinkSink, OpenError, Outgoing, Room, SendError, SendErrorKind, Transport,
};

/// One thing that an endpoint was told, and of which link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "they mirror `LinkEvent`")]
pub enum Seen {
    Up,
    Opened(ConnectionId),
    Received { connection: ConnectionId, payload: Bytes, extensions: Vec<u8> },
    Closed(ConnectionId),
    Lost(LinkLoss),
}

/// An endpoint, and what has happened to it.
#[derive(Debug)]
pub struct Party {
    /// The endpoint.
    pub endpoint: Option<Arc<dyn EndPoint>>,
    address: Address,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    state: Mutex<State>,
    /// Whether what comes is sent back instead.
    echo: bool,
}

#[derive(Default)]
struct State {
    seen: VecDeque<(LinkId, Seen)>,
    links: Vec<Arc<dyn Link>>,
    paused: bool,
    wakers: Vec<Waker>,
}

impl Party {
    /// An endpoint called `name`.
    pub async fn open(fixture: &Fixture, name: &str) -> Self {
        Self::with(&*fixture.transport, (fixture.bind)(name), false).await
    }

    /// An endpoint that sends everything back: for each connection opened to it it opens one of its
    /// own, and closes it when the other is closed.
    pub async fn echo(fixture: &Fixture, name: &str) -> Self {
        Self::with(&*fixture.transport, (fixture.bind)(name), true).await
    }

    /// An endpoint bound as `bind` says, which sends everything back if it is an `echo`.
    pub async fn with(transport: &dyn Transport, bind: Bind, echo: bool) -> Self {
        Self::try_with(transport, bind, echo).await.expect("it opens")
    }

    /// As [`with`](Self::with), when it can be opened.
    ///
    /// # Errors
    /// As [`Transport::open`].
    pub async fn try_with(
        transport: &dyn Transport,
        bind: Bind,
        echo: bool,
    ) -> Result<Self, OpenError> {
        let log = Arc::new(Log { echo, ..Log::default() });
        let endpoint = transport.open(bind, Arc::new(Acceptor(log.clone()))).await?;
        Ok(Self { address: endpoint.address().clone(), endpoint: Some(endpoint), log })
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The endpoint, which has not been dropped.
    #[must_use]
    pub fn end(&self) -> &Arc<dyn EndPoint> {
        self.endpoint.as_ref().expect("it has not been dropped")
    }

    /// The link to `other`.
    pub async fn connect(&self, other: &Self) -> Arc<dyn Link> {
        self.end().connect(&other.address).await.expect("it connects")
    }

    /// The next thing told.
    pub async fn next(&self) -> (LinkId, Seen) {
        self.until(|state| state.seen.pop_front()).await
    }

    /// The next thing told that `pick` picks; what it does not pick stays.
    pub async fn pick<T>(&self, pick: impl Fn(LinkId, &Seen) -> Option<T>) -> T {
        self.until(|state| {
            let found = state
                .seen
                .iter()
                .enumerate()
                .find_map(|(at, (link, seen))| pick(*link, seen).map(|picked| (at, picked)));
            let (at, picked) = found?;
            state.seen.remove(at);
            Some(picked)
        })
        .await
    }

    /// The next loss.
    pub async fn lost(&self) -> (LinkId, LinkLoss) {
        self.pick(|link, seen| match seen {
            Seen::Lost(loss) => Some((link, loss.clone())),
            _ => None,
        })
        .await
    }

    /// The next message, and where it came.
    pub async fn received(&self) -> (ConnectionId, Bytes) {
        self.pick(|_, seen| match seen {
            Seen::Received { connection, payload, .. } => Some((*connection, payload.clone())),
            _ => None,
        })
        .await
    }

    /// Waits until a message has come with this payload.
    pub async fn received_keeping(&self, wanted: &[u8]) {
        let is_wanted =
            |seen: &Seen| matches!(seen, Seen::Received { payload, .. } if payload == wanted);
        self.until(|state| state.seen.iter().any(|(_, seen)| is_wanted(seen)).then_some(())).await;
    }

    /// Waits until the loss of `link` has been told.
    pub async fn told_lost(&self, link: LinkId) {
        let is_it = |told: &(LinkId, Seen)| told.0 == link && matches!(told.1, Seen::Lost(_));
        self.until(|state| state.seen.iter().any(is_it).then_some(())).await;
    }

    /// The next connection opened from the other side.
    pub async fn opened(&self) -> ConnectionId {
        self.pick(|_, seen| match seen {
            Seen::Opened(connection) => Some(*connection),
            _ => None,
        })
        .await
    }

    /// The next connection closed from the other side.
    pub async fn closed(&self) -> ConnectionId {
        self.pick(|_, seen| match seen {
            Seen::Closed(connection) => Some(*connection),
            _ => None,
        })
        .await
    }

    /// The `nth` link that it was shown.
    pub async fn link(&self, nth: usize) -> Arc<dyn Link> {
        self.until(|state| state.links.get(nth).cloned()).await
    }

    /// All links that it was shown.
    #[must_use]
    pub fn links(&self) -> Vec<Arc<dyn Link>> {
        self.log.lock().links.clone()
    }

    /// Everything told and not picked yet.
    #[must_use]
    pub fn seen(&self) -> Vec<(LinkId, Seen)> {
        self.log.lock().seen.iter().cloned().collect()
    }

    /// Takes nothing more from its links, or again.
    pub fn pause(&self, paused: bool) {
        self.log.change(|state| state.paused = paused);
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        std::future::poll_fn(|cx| {
            let mut state = self.log.lock();
            if let Some(found) = look(&mut state) {
                return Poll::Ready(found);
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        act(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

struct Acceptor(Arc<Log>);

impl LinkAcceptor for Acceptor {
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink> {
        let id = link.id();
        self.0.change(|state| {
            state.links.push(link.clone());
            state.seen.push_back((id, Seen::Up));
        });
        let echo = self.0.echo.then(|| Echo { link, back: BTreeMap::new(), held: VecDeque::new() });
        Box::new(Sink { echo, id, log: self.0.clone(), gathered: Vec::new() })
    }
}

/// An acceptor for an endpoint that gets no link.
#[must_use]
pub fn nobody() -> Arc<dyn LinkAcceptor> {
    Arc::new(Acceptor(Arc::default()))
}

struct Sink {
    id: LinkId,
    log: Arc<Log>,
    echo: Option<Echo>,
    /// Passed on at the end of a batch, as a sink may do.
    gathered: Vec<Seen>,
}

impl LinkSink for Sink {
    fn event(&mut self, event: LinkEvent<'_>) {
        let seen = match event {
            LinkEvent::Opened(connection) => Seen::Opened(connection),
            LinkEvent::Closed(connection) => Seen::Closed(connection),
            LinkEvent::Received { connection, payload, extensions } => Seen::Received {
                connection,
                payload: payload.into_bytes(),
                extensions: extensions.to_vec(),
            },
            LinkEvent::Lost(loss) => Seen::Lost(loss),
        };
        match (&mut self.echo, seen) {
            (Some(echo), seen @ (Seen::Opened(_) | Seen::Closed(_) | Seen::Received { .. })) => {
                echo.take(seen);
            }
            (_, seen) => self.gathered.push(seen),
        }
    }

    fn batch_end(&mut self) {
        if !self.gathered.is_empty() {
            let gathered = self.gathered.drain(..).map(|seen| (self.id, seen));
            self.log.change(|state| state.seen.extend(gathered));
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.log.lock();
        if state.paused {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        self.echo.as_mut().map_or(Poll::Ready(()), |echo| echo.poll_flush(cx))
    }
}

/// Sends back, and takes nothing new while there is something that it could not send.
struct Echo {
    link: Arc<dyn Link>,
    back: BTreeMap<ConnectionId, ConnectionId>,
    held: VecDeque<(ConnectionId, Bytes)>,
}

impl Echo {
    fn take(&mut self, seen: Seen) {
        match seen {
            Seen::Opened(connection) => {
                // A link that is lost says so itself.
                if let Ok(back) = self.link.open() {
                    self.back.insert(connection, back);
                }
            }
            Seen::Closed(connection) => {
                self.flush();
                if let Some(back) = self.back.remove(&connection) {
                    let _ = self.link.close_connection(back);
                }
            }
            Seen::Received { connection, payload, .. } => {
                if let Some(back) = self.back.get(&connection) {
                    self.held.push_back((*back, payload));
                    self.flush();
                }
            }
            Seen::Up | Seen::Lost(_) => {}
        }
    }

    fn flush(&mut self) {
        let held = &mut self.held;
        let _ = self.link.write(Room::Large, &mut |outgoing| {
            for (connection, payload) in held.drain(..) {
                let _ = outgoing.message_bytes(connection, &[], payload);
            }
        });
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.held.is_empty() {
            match self.link.poll_ready(Room::Large, cx) {
                Poll::Ready(Ok(())) => self.flush(),
                Poll::Ready(Err(_)) => self.held.clear(),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

/// Sends a message, waiting for room.
///
/// # Errors
/// All but `Full`.
pub async fn send(
    link: &dyn Link,
    connection: ConnectionId,
    payload: &[u8],
) -> Result<(), SendError> {
    when_ready(link, Room::of(payload.len()), |outgoing| outgoing.message(connection, payload))
        .await
}

/// Sends a message by reference, waiting for room.
///
/// # Errors
/// All but `Full`.
pub async fn send_large(
    link: &dyn Link,
    connection: ConnectionId,
    payload: Bytes,
) -> Result<(), SendError> {
    when_ready(link, Room::of(payload.len()), |outgoing| {
        outgoing.message_bytes(connection, &[], payload.clone())
    })
    .await
}

async fn when_ready(
    link: &dyn Link,
    room: Room,
    mut append: impl FnMut(&mut Outgoing) -> Result<(), SendError>,
) -> Result<(), SendError> {
    loop {
        let mut result = Ok(());
        match link.write(room, &mut |outgoing| result = append(outgoing)) {
            Ok(()) => return result,
            Err(error) if *error.kind() == SendErrorKind::Full => {
                std::future::poll_fn(|cx| link.poll_ready(room, cx)).await?;
            }
            Err(error) => return Err(error),
        }
    }
}
