//! What comes in on a link: the handshake first, then everything else.
//!
//! Everything here runs in the link's reader. Messages for one process that come in a row are
//! gathered and put into its mailbox at once. Nothing is decoded here but heads and signals.

mod delivery;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use midflight_message::Fingerprint;
use midflight_runtime::spawn;
use midflight_transport_api::{
    ConnectionId, Link, LinkAcceptor, LinkEvent, LinkLoss, LinkSink, Payload, frame,
};

use crate::functions::spawned::{Answer, NotSpawned, Request, SpawnHead};
use crate::mailbox::Inbox;
use crate::mailbox::envelope::{Content, Envelope, Parcel, Sender, encoded_weight};
use crate::metrics::{Traffic, count};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::announced::Announced;
use crate::peer::handshake::{Action, Handshake, Refused, shortened};
use crate::peer::link::LinkState;
use crate::peer::wire::{self, Frame, Hello, MESSAGE_HEAD, Place, Signal};
use crate::relocation::word::Behalf;
use crate::roles::admission::NotAdmitted;
use crate::roles::{NotAllowed, Role};
use crate::send::SMALL_MAX;
use crate::trace::TraceContext;
use crate::types::TypeNo;

/// Takes the links of the node's endpoint.
pub(crate) struct Acceptor(pub(crate) Weak<Inner>);

impl LinkAcceptor for Acceptor {
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink> {
        let Some(inner) = self.0.upgrade().filter(|inner| !inner.is_closing()) else {
            link.abort("the node is closing");
            return Box::new(Nobody);
        };
        if inner.end_point.get().is_none() {
            // It would not know where it can be dialled, and be taken for one that cannot.
            link.abort("the node is being opened");
            return Box::new(Nobody);
        }
        Box::new(Sink::begin(inner, link))
    }
}

/// The sink of a link that nobody wants.
struct Nobody;

impl LinkSink for Nobody {
    fn event(&mut self, _: LinkEvent<'_>) {}
}

struct Sink {
    inner: Arc<Inner>,
    link: Arc<dyn Link>,
    state: Arc<LinkState>,
    handshake: Handshake,
    control: Option<ConnectionId>,
    /// The peer, once it is verified.
    peer: Option<Arc<Peer>>,
    /// Whether it has become one of the node's peers.
    is_up: bool,
    /// The link is refused or cut: nothing more is taken from it, though it may be read already.
    is_over: bool,
    types: Announced,
    /// Messages in a row for one process.
    run_to: Place,
    run: Box<Inbox>,
    /// What the frame at hand is sent under.
    context: Option<TraceContext>,
    /// For whom it is handed on, where it is.
    behalf: Option<Behalf>,
    /// What has come, shown at the end of each batch.
    traffic: Traffic,
}

impl Sink {
    fn begin(inner: Arc<Inner>, link: Arc<dyn Link>) -> Self {
        let state = Arc::new(LinkState::new(link.clone()));
        inner.links.lock().add(link.id(), state.clone());
        let handshake = Handshake::new(inner.hello(), inner.secret.clone());
        let control = link.open().ok();
        let sink = Self {
            run: inner.table.pool.take(),
            inner,
            link,
            state,
            handshake,
            control,
            peer: None,
            is_up: false,
            is_over: false,
            types: Announced::default(),
            run_to: Place::NOBODY,
            context: None,
            behalf: None,
            traffic: Traffic::default(),
        };
        sink.say(&sink.handshake.begin());
        sink.watch_handshake();
        sink
    }

    /// Says something before there is a peer.
    fn say(&self, signal: &Signal) {
        let Some(control) = self.control else { return };
        let mut head = Vec::new();
        wire::put_signal(&mut head, signal);
        // A lost link is told by its loss.
        let _ = self.link.write(midflight_transport_api::Room::Small, &mut |batch| {
            let _ = batch.message(control, &head);
        });
    }

    /// Cuts the link when its handshake is not done in time.
    fn watch_handshake(&self) {
        let (inner, state) = (self.inner.clone(), self.state.clone());
        spawn(&self.inner.runtime, "watch a handshake", async move {
            let outcome = state.outcome();
            let limit = inner.limits.connect_timeout;
            let done = midflight_runtime::timeout(&*inner.runtime, limit, outcome).await;
            if done.is_err() && state.is_under_way() {
                count(&inner.counts.handshakes_refused);
                tracing::warn!(peer = %state.link.peer().address, "the handshake took too long");
                state.finish(Err(format!("the handshake took longer than {limit:?}").into()));
                state.link.abort("the handshake took too long");
            }
        });
    }

    fn refuse(&mut self, refused: Refused, tell: bool) {
        let why = refused.reason.clone();
        self.is_over = true;
        count(&self.inner.counts.handshakes_refused);
        tracing::warn!(peer = %self.link.peer().address, reason = why, "link refused");
        self.state.finish(Err(refused));
        if tell {
            self.say(&Signal::Refused { reason: why });
            self.link.close();
        } else {
            self.link.abort(&why);
        }
    }

    fn violation(&mut self, what: &str) {
        count(&self.inner.counts.violations);
        self.is_over = true;
        tracing::warn!(peer = %self.link.peer().address, what, "protocol violation: link cut");
        self.state.finish(Err(format!("the peer violated the protocol: {what}").into()));
        self.link.abort(what);
    }

    fn received(&mut self, lane: ConnectionId, payload: Payload<'_>) {
        let bytes = payload.as_slice();
        let large = match &payload {
            Payload::Given(bytes) => Some(bytes.clone()),
            Payload::Lent(_) => None,
        };
        self.traffic.bytes += bytes.len() as u64;
        let frame = wire::read(bytes);
        if matches!(&frame, Ok(frame) if !matches!(frame, Frame::Signal(_))) {
            self.traffic.messages += 1;
            self.speaks();
            if self.is_over {
                return;
            }
            self.uses();
        }
        match frame {
            Err(error) => self.violation(error.0),
            Ok(Frame::Signal(signal)) => self.signal(lane, signal),
            Ok(_) if self.peer.is_none() => self.violation("a message before the handshake"),
            Ok(Frame::Message { to, from, ty, payload }) => {
                self.message(to, (from, ty, 0), payload, large.as_ref());
            }
            Ok(Frame::Port { to, from, ty, port, payload }) => {
                self.message(to, (from, ty, port), payload, large.as_ref());
            }
            Ok(Frame::Call { to, from, ty, call, payload }) => {
                if let Some((peer, no)) = self.may_not(Role::Send) {
                    self.goes_nowhere(&peer, payload);
                    return self.inner.refuse_call(&peer, (to, from), payload.len(), call, no);
                }
                let Some((from, ty)) = self.known(from, ty) else { return };
                let content = Content::Bytes { ty, bytes: keep(payload, large.as_ref()) };
                self.end_run();
                self.parcel(to, from, Parcel::Call { call, content });
            }
            Ok(Frame::Reply { to, from, ty, call, payload }) => {
                let Some((from, ty)) = self.known(from, ty) else { return };
                let content = Content::Bytes { ty, bytes: keep(payload, large.as_ref()) };
                self.end_run();
                // Only who was asked may answer, and only once.
                if self.peer.as_ref().is_some_and(|peer| peer.pending.answers(call, to)) {
                    self.parcel(to, from, Parcel::Reply { call, result: Ok(content) });
                }
            }
            Ok(Frame::Spawn { head, argument }) => {
                let argument = keep(argument, large.as_ref());
                self.spawn(head, argument);
            }
        }
    }

    /// The peer wants a function started.
    fn spawn(&mut self, head: SpawnHead, argument: Bytes) {
        let Some((from, ty)) = self.known(head.from, head.ty) else { return };
        let Some(peer) = self.peer.clone() else { return };
        self.end_run();
        let weight = encoded_weight(argument.len());
        let Some(answer) = Answer::there(self.inner.clone(), peer, &head, weight) else {
            return self.violation("more functions to be started than may be under way");
        };
        if self.inner.is_leaving() {
            return answer.refuse(NotSpawned::Full);
        }
        if let Some((_, no)) = self.may_not(Role::Spawn) {
            return answer.refuse(NotSpawned::NotAllowed(no));
        }
        let content = Content::Bytes { ty, bytes: argument };
        let node = Node { inner: self.inner.clone() };
        node.start_function(Request { from, head, content }, answer);
    }

    /// The sender on the peer, and the node's own number of the peer's type.
    fn known(&mut self, from: Place, ty: u32) -> Option<(Sender, TypeNo)> {
        let number = self.peer.as_ref()?.number.get();
        let Some(ty) = self.types.get(ty) else {
            self.violation("a type that was not announced");
            return None;
        };
        let (index, generation) = (from.index, from.generation);
        Some((Sender { node: number, index, generation }, ty))
    }

    /// The peer and why it may not do something; none when it may.
    fn may_not(&self, role: Role) -> Option<(Arc<Peer>, NotAllowed)> {
        let peer = self.peer.as_ref()?;
        peer.granted.check(role).err().map(|no| (peer.clone(), no))
    }

    fn message(
        &mut self,
        to: Place,
        (from, ty, port): (Place, u32, u32),
        payload: &[u8],
        large: Option<&Bytes>,
    ) {
        if let Some((peer, no)) = self.may_not(Role::Send) {
            self.goes_nowhere(&peer, payload);
            return self.inner.refuse_message(&peer, to, from, payload.len(), no);
        }
        let Some((from, ty)) = self.known(from, ty) else { return };
        if to != self.run_to {
            self.end_run();
            self.run_to = to;
        }
        let is_plain = self.context.is_none() && self.behalf.is_none();
        if payload.len() <= SMALL_MAX && is_plain {
            return self.run.push_to(port, from, ty, payload);
        }
        let bytes = keep(payload, large);
        let parcel = match port {
            0 => Parcel::Large { ty, bytes },
            port => Parcel::Port { port, ty, bytes },
        };
        if !is_plain {
            self.end_run();
            return self.parcel(to, from, parcel);
        }
        self.run.entries.push_back(Envelope::Parcel { from, parcel: Box::new(parcel) });
    }

    /// The peer announces a type on a lane.
    fn announced(
        &mut self,
        peer: &Arc<Peer>,
        lane: ConnectionId,
        ty: u32,
        (name, version, fingerprint): (&str, u32, Fingerprint),
    ) {
        if !self.types.has_room(ty, self.inner.limits.types_per_peer) {
            return self.violation("more types than one peer may announce");
        }
        let Ok(no) = self.inner.types.announced(name, version, fingerprint) else {
            return self.violation("a bad name, or more types than this node may know");
        };
        if let Err(what) = self.types.enter(lane, ty, no) {
            return self.violation(what);
        }
        if self.inner.types.needs_schema(no) {
            self.inner.ask_schema(peer, no);
        }
    }

    fn signal(&mut self, lane: ConnectionId, signal: Signal) {
        if let Some(actions) = self.handshake.take(&signal) {
            return actions.into_iter().for_each(|action| self.act(action));
        }
        if !matches!(signal, Signal::Refused { .. }) {
            self.speaks();
            if self.is_over {
                return;
            }
        }
        if !signal.is_upkeep() {
            self.uses();
        }
        match (signal, self.peer.clone()) {
            (Signal::Refused { reason }, _) => {
                let reason = shortened(&reason);
                tracing::warn!(peer = %self.link.peer().address, reason, "the peer refused");
                count(&self.inner.counts.handshakes_refused);
                self.state.finish(Err(reason.into()));
                self.link.abort("refused by the peer");
            }
            (_, None) => self.violation("a signal before the handshake"),
            (Signal::Announce { ty, name, version, fingerprint }, Some(peer)) => {
                self.announced(&peer, lane, ty, (&name, version, fingerprint));
            }
            (signal, Some(peer)) if !self.inner.lets_signal(&peer, &signal) => self.end_run(),
            (signal, Some(peer)) => {
                // Signals keep their place among the pair's messages.
                self.end_run();
                if self.inner.is_flooded_by(&signal) {
                    return self.violation("more signals than their receiver has room for");
                }
                self.inner.take_signal(&peer, signal);
            }
        }
    }

    /// The peer has said something beyond the handshake: it knows that it is welcome here, and has
    /// said before that we are welcome there.
    fn speaks(&mut self) {
        if !self.handshake.is_done()
            && let Some(action) = self.handshake.message()
        {
            self.act(action);
        }
    }

    /// More than gossip has come. A link that was set aside is not any more, before that is looked at.
    fn uses(&self) {
        if let Some(peer) = &self.peer
            && peer.uses()
        {
            self.inner.take_back(peer);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(signal) => self.say(&signal),
            Action::Refuse(refused) => self.refuse(refused, true),
            Action::Verified(hello, version) => self.verified(hello, version),
            Action::Welcome => self.welcome(),
        }
    }

    fn verified(&mut self, hello: Hello, version: u16) {
        tracing::debug!(peer = %hello.member.name, version, "verified");
        match self.inner.admit(&self.link, self.control, hello) {
            Ok(peer) => self.peer = Some(Arc::new(peer)),
            Err(NotAdmitted { why, tell }) => self.refuse(why.into(), tell),
        }
    }

    fn welcome(&mut self) {
        let Some(peer) = self.peer.clone() else { return };
        match self.inner.peer_up(peer.clone()) {
            Ok(()) => {
                self.is_up = true;
                self.state.finish(Ok(peer.id));
            }
            Err(NotAdmitted { why, tell }) => self.refuse(why.into(), tell),
        }
    }

    fn lost(&mut self, loss: &LinkLoss) {
        self.end_run();
        self.inner.links.lock().end(self.link.id());
        self.state.finish(Err(loss.to_string().into()));
        // One that was verified and not welcomed has never been a peer.
        if let Some(peer) = self.peer.take().filter(|_| self.is_up) {
            self.inner.peer_lost(&peer, loss);
        }
    }
}

impl LinkSink for Sink {
    fn event(&mut self, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Received { .. } if self.is_over => {}
            LinkEvent::Received { connection, payload, extensions } => {
                if extensions.is_empty() {
                    return self.received(connection, payload);
                }
                // One that must be understood and is not ends the link.
                if let Err(error) = frame::refuse_critical(extensions, Behalf::is_known) {
                    return self.violation(&error.to_string());
                }
                self.behalf = match Behalf::find(extensions) {
                    Ok(behalf) => behalf,
                    Err(what) => return self.violation(what),
                };
                // Who may not see processes here has none of them traced.
                let traces = self.may_not(Role::Inspect).is_none();
                self.context = TraceContext::find(extensions).filter(|_| traces);
                self.received(connection, payload);
                (self.context, self.behalf) = (None, None);
            }
            LinkEvent::Lost(loss) => self.lost(&loss),
            _ => {}
        }
    }

    fn batch_end(&mut self) {
        self.end_run();
        self.run_to = Place::NOBODY;
        if let Some(peer) = &self.peer {
            peer.received.show(self.traffic);
        }
    }
}

/// The payload to keep: a slice of what was given, or a copy.
fn keep(payload: &[u8], large: Option<&Bytes>) -> Bytes {
    match large {
        Some(whole) if payload.len() > SMALL_MAX => whole.slice_ref(payload),
        _ => Bytes::copy_from_slice(payload),
    }
}

const _: () = assert!(MESSAGE_HEAD < SMALL_MAX);
