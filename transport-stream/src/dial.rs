//! Makes a link by dialling, for all who wait for it.

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{timeout, timeout_at};
use midflight_transport_api::{Address, ConnectErrorKind};

use crate::greeting::{Greeting, NotHeard};
use crate::handshake::{self, Introduction, Malformed, Message, Refusal};
use crate::link::{Made, StreamLink};
use crate::shared::{DialResult, Failure, Shared};
use crate::table::{Entry as _, Ticket, Welcomed};

/// How long to wait at first for the link of the other side's dial before dialling again.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Dials `peer` until there is a link, by this side's dial or the other's, or it is clear that there
/// will be none.
pub(crate) async fn run(
    shared: Arc<Shared>,
    peer: Address,
    ticket: Ticket,
    result: Arc<DialResult>,
) {
    let mut ending = Ending { shared, ticket, result, outcome: None };
    let shared = &ending.shared;
    let deadline = shared.runtime.now() + shared.config.handshake_deadline;
    let closed = shared.until(|links| links.is_closed().then_some(()));
    let dialled = async {
        tokio::select! {
            biased;
            dialled = dial(shared, &peer, ticket) => dialled,
            () = closed => Err(ConnectErrorKind::Closed.into()),
        }
    };
    let dialled = timeout_at(&*shared.runtime, deadline, dialled).await;
    ending.outcome =
        Some(dialled.unwrap_or_else(|_elapsed| Err(ConnectErrorKind::TimedOut.into())));
}

/// Takes the dial out of the table, and tells those who wait how it has ended, whatever ended it.
struct Ending {
    shared: Arc<Shared>,
    ticket: Ticket,
    result: Arc<DialResult>,
    outcome: Option<Result<Arc<StreamLink>, Failure>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let given_up = || Err(Failure::new(ConnectErrorKind::Unreachable, "the dial was given up"));
        let outcome = self.outcome.take().unwrap_or_else(given_up);
        self.shared.change(|links| {
            links.dial_ended(self.ticket);
            // Nobody else sets it.
            let _ = self.result.set(outcome);
        });
    }
}

/// What one attempt gave.
enum Attempted {
    Link(Arc<StreamLink>),
    /// The link of this name is made by the other side.
    Crossed(Address),
}

async fn dial(
    shared: &Arc<Shared>,
    peer: &Address,
    ticket: Ticket,
) -> Result<Arc<StreamLink>, Failure> {
    let mut pause = PAUSE_FIRST;
    loop {
        // The other side may make the link while our dial still waits for an answer.
        let theirs = shared.until(|links| links.link(peer).filter(|link| link.is_usable()));
        let attempt = tokio::select! {
            biased;
            link = theirs => Attempted::Link(link),
            attempt = attempt(shared, peer, ticket) => attempt?,
        };
        let name = match attempt {
            Attempted::Link(link) => return Ok(link),
            Attempted::Crossed(name) => name,
        };
        let theirs = shared.until(|links| links.link(&name).filter(|link| link.is_usable()));
        if let Ok(link) = timeout(&*shared.runtime, pause, theirs).await {
            return Ok(link);
        }
        pause = (pause * 2).min(PAUSE_MAX);
        shared.change(|links| links.dial_again(peer));
    }
}

async fn attempt(
    shared: &Arc<Shared>,
    peer: &Address,
    ticket: Ticket,
) -> Result<Attempted, Failure> {
    let refused = |e: NotHeard| Failure::new(e.kind(), e);
    let io = |e| refused(NotHeard::Io(e));
    let stream = shared.carrier.dial(&shared.address, peer).await.map_err(|e| Failure::of(&e))?;
    let mut greeting = Greeting::new(stream, shared.config.versions);
    greeting.say(&Message::Hello(shared.introduction())).await.map_err(io)?;
    let welcome = match greeting.hear().await.map_err(refused)? {
        Message::Welcome(welcome) => welcome,
        // The link is made by the other side, or is still there for it, perhaps under another name.
        Message::Refusal(Refusal::Crossed | Refusal::Linked, from) => {
            let may_be = |from: &Address| greeting.check(from, peer.scheme()).is_ok();
            return Ok(Attempted::Crossed(from.filter(may_be).unwrap_or_else(|| peer.clone())));
        }
        Message::Refusal(refusal, _) => return Err(refusal_failure(refusal)),
        _ => return Err(refused(NotHeard::Malformed(Malformed::Unexpected))),
    };
    if welcome.nonce == shared.nonce || welcome.address == shared.address {
        return Err(refusal_failure(Refusal::Oneself));
    }
    greeting.check(&welcome.address, peer.scheme()).map_err(refused)?;
    let confirmed = confirm(shared, peer, &welcome, ticket, greeting)?;
    let Some(made) = confirmed else { return Ok(Attempted::Crossed(welcome.address)) };
    let link = made.link.clone();
    let confirmation = handshake::encode(&Message::Confirmation, shared.config.versions);
    Made::start(made, shared, confirmation);
    shared.until(|_| link.is_up().then_some(())).await;
    Ok(Attempted::Link(link))
}

/// The stream becomes the link, unless there is one already or the other's dial counts.
fn confirm(
    shared: &Arc<Shared>,
    peer: &Address,
    welcome: &Introduction,
    ticket: Ticket,
    greeting: Greeting,
) -> Result<Option<Made>, Failure> {
    shared.change(|links| match links.welcomed(peer, &welcome.address, ticket) {
        Welcomed::Confirm => {
            let made = StreamLink::make(shared, peer.clone(), welcome, greeting);
            links.insert(peer, &welcome.address, made.link.clone());
            Ok(Some(made))
        }
        Welcomed::Yield => Ok(None),
        Welcomed::TooMany => Err(ConnectErrorKind::TooMany.into()),
    })
}

fn refusal_failure(refusal: Refusal) -> Failure {
    match refusal {
        // It is there, but not for long.
        Refusal::Closed => Failure::new(ConnectErrorKind::NotFound, refusal),
        Refusal::Oneself => Failure::new(ConnectErrorKind::BadAddress, refusal),
        _ => Failure::new(ConnectErrorKind::Refused, refusal),
    }
}
