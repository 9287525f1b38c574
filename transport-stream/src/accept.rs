//! Takes streams in and answers their hello.

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{Instant, spawn, timeout, timeout_at};
use midflight_transport_api::{Address, LinkLoss, LossKind};

use crate::greeting::{Greeting, NotHeard};
use crate::handshake::{Introduction, Malformed, Message, Refusal};
use crate::link::{Made, StreamLink};
use crate::shared::Shared;
use crate::table::{Confirmed, Greeted, Ticket};
use crate::{Arrival, Listener};

/// How long to wait when the system gives no stream, as when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until it is ended.
pub(crate) async fn run(shared: Arc<Shared>, mut listener: Box<dyn Listener>) {
    loop {
        match listener.accept().await {
            Ok(arrival) => {
                let from = arrival.from.clone();
                // Now, because handshakes that run beside each other end in any order.
                let ticket = shared.ticket();
                let accepted = accepted(shared.clone(), arrival, ticket);
                let task = spawn(&shared.runtime, "accepted", accepted);
                if let Some(from) = shared.half_open.add(from, task, shared.config.half_open_max) {
                    shared.complain(&from, "too many handshakes, and this was the longest");
                }
            }
            Err(error) => {
                shared.complain("nobody", format_args!("cannot accept: {error}"));
                shared.runtime.sleep(PAUSE).await;
            }
        }
    }
}

async fn accepted(shared: Arc<Shared>, arrival: Arrival, ticket: Ticket) {
    let Arrival { from, stream } = arrival;
    let deadline = shared.runtime.now() + shared.config.handshake_deadline;
    let greeted = async {
        let stream = stream.await?;
        let greeting = Greeting::new(stream, shared.config.versions);
        greet(&shared, greeting, ticket, deadline).await
    };
    match timeout_at(&*shared.runtime, deadline, greeted).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => shared.complain(&from, reason),
        Err(_elapsed) => shared.complain(&from, "the handshake took too long"),
    }
}

async fn greet(
    shared: &Arc<Shared>,
    mut greeting: Greeting,
    ticket: Ticket,
    deadline: Instant,
) -> Result<(), NotHeard> {
    let hello = match greeting.hear().await {
        Ok(Message::Hello(hello)) => hello,
        Ok(_) => return Err(NotHeard::Malformed(Malformed::Unexpected)),
        Err(error) => {
            if matches!(error, NotHeard::Versions { .. }) {
                greeting.say(&Message::Refusal(Refusal::NoCommonVersion, None)).await?;
            }
            return Err(error);
        }
    };
    if let Err(wrong) = greeting.check(&hello.address, shared.address.scheme()) {
        if matches!(wrong, NotHeard::NotCovered { .. }) {
            // It may be a decent node with the wrong certificate.
            greeting.say(&Message::Refusal(Refusal::NotCovered, None)).await?;
        }
        return Err(wrong);
    }
    if let Err(refusal) = decide(shared, &hello, greeting.identity(), ticket).await {
        // That two dial each other is as it should be; and the peer may know us by another name.
        let dials_meet = matches!(refusal, Refusal::Crossed | Refusal::Linked);
        if dials_meet {
            tracing::debug!(peer = %hello.address, %refusal, "refused");
        } else {
            shared.complain(hello.address.as_str(), refusal);
        }
        let from = dials_meet.then(|| shared.address.clone());
        greeting.say(&Message::Refusal(refusal, from)).await?;
        return Ok(());
    }
    let attempt = Attempt { shared, peer: &hello.address, ticket };
    greeting.say(&Message::Welcome(shared.introduction())).await?;
    match greeting.hear().await {
        Ok(Message::Confirmation) => {}
        Ok(_) => return Err(NotHeard::Malformed(Malformed::Unexpected)),
        // Who has got a link by its own dial, or ours, leaves without a word.
        Err(NotHeard::Io(error)) => {
            tracing::debug!(peer = %hello.address, %error, "welcome, and left");
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    attempt.take(greeting, &hello, deadline).await;
    Ok(())
}

async fn decide(
    shared: &Shared,
    hello: &Introduction,
    identity: Option<&str>,
    ticket: Ticket,
) -> Result<(), Refusal> {
    if hello.nonce == shared.nonce || hello.address == shared.address {
        return Err(Refusal::Oneself);
    }
    loop {
        match shared.change(|links| links.hello(&hello.address, ticket)) {
            Greeted::Welcome => return Ok(()),
            Greeted::Crossed => return Err(Refusal::Crossed),
            Greeted::TooMany => return Err(Refusal::TooMany),
            Greeted::Closed => return Err(Refusal::Closed),
            Greeted::Linked(link) if !link.is_of(identity) => return Err(Refusal::Taken),
            Greeted::Linked(link) => {
                if lives(shared, &link).await {
                    return Err(Refusal::Linked);
                }
            }
        }
    }
}

/// Whether the link that is there already lives, while somebody of the same name says hello: a peer
/// that has lost it is heard no more. While our own sink takes nothing, none can be heard, and the link
/// has the benefit of the doubt. Once it is clear that it does not, it has been ended.
async fn lives(shared: &Shared, link: &Arc<StreamLink>) -> bool {
    let probe = link.probe();
    // A living peer says something every eighth of our bound. Half of it, because anybody can say a
    // hello, and the machine may be late; less, if who has said it does not wait so long.
    let patience = (shared.config.heartbeat / 2).min(shared.config.handshake_deadline / 2);
    let sign = shared.until(|_| {
        let lost = link.outbox.is_lost();
        (lost || probe.answered()).then_some(!lost)
    });
    let lives = timeout(&*shared.runtime, patience, sign).await;
    // Under a bound so long that no sign was due yet, silence proves nothing.
    let due = patience >= shared.config.heartbeat / 4;
    let lives = lives.unwrap_or_else(|_elapsed| !due || probe.answered());
    if !lives {
        let detail = "the peer makes another link, and is silent on this one";
        link.outbox.fail(LinkLoss::new(LossKind::Broken, detail));
    }
    lives
}

/// A welcome given; taken back when it is dropped.
struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    peer: &'a Address,
    ticket: Ticket,
}

impl Attempt<'_> {
    /// The confirmation came: the stream becomes the link, after the loss of an older one is told.
    async fn take(&self, greeting: Greeting, hello: &Introduction, deadline: Instant) {
        let (shared, peer, ticket) = (self.shared, self.peer, self.ticket);
        let mut greeting = Some(greeting);
        let made = shared.until(|links| match links.confirmed(peer, ticket) {
            Confirmed::Wait => None,
            Confirmed::Stale => Some(None),
            Confirmed::Take => {
                let made = StreamLink::make(shared, peer.clone(), hello, greeting.take()?);
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
