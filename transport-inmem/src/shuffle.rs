//! Frames of different connections that overtake each other, as nothing forbids.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use midflight_transport_api::frame::{self, CONNECTIONS_MAX, Kind};
use midflight_transport_stream::handshake;

use crate::faults::Faults;

/// Takes a stream of bytes apart into frames and gives those that came together in another order.
///
/// The messages of a handshake pass as they are, and so does what is neither.
#[derive(Debug, Default)]
pub(crate) struct Shuffle {
    /// The beginning of something whose end has not come.
    begun: Vec<u8>,
}

impl Shuffle {
    /// All whole frames up to here, in an order that `chance` chooses.
    pub(crate) fn shuffle(&mut self, bytes: &[u8], chance: &mut Faults) -> Bytes {
        self.begun.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(self.begun.len());
        let mut queues: BTreeMap<Lane, VecDeque<(usize, usize)>> = BTreeMap::new();
        let mut at = 0;
        while let Some((lane, len)) = next(&self.begun[at..]) {
            if lane == Lane::All {
                deal(&self.begun, &mut queues, chance, &mut out);
                out.extend_from_slice(&self.begun[at..at + len]);
            } else {
                queues.entry(lane).or_default().push_back((at, len));
            }
            at += len;
        }
        deal(&self.begun, &mut queues, chance, &mut out);
        self.begun.drain(..at);
        out.into()
    }

    /// What was begun.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.begun).into()
    }
}

/// What keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    /// The connections that have one place in the table, one after the other.
    Place(usize),
    /// Pings and pongs.
    Link,
    /// Nothing overtakes it.
    All,
}

/// The first piece of `bytes`: to which lane it belongs and its length; none when it is not whole.
fn next(bytes: &[u8]) -> Option<(Lane, usize)> {
    if bytes.is_empty() {
        return None;
    }
    match handshake::decode(bytes, handshake::VERSIONS) {
        Ok(Some(heard)) => return Some((Lane::All, heard.len)),
        Ok(None) => return None,
        Err(_no_handshake) => {}
    }
    let Ok(found) = frame::decode(bytes) else { return Some((Lane::All, bytes.len())) };
    let (frame, len) = found?;
    let lane = match frame.kind {
        Kind::Bye => Lane::All,
        Kind::Ping | Kind::Pong => Lane::Link,
        _ => Lane::Place(frame.connection.0 as usize & (CONNECTIONS_MAX - 1)),
    };
    Some((lane, len))
}

/// Empties the queues, taking from any of them each time.
fn deal(
    bytes: &[u8],
    queues: &mut BTreeMap<Lane, VecDeque<(usize, usize)>>,
    chance: &mut Faults,
    out: &mut Vec<u8>,
) {
    while !queues.is_empty() {
        let drawn = chance.draw() % queues.len() as u64;
        let lane = queues.keys().nth(usize::try_from(drawn).unwrap_or(0)).copied();
        let Some(mut queue) = lane.and_then(|lane| queues.remove(&lane)) else { return };
        if let Some((at, len)) = queue.pop_front() {
            out.extend_from_slice(&bytes[at..at + len]);
        }
        if let (Some(lane), false) = (lane, queue.is_empty()) {
            queues.insert(lane, queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use midflight_transport_api::{Batch, Limits, Outgoing};

    use super::*;

    /// Forty messages on four connections.
    fn frames() -> Vec<u8> {
        let mut outgoing = Outgoing::new(Limits::default());
        let connections: Vec<_> = (0..4).map(|_| outgoing.open().expect("it opens")).collect();
        for n in 0..40_u8 {
            outgoing.message(connections[usize::from(n % 4)], &[n]).expect("it is open");
        }
        let mut batch = Batch::new();
        assert!(outgoing.take(&mut batch));
        batch.to_bytes().to_vec()
    }

    fn messages(mut bytes: &[u8]) -> Vec<u8> {
        let mut seen = Vec::new();
        while let Some((frame, len)) = frame::decode(bytes).expect("they are frames") {
            seen.extend_from_slice(frame.payload);
            bytes = &bytes[len..];
        }
        seen
    }

    #[test]
    fn connections_overtake_each_other_and_keep_their_own_order() {
        let bytes = frames();
        let mut shuffle = Shuffle::default();
        let mut faults = Faults::new(7);
        // Cut in the middle of a frame.
        let mut out = shuffle.shuffle(&bytes[..201], &mut faults).to_vec();
        out.extend(shuffle.shuffle(&bytes[201..], &mut faults));
        assert!(shuffle.rest().is_empty());
        let seen = messages(&out);
        assert_ne!(seen, (0..40).collect::<Vec<_>>(), "nothing was reordered");
        for connection in 0..4 {
            let of_one: Vec<_> = seen.iter().filter(|n| *n % 4 == connection).copied().collect();
            assert_eq!(of_one, (0..10).map(|n| 4 * n + connection).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_frame_passes() {
        let mut shuffle = Shuffle::default();
        let garbage = [0xff; 100];
        assert_eq!(shuffle.shuffle(&garbage, &mut Faults::new(1))[..], garbage);
    }
}
