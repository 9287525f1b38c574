//! Random scripts, and what every endpoint may have seen of them.
//!
//! A script is a sequence of connects, opens, sends, closes and breaks. The model: a link is up, then
//! there are its events, then it is lost, once; two links between the same two do not overlap; a
//! connection is opened, carries a beginning of what was sent on it, in order, and after its close
//! nothing; all of it when the connection was closed or the link ended by agreement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::{Fixture, Outcome, Party, Seen};
use crate::{ConnectionId, Link, LinkId, LossKind, SendErrorKind};

const SCRIPTS: u64 = 12;
const STEPS: usize = 60;

/// Scripts of two endpoints.
pub async fn scripts_of_two(f: Fixture) -> Outcome {
    run(&f, 2).await
}

/// Scripts of three endpoints.
pub async fn scripts_of_three(f: Fixture) -> Outcome {
    run(&f, 3).await
}

async fn run(f: &Fixture, count: usize) -> Outcome {
    for seed in 0..SCRIPTS {
        let mut parties = Vec::new();
        for n in 0..count {
            parties.push(Party::open(f, &format!("s{seed}n{n}")).await);
        }
        let mut script =
            Script { random: seed, parties, handles: Vec::new(), sent: BTreeMap::new() };
        for _ in 0..STEPS {
            script.step().await;
        }
        // Everything that lives ends politely.
        for party in &script.parties {
            party.end().close().await;
        }
        script.check(seed);
    }
    Ok(())
}

/// A connection of which somebody holds the number.
struct Handle {
    owner: usize,
    link: Arc<dyn Link>,
    connection: ConnectionId,
    closed: bool,
}

/// Who, on which of its links, on which connection.
type Stream = (usize, LinkId, ConnectionId);

struct Script {
    random: u64,
    parties: Vec<Party>,
    handles: Vec<Handle>,
    /// How many messages were taken on each connection.
    sent: BTreeMap<Stream, u32>,
}

impl Script {
    fn draw(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (self.random >> 33) as usize % below
    }

    fn draw_handle(&mut self) -> Option<usize> {
        let count = self.handles.len();
        (count > 0).then(|| self.draw(count))
    }

    async fn step(&mut self) {
        let count = self.parties.len();
        let from = self.draw(count);
        let to = (from + 1 + self.draw(count - 1)) % count;
        let target = self.parties[to].address().clone();
        match self.draw(16) {
            0..=4 => {
                let link = self.parties[from].end().connect(&target).await.expect("it is there");
                // The link may be lost at any time, but there is no other reason to refuse.
                match link.open() {
                    Ok(connection) => {
                        self.sent.insert((from, link.id(), connection), 0);
                        self.handles.push(Handle { owner: from, link, connection, closed: false });
                    }
                    Err(error) => assert_eq!(*error.kind(), SendErrorKind::LinkLost),
                }
            }
            5..=11 => self.send(),
            12..=13 => {
                if let Some(handle) = self.draw_handle() {
                    let handle = &mut self.handles[handle];
                    handle.closed |= handle.link.close_connection(handle.connection).is_ok();
                }
            }
            14 => {
                self.parties[from].end().break_link(&target);
            }
            _ => {
                if let Some(handle) = self.draw_handle() {
                    self.handles[handle].link.close();
                }
            }
        }
    }

    fn send(&mut self) {
        let Some(handle) = self.draw_handle() else { return };
        let padding = [0, 10, 5000, 150_000][self.draw(4)];
        let Handle { owner, link, connection, closed } = &self.handles[handle];
        let stream = (*owner, link.id(), *connection);
        let number = self.sent[&stream];
        let mut result = Ok(());
        let wrote = link.write(&mut |outgoing| {
            let head = [owner.to_le_bytes(), (number as usize).to_le_bytes()].concat();
            let head = [&head[..], &link.id().0.to_le_bytes()].concat();
            result = outgoing.message_bytes(*connection, &head, Bytes::from(vec![0; padding]));
        });
        match wrote.and(result) {
            Ok(()) => {
                assert!(!closed, "a closed connection refuses");
                self.sent.insert(stream, number + 1);
            }
            Err(error) => match error.kind() {
                SendErrorKind::Closed => assert!(closed),
                SendErrorKind::LinkLost | SendErrorKind::Full => {}
                other => panic!("{other}"),
            },
        }
    }

    fn check(&self, seed: u64) {
        for (who, party) in self.parties.iter().enumerate() {
            let peers: BTreeMap<_, _> =
                party.links().iter().map(|link| (link.id(), link.peer().address.clone())).collect();
            let mut traces: BTreeMap<LinkId, Trace> = BTreeMap::new();
            let mut up = BTreeSet::new();
            for (link, seen) in party.seen() {
                let context = format!("script {seed}, endpoint {who}, {link:?}");
                let trace = traces.entry(link).or_default();
                match &seen {
                    Seen::Up => assert!(up.insert(peers[&link].clone()), "{context}: overlap"),
                    Seen::Lost(_) => assert!(up.remove(&peers[&link]), "{context}: lost twice"),
                    _ => assert!(up.contains(&peers[&link]), "{context}: {seen:?} out of place"),
                }
                trace.take(&seen, &self.sent, &context);
            }
            assert!(up.is_empty(), "script {seed}: every loss is told");
        }
    }
}

/// What has come on one link.
#[derive(Default)]
struct Trace {
    /// Open connections and how many messages have come.
    open: BTreeMap<ConnectionId, u32>,
    /// Whose link it is at the other end.
    other: Option<(usize, LinkId)>,
}

impl Trace {
    fn take(&mut self, seen: &Seen, sent: &BTreeMap<Stream, u32>, context: &str) {
        let whole = |other: Option<(usize, LinkId)>, connection, count| {
            if let Some((owner, link)) = other {
                assert_eq!(sent[&(owner, link, connection)], count, "{context}: {connection}");
            }
        };
        match seen {
            Seen::Up => {}
            Seen::Opened(connection) => {
                assert!(self.open.insert(*connection, 0).is_none(), "{context}: opened twice");
            }
            Seen::Received { connection, payload, .. } => {
                let number = |at: usize| {
                    let bytes = payload[at * 8..][..8].try_into().expect("eight bytes");
                    usize::from_le_bytes(bytes)
                };
                let other = (number(0), LinkId(number(2) as u64));
                assert_eq!(*self.other.get_or_insert(other), other, "{context}: another link's");
                let count = self.open.get_mut(connection).expect("it is open");
                assert_eq!(number(1), *count as usize, "{context}: {connection} in order");
                *count += 1;
            }
            Seen::Closed(connection) => {
                let count = self.open.remove(connection).expect("it was open");
                whole(self.other, *connection, count);
            }
            Seen::Lost(loss) if loss.kind == LossKind::Closed => {
                for (connection, count) in &self.open {
                    whole(self.other, *connection, *count);
                }
            }
            Seen::Lost(_) => {}
        }
    }
}
