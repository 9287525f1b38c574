//! What has come to the open ports of one process.
//!
//! Values travel through the process's mailbox and are sorted here when a turn takes its batch.
//! Each knows its place in the order of everything that arrived, so that a receive can go by it.

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::mailbox::Inbox;
use crate::mailbox::envelope::{Content, Envelope, Parcel, Sender};

/// A place among everything that has come to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    /// The number of the first message that came after it.
    pub(crate) message: u64,
    /// Among values for ports.
    nth: u64,
}

/// The open ports.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    queues: FxHashMap<u32, Queue>,
    /// The number given last.
    last: u32,
    /// Values that came.
    came: u64,
}

/// One port's values, oldest first.
#[derive(Debug, Default)]
struct Queue {
    inbox: Inbox,
    orders: VecDeque<Order>,
}

/// A value that its port does not take.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) from: Sender,
    pub(crate) port: u32,
    pub(crate) content: Content,
    pub(crate) weight: (u32, u32),
}

impl Ports {
    /// Opens a port; its number is never 0 and never given again. `None`: all were given.
    pub(crate) fn open(&mut self) -> Option<u32> {
        self.last = self.last.checked_add(1)?;
        self.queues.insert(self.last, Queue::default());
        Some(self.last)
    }

    /// Closes a port. Answers what nobody received.
    pub(crate) fn close(&mut self, port: u32) -> Vec<Stray> {
        let Some(Queue { inbox, .. }) = self.queues.remove(&port) else { return Vec::new() };
        let segment = inbox.segment;
        inbox.entries.into_iter().filter_map(|entry| stray(port, entry, &segment)).collect()
    }

    pub(crate) fn is_none_open(&self) -> bool {
        self.queues.is_empty()
    }

    pub(crate) fn is_open(&self, port: u32) -> bool {
        self.queues.contains_key(&port)
    }

    /// Puts an entry that is for a port into its queue: it came before the message with this number.
    /// The bytes of a small one lie in `segment`. What is for no open port is given back.
    pub(crate) fn put(&mut self, message: u64, entry: Envelope, segment: &[u8]) -> Option<Stray> {
        let port = port_of(&entry)?;
        let Some(queue) = self.queues.get_mut(&port) else { return stray(port, entry, segment) };
        self.came += 1;
        queue.orders.push_back(Order { message, nth: self.came });
        let at = queue.inbox.entries.len();
        match entry {
            Envelope::Small { from, ty, start, len, .. } => {
                let bytes = &segment[start as usize..start as usize + len as usize];
                queue.inbox.insert_small(at, from, ty, bytes);
            }
            entry => queue.inbox.entries.push_back(entry),
        }
        None
    }

    /// Takes the oldest value of a port whose sender `passes`; `small` gets the bytes of a small one.
    pub(crate) fn take(
        &mut self,
        port: u32,
        passes: impl Fn(Sender) -> bool,
        small: &mut Vec<u8>,
    ) -> Option<(Order, Envelope)> {
        let queue = self.queues.get_mut(&port)?;
        let at = queue.inbox.entries.iter().position(|entry| passes(entry.from()))?;
        let order = queue.orders.remove(at)?;
        let entry = queue.inbox.remove(at)?;
        queue.inbox.copy_small(&entry, small);
        if queue.orders.is_empty() {
            queue.inbox.segment.clear();
        }
        Some((order, entry))
    }

    /// Puts a value that was taken back into its place.
    pub(crate) fn put_back(&mut self, port: u32, order: Order, from: Sender, content: Content) {
        if let Some(queue) = self.queues.get_mut(&port) {
            let at = queue.orders.partition_point(|other| *other < order);
            queue.orders.insert(at, order);
            let entry = crate::send::entry(from, crate::send::Kind::Port(port), content);
            queue.inbox.entries.insert(at, entry);
        }
    }

    /// When the oldest value of a port came whose sender `passes`.
    pub(crate) fn oldest(&self, port: u32, passes: impl Fn(Sender) -> bool) -> Option<Order> {
        let queue = self.queues.get(&port)?;
        let at = queue.inbox.entries.iter().position(|entry| passes(entry.from()))?;
        queue.orders.get(at).copied()
    }
}

/// The port that an entry is for.
fn port_of(entry: &Envelope) -> Option<u32> {
    match entry {
        Envelope::Small { port, .. } => (*port != 0).then_some(*port),
        Envelope::Port { value, .. } => value.port(),
        Envelope::Parcel { parcel, .. } => match &**parcel {
            Parcel::Port { port, .. } => Some(*port),
            _ => None,
        },
        Envelope::Value { .. } | Envelope::Told { .. } => None,
    }
}

fn stray(port: u32, entry: Envelope, segment: &[u8]) -> Option<Stray> {
    let (from, weight) = (entry.from(), entry.weight());
    let content = match entry {
        Envelope::Small { ty, start, len, .. } => {
            let bytes = &segment[start as usize..start as usize + len as usize];
            Content::Bytes { ty, bytes: Bytes::copy_from_slice(bytes) }
        }
        Envelope::Port { value, .. } => Content::Value(value),
        Envelope::Parcel { parcel, .. } => match *parcel {
            Parcel::Port { ty, bytes, .. } => Content::Bytes { ty, bytes },
            _ => return None,
        },
        Envelope::Value { .. } | Envelope::Told { .. } => return None,
    };
    Some(Stray { from, port, content, weight })
}
