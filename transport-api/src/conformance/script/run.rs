//! Does the steps of a script and writes down what came of them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::Step;
use super::model::{self, End, History, Stream, Tag};
use crate::conformance::{Fixture, Party};
use crate::{
    Address, Bind, ConnectError, ConnectErrorKind, Link, OpenErrorKind, Room, SendErrorKind,
};

/// No step takes so long, whatever the backend's deadlines.
const STEP_MAX: Duration = Duration::from_secs(30);

/// Runs `script` with endpoints of names that begin with `name`.
///
/// # Errors
/// What the backend did and must not.
pub(super) async fn run(
    f: &Fixture,
    name: &str,
    endpoints: usize,
    script: &[Step],
) -> Result<(), String> {
    let mut run = Run::new(f);
    for who in 0..endpoints {
        let party = Party::open(f, &format!("{name}n{who}")).await;
        run.add(who, party);
    }
    for (place, step) in script.iter().enumerate() {
        within(f, run.step(step))
            .await
            .ok_or_else(|| format!("step {place}, {step:?}, does not end"))?;
    }
    let ended = within(f, run.end()).await;
    // What the model says is nearer to the reason.
    model::check(&run.history(script))?;
    ended.ok_or_else(|| String::from("closing everything does not end"))
}

/// What `work` gives, unless it takes too long.
async fn within<T>(f: &Fixture, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut limit) = (pin!(work), f.sleep(STEP_MAX));
    std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// A connection of which somebody holds the number.
struct Handle {
    stream: Stream,
    link: Arc<dyn Link>,
    closed: bool,
}

struct Run<'a> {
    f: &'a Fixture,
    /// All that were ever opened, and which of the endpoints each was.
    parties: Vec<(usize, Party)>,
    /// The one that each endpoint is now.
    now: Vec<usize>,
    handles: Vec<Handle>,
    cuts: BTreeSet<(usize, usize)>,
    sent: BTreeMap<Stream, u32>,
    problems: Vec<String>,
}

impl<'a> Run<'a> {
    const fn new(f: &'a Fixture) -> Self {
        Self {
            f,
            parties: Vec::new(),
            now: Vec::new(),
            handles: Vec::new(),
            cuts: BTreeSet::new(),
            sent: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    fn add(&mut self, who: usize, party: Party) {
        self.now.resize(self.now.len().max(who + 1), 0);
        self.now[who] = self.parties.len();
        self.parties.push((who, party));
    }

    fn party(&self, who: usize) -> &Party {
        &self.parties[self.now[who]].1
    }

    /// Where `to` is for `from`: nobody is at its own place.
    fn target(&self, from: usize, to: usize) -> Address {
        if from == to { self.f.nobody.clone() } else { self.party(to).address().clone() }
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Rest => self.f.sleep(Duration::from_millis(1)).await,
            Step::Wait => self.f.sleep(self.f.heartbeat / 2).await,
            Step::Open { from, to } => {
                let target = self.target(from, to);
                let linked = self.party(from).end().connect(&target).await;
                self.opened(from, to, linked);
            }
            Step::Cross { a, b } => {
                let (to_b, to_a) = (self.target(a, b), self.target(b, a));
                let there = self.party(a).end().connect(&to_b);
                let back = self.party(b).end().connect(&to_a);
                let (there, back) = both(there, back).await;
                self.opened(a, b, there);
                self.opened(b, a, back);
            }
            Step::Send { connection, bytes } => self.send(connection, bytes),
            Step::CloseConnection { connection } => {
                if let Some(handle) = nth(&mut self.handles, connection) {
                    let closed = handle.link.close_connection(handle.stream.connection).is_ok();
                    handle.closed |= closed;
                }
            }
            Step::CloseLink { connection } => {
                if let Some(handle) = nth(&mut self.handles, connection) {
                    handle.link.close();
                }
            }
            Step::Break { from, to } => {
                let broke = self.party(from).end().break_link(&self.target(from, to));
                if broke && from == to {
                    self.problems.push(String::from("there was a link to nobody"));
                }
            }
            Step::Restart { who } => self.restart(who).await,
            Step::Cut { a, b } => self.cut(a, b, true),
            Step::Heal { a, b } => self.cut(a, b, false),
        }
    }

    fn opened(&mut self, from: usize, to: usize, linked: Result<Arc<dyn Link>, ConnectError>) {
        let cut = self.cuts.contains(&(from.min(to), from.max(to)));
        let link = match linked {
            Ok(_) if from == to => return self.problems.push(String::from("nobody was there")),
            Ok(link) => link,
            Err(error) => {
                let expected = match error.kind() {
                    ConnectErrorKind::NotFound => from == to,
                    ConnectErrorKind::TimedOut | ConnectErrorKind::Unreachable => cut,
                    _ => false,
                };
                if !expected {
                    self.problems.push(format!("{from} to {to}: {error}"));
                }
                return;
            }
        };
        // The link may be lost at any time, but there is no other reason to refuse.
        match link.open() {
            Ok(connection) => {
                let stream = Stream { end: self.now[from], link: link.id(), connection };
                self.sent.insert(stream, 0);
                self.handles.push(Handle { stream, link, closed: false });
            }
            Err(error) if *error.kind() == SendErrorKind::LinkLost => {}
            Err(error) => self.problems.push(format!("opening: {error}")),
        }
    }

    fn send(&mut self, connection: usize, bytes: usize) {
        let Some(handle) = nth(&mut self.handles, connection) else { return };
        let stream = handle.stream;
        let number = self.sent[&stream];
        let head = Tag { stream, number }.encode();
        let mut result = Ok(());
        let wrote = handle.link.write(Room::of(bytes), &mut |outgoing| {
            result = outgoing.message_bytes(stream.connection, &head, Bytes::from(vec![0; bytes]));
        });
        let problem = match wrote.and(result) {
            Ok(()) => {
                self.sent.insert(stream, number + 1);
                handle.closed.then(|| String::from("a closed connection takes a message"))
            }
            Err(error) => match error.kind() {
                SendErrorKind::Closed if handle.closed => None,
                SendErrorKind::LinkLost | SendErrorKind::Full => None,
                _ => Some(format!("sending: {error}")),
            },
        };
        self.problems.extend(problem);
    }

    async fn restart(&mut self, who: usize) {
        let address = self.party(who).address().clone();
        self.party(who).end().close().await;
        let bind = Bind::Listen { listen: address, advertise: None };
        // The place may be somebody else's for a moment, such as a port that the system gave away.
        for _ in 0..200 {
            match Party::try_with(&*self.f.transport, bind.clone(), false).await {
                Ok(party) => return self.add(who, party),
                Err(error) if *error.kind() == OpenErrorKind::InUse => {
                    self.f.sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("it opens: {error}"),
            }
        }
        panic!("its place is taken for good");
    }

    /// A fixture that cannot is given no such steps.
    fn cut(&mut self, a: usize, b: usize, cut: bool) {
        if a == b {
            return;
        }
        let (one, two) = (self.party(a).address(), self.party(b).address());
        let pair = (a.min(b), a.max(b));
        let done = if cut { self.f.cut(one, two) } else { self.f.heal(one, two) };
        match (done, cut) {
            (Err(why), _) => self.problems.push(why),
            (Ok(()), true) => drop(self.cuts.insert(pair)),
            (Ok(()), false) => drop(self.cuts.remove(&pair)),
        }
    }

    /// Everything that lives ends politely.
    async fn end(&mut self) {
        for (a, b) in self.cuts.clone() {
            self.cut(a, b, false);
        }
        // Links first: a link that one side has just made the other may not know of yet, and when its
        // endpoint closed then, there would be no agreement about it.
        self.parties.iter().flat_map(|(_, party)| party.links()).for_each(|link| link.close());
        for (_, party) in &self.parties {
            for link in party.links() {
                party.told_lost(link.id()).await;
            }
        }
        for (_, party) in &self.parties {
            party.end().close().await;
        }
    }

    fn history(self, script: &[Step]) -> History {
        let places: BTreeMap<_, _> =
            (0..self.now.len()).map(|who| (self.party(who).address().clone(), who)).collect();
        let mut problems = self.problems;
        let mut ends = Vec::new();
        for (who, party) in &self.parties {
            let mut peers = BTreeMap::new();
            for link in party.links() {
                match places.get(&link.peer().address) {
                    Some(peer) => drop(peers.insert(link.id(), *peer)),
                    None => problems.push(format!("{who} has a link to {}", link.peer().address)),
                }
            }
            ends.push(End { who: *who, peers, told: party.seen() });
        }
        let peaceful = !script.iter().any(Step::breaks);
        History { ends, sent: self.sent, peaceful, problems }
    }
}

/// The one at that place, counted round.
fn nth(handles: &mut [Handle], place: usize) -> Option<&mut Handle> {
    let count = handles.len().max(1);
    handles.get_mut(place % count)
}

/// Waits for two together.
async fn both<T>(one: impl Future<Output = T>, two: impl Future<Output = T>) -> (T, T) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    let mut done = (None, None);
    std::future::poll_fn(|cx| {
        if done.0.is_none()
            && let Poll::Ready(first) = one.as_mut().poll(cx)
        {
            done.0 = Some(first);
        }
        if done.1.is_none()
            && let Poll::Ready(second) = two.as_mut().poll(cx)
        {
            done.1 = Some(second);
        }
        match (done.0.take(), done.1.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            some => {
                done = some;
                Poll::Pending
            }
        }
    })
    .await
}
