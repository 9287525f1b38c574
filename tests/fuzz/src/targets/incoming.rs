//! The receiving half of a link.

use std::collections::BTreeSet;
use std::mem::discriminant;

use bytes::BufMut as _;
use midflight_transport_api::frame::{CONNECTIONS_MAX, Violation, extensions};
use midflight_transport_api::{ConnectionId, Control, Incoming, LinkEvent, LinkSink};
use parking_lot::Mutex;

use crate::Trail;
use crate::chance::Chance;
use crate::target::hash;

/// The longest messages with which it is tried.
const MAX_MESSAGES: [usize; 6] = [0, 1, 100, 5000, 20_000, 1 << 20];

/// However the bytes are cut, the same is told, in a lawful order, and no more is held than is said.
/// The first byte chooses the longest message, the second the cuts.
pub fn incoming(bytes: &[u8], trail: &mut Trail) {
    let Some((&[max, cuts], stream)) = bytes.split_first_chunk::<2>() else { return };
    let max = MAX_MESSAGES[usize::from(max) % MAX_MESSAGES.len()];
    let whole = read(stream, max, |left| left);
    let mut chance = Chance::new(u64::from(cuts));
    let most = 1 << (cuts % 16);
    let parts = read(stream, max, |_| 1 + chance.below(most));

    for told in &whole.told {
        trail.note(told.kind());
    }
    trail.note(whole.violation.as_ref().map(discriminant));
    // With its rest missing, what is wrong with the last frame may be seen early.
    let early = whole.violation.is_none() && whole.left > 0;
    if !early {
        assert_eq!(parts.violation, whole.violation, "in cuts and as a whole");
    }
    assert!(parts.told == whole.told, "in cuts: {:?}; as a whole: {:?}", parts.told, whole.told);
}

/// What came of a stream.
struct Read {
    told: Vec<Told>,
    violation: Option<Violation>,
    /// Bytes of a frame that is not whole.
    left: usize,
}

/// What a link was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Opened(ConnectionId),
    Received { connection: ConnectionId, len: usize, content: u64 },
    Closed(ConnectionId),
    Control(&'static str, u64),
}

impl Told {
    fn kind(&self) -> (&'static str, u32) {
        match self {
            Self::Opened(_) => ("opened", 0),
            Self::Received { len, .. } => ("received", len.checked_ilog2().unwrap_or(0)),
            Self::Closed(_) => ("closed", 0),
            Self::Control(name, _) => (name, 0),
        }
    }
}

/// Reads as a link's reader does: into the room of a long message where there is one, else into a
/// buffer; `step` says how much comes at once.
fn read(stream: &[u8], max: usize, mut step: impl FnMut(usize) -> usize) -> Read {
    let told = Mutex::new(Vec::new());
    let mut sink = Sink { told: &told, max, open: BTreeSet::new(), places: BTreeSet::new() };
    let mut incoming = Incoming::new(max);
    let (mut buffer, mut at) = (Vec::new(), 0);
    let violation = loop {
        let mut control = |control| tell(&told, control);
        let was_over = incoming.is_over();
        let before = told.lock().len();
        match incoming.feed(&buffer, &mut sink, &mut control) {
            Ok(used) => drop(buffer.drain(..used)),
            Err(violation) => break Some(violation),
        }
        assert!(!was_over || told.lock().len() == before, "nothing comes after a bye");
        assert!(incoming.unfinished() <= 2 * max, "{} bytes are held", incoming.unfinished());
        let left = stream.len() - at;
        if left == 0 {
            break None;
        }
        let mut count = step(left).clamp(1, left);
        if let Some(mut room) = incoming.room() {
            assert!(buffer.is_empty(), "what was read has been used before there is room");
            count = count.min(room.remaining_mut());
            assert!(count > 0, "room is for something");
            room.put_slice(&stream[at..at + count]);
            incoming.came(count, &mut sink);
        } else {
            buffer.extend_from_slice(&stream[at..at + count]);
        }
        at += count;
    };
    Read { told: told.into_inner(), violation, left: buffer.len() }
}

fn tell(told: &Mutex<Vec<Told>>, control: Control) {
    told.lock().push(match control {
        Control::Ping => Told::Control("ping", 0),
        Control::Pong => Told::Control("pong", 0),
        Control::Bye => Told::Control("bye", 0),
        Control::Credit(connection, bytes) => Told::Control("credit", hash((connection, bytes))),
        _ => Told::Control("another", 0),
    });
}

/// Sees to the order of events.
struct Sink<'a> {
    told: &'a Mutex<Vec<Told>>,
    max: usize,
    open: BTreeSet<ConnectionId>,
    /// No two that are open share one.
    places: BTreeSet<usize>,
}

fn place(connection: ConnectionId) -> usize {
    connection.0 as usize % CONNECTIONS_MAX
}

impl LinkSink for Sink<'_> {
    fn event(&mut self, event: LinkEvent<'_>) {
        let told = match event {
            LinkEvent::Opened(connection) => {
                assert!(self.open.insert(connection), "{connection} is open");
                assert!(self.places.insert(place(connection)), "the place of {connection}");
                Told::Opened(connection)
            }
            LinkEvent::Received { connection, payload, extensions: entries } => {
                assert!(self.open.contains(&connection), "{connection} is not open");
                let (content, len) = (payload.as_slice(), payload.as_slice().len());
                assert!(len <= self.max, "a message of {len} bytes, {} are allowed", self.max);
                let known: usize = extensions(entries).map(|entry| 2 + entry.value.len()).sum();
                assert_eq!(known, entries.len(), "extensions are well-formed");
                Told::Received { connection, len, content: hash((content, entries)) }
            }
            LinkEvent::Closed(connection) => {
                assert!(self.open.remove(&connection), "{connection} is not open");
                self.places.remove(&place(connection));
                Told::Closed(connection)
            }
            other => panic!("{other:?} is not for the receiving half to tell"),
        };
        self.told.lock().push(told);
    }
}
