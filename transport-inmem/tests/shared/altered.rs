//! The in-memory transport made to break its promises, each in one way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use midflight_transport_api::{
    Address, Bind, Capabilities, ConnectError, ConnectErrorKind, ConnectionId, EndPoint, Link,
    LinkAcceptor, LinkEvent, LinkSink, OpenError, Payload, Transport,
};
use midflight_transport_inmem::InMemory;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Every other message comes behind the next one of its connection.
    Reorders,
    /// Every fiftieth message does not come.
    Drops,
    /// Every fiftieth message comes twice.
    Duplicates,
    /// A link's end is not told.
    LosesLosses,
    /// The ranges in `NoCommonVersion` are those of the other side.
    SwapsVersions,
}

/// The range of versions of each endpoint, and what they are wrong about.
type Versions = Arc<Mutex<BTreeMap<Address, (u16, u16)>>>;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Altered {
    inner: InMemory,
    fault: Fault,
    speaks: (u16, u16),
    versions: Versions,
}

impl Altered {
    pub(crate) fn new(inner: InMemory, fault: Fault) -> Self {
        Self { inner, fault, speaks: (1, 1), versions: Versions::default() }
    }

    /// One of the same network that claims to speak these versions.
    pub(crate) fn speaking(&self, low: u16, high: u16) -> Self {
        Self { speaks: (low, high), ..self.clone() }
    }
}

#[async_trait]
impl Transport for Altered {
    fn scheme(&self) -> &'static str {
        self.inner.scheme()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn open(
        &self,
        bind: Bind,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Result<Arc<dyn EndPoint>, OpenError> {
        let acceptor = Arc::new(Acceptor { inner: acceptor, fault: self.fault });
        let inner = self.inner.open(bind, acceptor).await?;
        self.versions.lock().unwrap().insert(inner.address().clone(), self.speaks);
        let Self { fault, speaks, versions, .. } = self.clone();
        Ok(Arc::new(Negotiating { inner, fault, speaks, versions }))
    }
}

/// An endpoint that compares versions before it connects.
#[derive(Debug)]
struct Negotiating {
    inner: Arc<dyn EndPoint>,
    fault: Fault,
    speaks: (u16, u16),
    versions: Versions,
}

#[async_trait]
impl EndPoint for Negotiating {
    fn address(&self) -> &Address {
        self.inner.address()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn connect(&self, peer: &Address) -> Result<Arc<dyn Link>, ConnectError> {
        let theirs = self.versions.lock().unwrap().get(peer).copied();
        match (self.speaks, theirs) {
            (ours, Some(theirs)) if ours.1 < theirs.0 || theirs.1 < ours.0 => {
                let swapped = self.fault == Fault::SwapsVersions;
                let (ours, theirs) = if swapped { (theirs, ours) } else { (ours, theirs) };
                Err(ConnectErrorKind::NoCommonVersion { ours, theirs }.into())
            }
            _ => self.inner.connect(peer).await,
        }
    }

    fn break_link(&self, peer: &Address) -> bool {
        self.inner.break_link(peer)
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

struct Acceptor {
    inner: Arc<dyn LinkAcceptor>,
    fault: Fault,
}

impl LinkAcceptor for Acceptor {
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink> {
        let inner = self.inner.link_up(link);
        Box::new(Sink { inner, fault: self.fault, messages: 0, held: None })
    }
}

/// Does wrong what its link tells.
struct Sink {
    inner: Box<dyn LinkSink>,
    fault: Fault,
    messages: u32,
    held: Option<Message>,
}

struct Message {
    connection: ConnectionId,
    payload: Bytes,
    extensions: Vec<u8>,
}

impl Sink {
    fn give(&mut self, message: &Message) {
        self.inner.event(LinkEvent::Received {
            connection: message.connection,
            payload: Payload::Given(message.payload.clone()),
            extensions: &message.extensions,
        });
    }

    fn message(&mut self, message: Message) {
        self.messages += 1;
        match self.fault {
            Fault::Drops if self.messages.is_multiple_of(50) => {}
            Fault::Duplicates if self.messages.is_multiple_of(50) => {
                self.give(&message);
                self.give(&message);
            }
            Fault::Reorders if self.messages.is_multiple_of(2) && self.held.is_none() => {
                self.held = Some(message);
            }
            _ => {
                let of_held = |held: &mut Message| held.connection == message.connection;
                let held = self.held.take_if(of_held);
                self.give(&message);
                if let Some(held) = held {
                    self.give(&held);
                }
            }
        }
    }

    fn let_go(&mut self) {
        if let Some(held) = self.held.take() {
            self.give(&held);
        }
    }
}

impl LinkSink for Sink {
    fn event(&mut self, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Received { connection, payload, extensions } => self.message(Message {
                connection,
                payload: payload.into_bytes(),
                extensions: extensions.to_vec(),
            }),
            LinkEvent::Lost(_) if self.fault == Fault::LosesLosses => {}
            other => {
                self.let_go();
                self.inner.event(other);
            }
        }
    }

    fn batch_end(&mut self) {
        self.let_go();
        self.inner.batch_end();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_ready(cx)
    }
}
