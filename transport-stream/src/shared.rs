//! What the tasks of one endpoint share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use midflight_runtime::Handle;
use midflight_transport_api::{
    Address, ConnectError, ConnectErrorKind, LinkAcceptor, LinkId, LinkLoss,
};
use parking_lot::Mutex;

use crate::complaints::Complaints;
use crate::half_open::HalfOpen;
use crate::handshake::Introduction;
use crate::link::StreamLink;
use crate::table::{Entry, Table, Ticket};
use crate::{Carrier, LinkConfig};

/// The table of an endpoint.
pub(crate) type Links = Table<Arc<StreamLink>, Arc<DialResult>>;

/// How a dial ended, for all who wait for it.
pub(crate) type DialResult = OnceLock<Result<Arc<StreamLink>, Failure>>;

/// Why a dial failed, to be told several times.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: ConnectErrorKind,
    pub(crate) detail: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: ConnectErrorKind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: Some(detail.to_string()) }
    }

    /// The same as `error`, whose source has become words.
    pub(crate) fn of(error: &ConnectError) -> Self {
        let detail = std::error::Error::source(error).map(ToString::to_string);
        Self { kind: error.kind().clone(), detail }
    }
}

impl From<ConnectErrorKind> for Failure {
    fn from(kind: ConnectErrorKind) -> Self {
        Self { kind, detail: None }
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        match failure.detail {
            Some(detail) => Self::because(failure.kind, detail),
            None => failure.kind.into(),
        }
    }
}

/// See the [module](self).
pub(crate) struct Shared {
    pub(crate) address: Address,
    pub(crate) nonce: [u8; 16],
    pub(crate) carrier: Arc<dyn Carrier>,
    pub(crate) config: LinkConfig,
    pub(crate) runtime: Handle,
    pub(crate) acceptor: Arc<dyn LinkAcceptor>,
    pub(crate) half_open: HalfOpen,
    complaints: Mutex<Complaints>,
    losses: Mutex<Complaints>,
    next_link: AtomicU64,
    state: Mutex<State>,
}

struct State {
    links: Links,
    waiters: Vec<Waker>,
}

impl Shared {
    pub(crate) fn new(
        address: Address,
        nonce: [u8; 16],
        carrier: Arc<dyn Carrier>,
        config: LinkConfig,
        runtime: Handle,
        acceptor: Arc<dyn LinkAcceptor>,
    ) -> Arc<Self> {
        let links = Table::new(address.clone(), config.links_max);
        Arc::new(Self {
            address,
            nonce,
            carrier,
            config,
            runtime,
            acceptor,
            half_open: HalfOpen::default(),
            complaints: Mutex::default(),
            losses: Mutex::default(),
            next_link: AtomicU64::new(1),
            state: Mutex::new(State { links, waiters: Vec::new() }),
        })
    }

    /// What we say of ourselves.
    pub(crate) fn introduction(&self) -> Introduction {
        Introduction {
            address: self.address.clone(),
            nonce: self.nonce,
            heartbeat: self.config.heartbeat,
            max_message: self.config.limits.max_message,
        }
    }

    pub(crate) fn next_link(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    /// Says in the log why somebody who came has got no link, unless much has been said lately.
    pub(crate) fn complain(&self, from: &str, reason: impl fmt::Display) {
        let now = Duration::from_nanos(self.runtime.now().as_nanos());
        let unsaid = self.complaints.lock().say(now);
        match unsaid {
            Some(0) => tracing::warn!(from, %reason, "no link"),
            Some(unsaid) => tracing::warn!(from, %reason, unsaid, "no link"),
            None => {}
        }
    }

    /// Says in the log how the link to `peer` was lost, unless much of that has been said lately.
    pub(crate) fn mourn(&self, peer: &Address, loss: &LinkLoss) {
        let now = Duration::from_nanos(self.runtime.now().as_nanos());
        let unsaid = self.losses.lock().say(now);
        match unsaid {
            Some(0) => tracing::warn!(%peer, %loss, "link lost"),
            Some(unsaid) => tracing::warn!(%peer, %loss, unsaid, "link lost"),
            None => tracing::debug!(%peer, %loss, "link lost"),
        }
    }

    /// Looks at or changes the table; who waits looks again afterwards.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut Links) -> T) -> T {
        let mut state = self.state.lock();
        let answer = act(&mut state.links);
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        for waker in waiters {
            waker.wake();
        }
        answer
    }

    /// Numbers a stream that has arrived. Nobody waits for that.
    pub(crate) fn ticket(&self) -> Ticket {
        self.state.lock().links.ticket()
    }

    /// Looks at the table.
    pub(crate) fn look<T>(&self, act: impl FnOnce(&Links) -> T) -> T {
        act(&self.state.lock().links)
    }

    /// Asks `act` again after every change until it answers.
    pub(crate) async fn until<T>(&self, mut act: impl FnMut(&mut Links) -> Option<T>) -> T {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            let mut state = self.state.lock();
            if let Some(answer) = act(&mut state.links) {
                return Poll::Ready(answer);
            }
            if !state.waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiters.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Entry for Arc<StreamLink> {
    fn is_usable(&self) -> bool {
        self.is_up() && self.outbox.is_usable()
    }
}
