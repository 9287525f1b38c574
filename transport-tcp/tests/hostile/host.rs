//! The sink of an endpoint under attack: sends back what comes, keeps nothing without bound, and
//! knows who is linked and how links ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use midflight_transport_api::{
    Address, ConnectionId, Link, LinkAcceptor, LinkEvent, LinkLoss, LinkSink, Room, SendErrorKind,
};

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Host {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    living: BTreeMap<Address, Arc<dyn Link>>,
    /// Losses that nobody has asked for yet.
    losses: BTreeMap<Address, VecDeque<LinkLoss>>,
    /// Peers of which nothing is taken at the moment.
    paused: BTreeSet<Address>,
    wakers: Vec<Waker>,
}

impl Host {
    /// The link to `peer`, when there is one.
    pub(crate) async fn link(&self, peer: &Address) -> Arc<dyn Link> {
        self.until(|state| state.living.get(peer).cloned()).await
    }

    /// The link to `peer`, if there is one.
    pub(crate) fn living(&self, peer: &Address) -> Option<Arc<dyn Link>> {
        self.state.lock().unwrap().living.get(peer).cloned()
    }

    /// How many links there are.
    pub(crate) fn links(&self) -> usize {
        self.state.lock().unwrap().living.len()
    }

    /// The next loss of a link to `peer`.
    pub(crate) async fn loss(&self, peer: &Address) -> LinkLoss {
        self.until(|state| {
            let losses = state.losses.get_mut(peer)?;
            let loss = losses.pop_front();
            if losses.is_empty() {
                state.losses.remove(peer);
            }
            loss
        })
        .await
    }

    /// Whether a link to `peer` was lost, of which nobody has asked.
    pub(crate) fn has_lost(&self, peer: &Address) -> bool {
        self.state.lock().unwrap().losses.contains_key(peer)
    }

    /// Takes nothing of `peer`, or again.
    pub(crate) fn pause(&self, peer: &Address, paused: bool) {
        self.change(|state| {
            if paused {
                state.paused.insert(peer.clone())
            } else {
                state.paused.remove(peer)
            };
        });
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap();
        act(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            if let Some(found) = look(&mut state) {
                return Poll::Ready(found);
            }
            register(&mut state.wakers, cx);
            Poll::Pending
        })
        .await
    }
}

fn register(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

/// Shows its links to a [`Host`].
pub(crate) struct Door(pub(crate) Arc<Host>);

impl LinkAcceptor for Door {
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink> {
        let peer = link.peer().address.clone();
        let (key, value) = (peer.clone(), link.clone());
        let mut before = None;
        self.0.change(|state| before = state.living.insert(key, value));
        assert!(before.is_none(), "a link to {peer} is up, and the one before was not told lost");
        Box::new(Echo {
            host: self.0.clone(),
            link,
            peer,
            back: BTreeMap::new(),
            held: VecDeque::new(),
        })
    }
}

/// Sends back, and takes nothing new while there is something that it could not send.
struct Echo {
    host: Arc<Host>,
    link: Arc<dyn Link>,
    peer: Address,
    /// Opened when there is something to send back.
    back: BTreeMap<ConnectionId, ConnectionId>,
    held: VecDeque<(ConnectionId, Option<Bytes>)>,
}

impl LinkSink for Echo {
    fn event(&mut self, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Received { connection, payload, .. } => {
                self.held.push_back((connection, Some(payload.into_bytes())));
            }
            LinkEvent::Closed(connection) => self.held.push_back((connection, None)),
            LinkEvent::Lost(loss) => self.host.change(|state| {
                state.living.remove(&self.peer);
                state.losses.entry(self.peer.clone()).or_default().push_back(loss);
            }),
            _ => {}
        }
    }

    fn batch_end(&mut self) {
        self.flush();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.host.state.lock().unwrap();
        if state.paused.contains(&self.peer) {
            register(&mut state.wakers, cx);
            return Poll::Pending;
        }
        drop(state);
        while !self.held.is_empty() {
            match self.link.poll_ready(Room::Large, cx) {
                Poll::Ready(Ok(())) => self.flush(),
                Poll::Ready(Err(_lost)) => self.held.clear(),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl Echo {
    fn flush(&mut self) {
        while let Some((from, payload)) = self.held.pop_front() {
            if let Err(kind) = self.send_back(from, payload.as_ref()) {
                if kind == SendErrorKind::Full {
                    self.held.push_front((from, payload));
                }
                return;
            }
        }
    }

    fn send_back(
        &mut self,
        from: ConnectionId,
        payload: Option<&Bytes>,
    ) -> Result<(), SendErrorKind> {
        let failed = |error: midflight_transport_api::SendError| error.kind().clone();
        let Some(payload) = payload else {
            return match self.back.remove(&from) {
                Some(back) => self.link.close_connection(back).map_err(failed),
                None => Ok(()),
            };
        };
        let back = match self.back.get(&from) {
            Some(back) => *back,
            None => *self.back.entry(from).or_insert(self.link.open().map_err(failed)?),
        };
        let append = &mut |outgoing: &mut midflight_transport_api::Outgoing| {
            let _ = outgoing.message_bytes(back, &[], payload.clone());
        };
        self.link.write(Room::Large, append).map_err(failed)
    }
}
