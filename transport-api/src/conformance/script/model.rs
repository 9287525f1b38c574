//! What the endpoints of a script may have been told. Pure: a [`History`] in, a verdict out.
//!
//! - A link is up, then come its events, then it is lost, once, and nothing comes after that.
//! - Two links between the same two do not overlap: the loss of one is told before the next is up.
//! - A connection is opened once, carries the beginning of what was sent on it, in order and once, and
//!   nothing after its close.
//! - All that was sent has come when a connection was closed, or its link ended by agreement.
//! - Where nothing was broken on purpose, everything ends by agreement, and all that was sent came.
//! - A link carries what was sent on one link of the other side, and on no other.
//! - The peer never calls what we send a violation.

use std::collections::{BTreeMap, BTreeSet};

use crate::conformance::Seen;
use crate::{ConnectionId, LinkId, LinkLoss, LossKind};

/// What came of a script.
#[derive(Debug, Clone)]
pub struct History {
    /// Every endpoint that was ever open; one that was opened again is another.
    pub ends: Vec<End>,
    /// How many messages were taken on each connection.
    pub sent: BTreeMap<Stream, u32>,
    /// Whether the script broke nothing.
    pub peaceful: bool,
    /// What went wrong on the way.
    pub problems: Vec<String>,
}

/// What one endpoint was told.
#[derive(Debug, Clone)]
pub struct End {
    /// Which endpoint it was.
    pub who: usize,
    /// To which endpoint each of its links went.
    pub peers: BTreeMap<LinkId, usize>,
    /// Everything, in order.
    pub told: Vec<(LinkId, Seen)>,
}

/// A connection of an endpoint's link. `end` is the place among [`History::ends`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the parts of a name")]
pub struct Stream {
    pub end: usize,
    pub link: LinkId,
    pub connection: ConnectionId,
}

/// What each message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Where it was sent.
    pub stream: Stream,
    /// The how manieth it was there, from zero.
    pub number: u32,
}

impl Tag {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Stream { end, link, connection } = self.stream;
        let numbers = [end as u64, link.0, u64::from(connection.0), u64::from(self.number)];
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// From the beginning of a message; none when nobody here sent that.
    #[must_use]
    pub fn decode(message: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = message.get(at * 8..at * 8 + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        Some(Self {
            stream: Stream {
                end: usize::try_from(number(0)?).ok()?,
                link: LinkId(number(1)?),
                connection: ConnectionId(u32::try_from(number(2)?).ok()?),
            },
            number: u32::try_from(number(3)?).ok()?,
        })
    }
}

/// Whether it may be.
///
/// # Errors
/// What may not, in words.
pub fn check(history: &History) -> Result<(), String> {
    if let Some(problem) = history.problems.first() {
        return Err(problem.clone());
    }
    let mut came = BTreeMap::new();
    for (place, end) in history.ends.iter().enumerate() {
        let mut view = View {
            history,
            end,
            up: BTreeMap::new(),
            ended: BTreeSet::new(),
            far: BTreeMap::new(),
            came: &mut came,
        };
        for (link, seen) in &end.told {
            view.take(*link, seen).map_err(|why| {
                let elsewhere = losses(history);
                format!("endpoint {} (opened as {place}), {link:?}: {why}{elsewhere}", end.who)
            })?;
        }
        if let Some((peer, (link, _))) = view.up.first_key_value() {
            return Err(format!(
                "endpoint {}: the loss of {link:?} to {peer} was never told",
                end.who
            ));
        }
    }
    if history.peaceful {
        for (stream, sent) in &history.sent {
            let came = came.get(stream).copied().unwrap_or(0);
            if came != *sent {
                return Err(format!("nothing was broken, and {came} of {sent} came of {stream:?}"));
            }
        }
    }
    Ok(())
}

/// The connections that the other side has open on a link, and how many messages have come on each.
type Open = BTreeMap<ConnectionId, u32>;

/// What one endpoint has been told so far.
struct View<'a> {
    history: &'a History,
    end: &'a End,
    /// The living link to each peer.
    up: BTreeMap<usize, (LinkId, Open)>,
    ended: BTreeSet<LinkId>,
    /// Whose link a link is at the other end, as its messages say.
    far: BTreeMap<LinkId, (usize, LinkId)>,
    /// How many messages of each connection have come, here and elsewhere.
    came: &'a mut BTreeMap<Stream, u32>,
}

impl View<'_> {
    fn take(&mut self, link: LinkId, seen: &Seen) -> Result<(), String> {
        let peer = *self.end.peers.get(&link).ok_or("it was never shown")?;
        if self.ended.contains(&link) {
            return Err(format!("{} after its loss", short(seen)));
        }
        if *seen == Seen::Up {
            return match self.up.insert(peer, (link, Open::new())) {
                Some((old, _)) => Err(format!("it is up before the loss of {old:?} is told")),
                None => Ok(()),
            };
        }
        let open = match self.up.get_mut(&peer) {
            Some((living, open)) if *living == link => open,
            _ => return Err(format!("{} before it is up", short(seen))),
        };
        match seen {
            Seen::Up => Ok(()),
            Seen::Opened(connection) => match open.insert(*connection, 0) {
                Some(_) => Err(format!("{connection} is opened twice")),
                None => Ok(()),
            },
            Seen::Received { connection, payload, .. } => self.message(link, *connection, payload),
            Seen::Closed(connection) => {
                let count = open.remove(connection);
                let count =
                    count.ok_or_else(|| format!("{connection} is closed, and was not open"))?;
                self.whole(link, *connection, count, "was closed")
            }
            Seen::Lost(loss) => self.lost(peer, link, loss),
        }
    }

    fn message(&mut self, link: LinkId, on: ConnectionId, payload: &[u8]) -> Result<(), String> {
        let Tag { stream, number } = Tag::decode(payload).ok_or("a message that nobody sent")?;
        let peer = self.end.peers.get(&link);
        let from = self.history.ends.get(stream.end).map(|end| end.who);
        if from.as_ref() != peer || stream.connection != on {
            return Err(format!("a message of {stream:?} on {on}"));
        }
        let far = *self.far.entry(link).or_insert((stream.end, stream.link));
        let links = self.far.values().filter(|other| **other == far).count();
        if far != (stream.end, stream.link) || links > 1 {
            return Err(format!("a message of {stream:?}, which is another link"));
        }
        let open = self.up.values_mut().find(|(living, _)| *living == link);
        let count = open.and_then(|(_, open)| open.get_mut(&on));
        let count = count.ok_or_else(|| format!("a message on {on}, which is not open"))?;
        if number != *count {
            let what = if number < *count { "again or late" } else { "out of order" };
            return Err(format!("message {number} on {on} came {what}: {count} was the next"));
        }
        *count += 1;
        self.came.insert(stream, *count);
        Ok(())
    }

    fn lost(&mut self, peer: usize, link: LinkId, loss: &LinkLoss) -> Result<(), String> {
        let open = self.up.remove(&peer).map(|(_, open)| open).unwrap_or_default();
        self.ended.insert(link);
        match loss.kind {
            LossKind::Violation => return Err(format!("a violation: {loss}")),
            LossKind::Closed => {}
            _ if self.history.peaceful => {
                return Err(format!("nothing was broken, and yet: {loss}"));
            }
            _ => return Ok(()),
        }
        open.into_iter().try_for_each(|(connection, count)| {
            self.whole(link, connection, count, "ended with its link, by agreement")
        })
    }

    /// All that was sent on a connection must have come.
    fn whole(&self, link: LinkId, on: ConnectionId, came: u32, why: &str) -> Result<(), String> {
        // Of a link without a message nobody knows which it is at the other end.
        let Some((end, link)) = self.far.get(&link).copied() else { return Ok(()) };
        let sent = self.history.sent.get(&Stream { end, link, connection: on }).copied();
        match sent {
            Some(sent) if sent == came => Ok(()),
            sent => Err(format!("{on} {why}, and {came} of {} came", sent.unwrap_or(0))),
        }
    }
}

/// What each endpoint was told of its links' ends, besides agreement: the other end knows why.
fn losses(history: &History) -> String {
    let mut all = String::new();
    for end in &history.ends {
        for (link, seen) in &end.told {
            if let Seen::Lost(loss) = seen
                && loss.kind != LossKind::Closed
            {
                let peer = end.peers.get(link);
                all += &format!("\n  endpoint {}, {link:?} to {peer:?}: {loss}", end.who);
            }
        }
    }
    if all.is_empty() { all } else { format!("\nLosses told:{all}") }
}

fn short(seen: &Seen) -> String {
    match seen {
        Seen::Received { connection, payload, .. } => {
            format!("a message of {} bytes on {connection}", payload.len())
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests;
