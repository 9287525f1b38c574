//! Takes sockets in and answers their hello.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use midflight_runtime::{Instant, spawn, timeout_at};
use midflight_transport_api::Address;
use tokio::net::{TcpListener, TcpStream};

use crate::handshake::{Introduction, Message, Refusal};
use crate::link::{Made, TcpLink};
use crate::shared::Shared;
use crate::socket::{NotHeard, Socket};
use crate::table::{Confirmed, Greeted, Ticket};

/// How long to wait when the system gives no socket, as when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until it is ended.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let Some(place) = HalfOpen::take(&shared) else {
                    tracing::warn!(%from, "dropped: too many sockets are in their handshake");
                    continue;
                };
                spawn(&shared.runtime, "tcp accepted", accepted(place, stream, from));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                shared.runtime.sleep(PAUSE).await;
            }
        }
    }
}

/// One of the places for sockets in their handshake.
struct HalfOpen(Arc<Shared>);

impl HalfOpen {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let taken = shared.half_open.fetch_add(1, Ordering::Relaxed);
        // Made first, so that the place is given back also when it was one too many.
        let place = Self(shared.clone());
        (taken < shared.config.half_open_max).then_some(place)
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.0.half_open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accepted(place: HalfOpen, stream: TcpStream, from: SocketAddr) {
    let shared = &place.0;
    let deadline = shared.runtime.now() + shared.config.handshake_deadline;
    match timeout_at(&*shared.runtime, deadline, greet(shared, stream, deadline)).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => tracing::warn!(%from, %reason, "no link"),
        Err(_elapsed) => tracing::warn!(%from, reason = "the handshake took too long", "no link"),
    }
}

async fn greet(shared: &Arc<Shared>, stream: TcpStream, deadline: Instant) -> Result<(), NotHeard> {
    let mut socket = Socket::new(stream, &shared.config)?;
    let hello = match socket.hear().await {
        Ok(Message::Hello(hello)) => hello,
        Ok(_) => return Err(NotHeard::Malformed(crate::handshake::Malformed::Unexpected)),
        Err(error) => {
            if matches!(error, NotHeard::Versions { .. }) {
                socket.say(&Message::Refusal(Refusal::NoCommonVersion)).await?;
            }
            return Err(error);
        }
    };
    let ticket = match decide(shared, &hello) {
        Ok(ticket) => ticket,
        Err(refusal) => {
            tracing::debug!(peer = %hello.address, %refusal, "refused");
            socket.say(&Message::Refusal(refusal)).await?;
            return Ok(());
        }
    };
    let attempt = Attempt { shared, peer: &hello.address, ticket };
    socket.say(&Message::Welcome(shared.introduction())).await?;
    match socket.hear().await {
        Ok(Message::Confirmation) => {}
        Ok(_) => return Err(NotHeard::Malformed(crate::handshake::Malformed::Unexpected)),
        // Who has got a link by its own dial, or ours, leaves without a word.
        Err(NotHeard::Io(_)) => return Ok(()),
        Err(error) => return Err(error),
    }
    attempt.take(socket, &hello, deadline).await;
    Ok(())
}

fn decide(shared: &Shared, hello: &Introduction) -> Result<Ticket, Refusal> {
    if hello.nonce == shared.nonce || hello.address == shared.address {
        return Err(Refusal::Oneself);
    }
    match shared.change(|links| links.hello(&hello.address)) {
        Greeted::Welcome(ticket) => Ok(ticket),
        Greeted::Crossed => Err(Refusal::Crossed),
        Greeted::TooMany => Err(Refusal::TooMany),
        Greeted::Closed => Err(Refusal::Closed),
    }
}

/// A welcome given; taken back when it is dropped.
struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    peer: &'a Address,
    ticket: Ticket,
}

impl Attempt<'_> {
    /// The confirmation came: the socket becomes the link, after the loss of an older one is told.
    async fn take(&self, socket: Socket, hello: &Introduction, deadline: Instant) {
        let (shared, peer, ticket) = (self.shared, self.peer, self.ticket);
        let mut socket = Some(socket);
        let made = shared.until(|links| match links.confirmed(peer, ticket) {
            Confirmed::Wait => None,
            Confirmed::Stale => Some(None),
            Confirmed::Take => {
                let made = TcpLink::make(shared, peer.clone(), hello, socket.take()?);
                links.insert(peer, peer, made.link.clone());
                Some(Some(made))
            }
        });
        if let Ok(Some(made)) = timeout_at(&*shared.runtime, deadline, made).await {
            Made::start(made, shared, Vec::new());
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.shared.change(|links| links.accept_ended(self.peer, self.ticket));
    }
}
