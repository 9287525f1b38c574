//! What a process has passed over, by type, so that no receive looks twice at what it does not want
//! (P7).
//!
//! A receive takes entries off its inbox one by one. What none of its clauses wants goes into the
//! queue of its type here, with its number in the order of arrival. The next receive looks at the
//! queues of its own types alone: ten thousand messages of another type cost it nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::Instant;
use rustc_hash::FxHashMap;

use crate::info::Unreceived;
use crate::mailbox::Inbox;
use crate::mailbox::envelope::{Envelope, Sender, Subject};
use crate::node::inner::Inner;
use crate::receive::lying::Watch;
use crate::types::TypeNo;

/// Empty queues kept for the next message of their type; beyond it they are freed.
const EMPTY_MAX: usize = 16;
/// The largest empty queue kept, in entries and bytes.
const EMPTY_ENTRIES_MAX: usize = 64;
const EMPTY_BYTES_MAX: usize = 4_096;

/// An entry that is being looked at, without lock, by a predicate.
const LIFTED: Envelope =
    Envelope::Small { from: Sender::NOBODY, port: 0, ty: TypeNo(u32::MAX), start: 0, len: 0 };

/// Where and when an entry arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its number in the process's mailbox.
    pub(crate) number: u64,
    /// When it was passed over first.
    pub(crate) at: Instant,
}

/// Entries passed over.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    queues: FxHashMap<Arc<str>, Queue>,
    /// The name of the type shelved last: entries of one type often come in a row.
    recent: Option<(TypeNo, Arc<str>)>,
    /// Who looks whether something here is old; nobody, while all that may become so was told of.
    pub(super) watch: Option<Watch>,
}

/// What a look at what lies here has found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What is old and was not told of before, by type's name.
    pub(super) old: Vec<Unreceived>,
    /// When the next may be old.
    pub(super) next: Option<Instant>,
}

/// Entries of one type's name, oldest first.
#[derive(Debug, Default)]
struct Queue {
    inbox: Inbox,
    arrivals: VecDeque<Arrival>,
    /// That it is old was told of since it was empty.
    told: bool,
}

impl Shelf {
    /// Puts an entry into the queue of its type, at its place in the order of arrival. The bytes of
    /// a small one lie in `segment`. Answers whether there is something new to look after, and nobody does.
    pub(crate) fn put(
        &mut self,
        inner: &Inner,
        arrival: Arrival,
        entry: Envelope,
        segment: &[u8],
    ) -> bool {
        let name = self.name_of(inner, &entry);
        let queue = self.queues.entry(name).or_default();
        let first = queue.arrivals.is_empty();
        queue.put(arrival, entry, segment);
        first && self.watch.is_none()
    }

    fn name_of(&mut self, inner: &Inner, entry: &Envelope) -> Arc<str> {
        let ty = match entry.subject() {
            Some(Subject::Type(ty)) => ty,
            Some(Subject::Value(value)) => {
                let name = value.type_info().name();
                let known = self.queues.get_key_value(name);
                return known.map_or_else(|| name.into(), |(name, _)| name.clone());
            }
            None => unreachable!("signals are taken out when they arrive"),
        };
        match &self.recent {
            Some((recent, name)) if *recent == ty => name.clone(),
            _ => {
                let name = inner.types.entry(ty).name.clone();
                self.recent = Some((ty, name.clone()));
                name
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.arrivals.is_empty())
    }

    /// The oldest entry of a type that came with this number or later.
    pub(crate) fn first(&self, name: &str, least: u64) -> Option<(u64, Arc<str>)> {
        let (name, queue) = self.queues.get_key_value(name)?;
        Some((queue.first(least)?, name.clone()))
    }

    /// The oldest entry of any type that came with this number or later.
    pub(crate) fn first_of_any(&self, least: u64) -> Option<(u64, Arc<str>)> {
        let queues = self.queues.iter();
        let firsts = queues.filter_map(|(name, queue)| Some((queue.first(least)?, name)));
        firsts.min_by_key(|(number, _)| *number).map(|(number, name)| (number, name.clone()))
    }

    /// The entry with this number; `None` when it is being looked at, or has gone.
    pub(crate) fn get(&self, name: &str, number: u64) -> Option<&Envelope> {
        let queue = self.queues.get(name)?;
        let entry = queue.inbox.entries.get(queue.find(number)?)?;
        (!is_lifted(entry)).then_some(entry)
    }

    /// Takes an entry out; `small` gets the bytes of a small one.
    pub(crate) fn take(
        &mut self,
        name: &str,
        number: u64,
        small: &mut Vec<u8>,
    ) -> Option<(Arrival, Envelope)> {
        let queue = self.queues.get_mut(name)?;
        let at = queue.find(number)?;
        let entry = queue.inbox.remove(at)?;
        let arrival = queue.arrivals.remove(at)?;
        queue.inbox.copy_small(&entry, small);
        self.tidy(name);
        (!is_lifted(&entry)).then_some((arrival, entry))
    }

    /// Takes an entry out to be looked at; its place is kept until it is put back
    /// ([`Shelf::restore`]) or taken ([`Shelf::take`]).
    pub(crate) fn lift(
        &mut self,
        name: &str,
        number: u64,
        small: &mut Vec<u8>,
    ) -> Option<(Arrival, Envelope)> {
        let queue = self.queues.get_mut(name)?;
        let at = queue.find(number)?;
        let entry = queue.inbox.replace(at, LIFTED)?;
        queue.inbox.copy_small(&entry, small);
        let arrival = *queue.arrivals.get(at)?;
        (!is_lifted(&entry)).then_some((arrival, entry))
    }

    /// Puts a lifted entry back into its place.
    pub(crate) fn restore(&mut self, name: &str, number: u64, entry: Envelope) {
        if let Some(queue) = self.queues.get_mut(name)
            && let Some(at) = queue.find(number)
        {
            queue.inbox.replace(at, entry);
        }
    }

    /// Frees what an empty queue does not need.
    fn tidy(&mut self, name: &str) {
        let many = self.queues.len() > EMPTY_MAX;
        let Some(queue) = self.queues.get_mut(name) else { return };
        if !queue.arrivals.is_empty() {
            return;
        }
        queue.inbox.clear();
        queue.told = false;
        let large = queue.inbox.entries.capacity() > EMPTY_ENTRIES_MAX
            || queue.inbox.segment.capacity() > EMPTY_BYTES_MAX;
        if many || large {
            self.queues.remove(name);
        }
    }

    /// What lies here, by type's name.
    pub(crate) fn lying(&self, is_old: &dyn Fn(Instant) -> bool) -> Vec<Unreceived> {
        let lying = self.queues.iter().filter_map(|(name, queue)| queue.lying(name, is_old));
        sorted(lying.collect())
    }

    /// Finds what has become old, which it is so long after it was passed over: each type once, and again when
    /// nothing of it has lain here meanwhile.
    pub(super) fn look(&mut self, now: Instant, after: Duration) -> Look {
        let mut look = Look::default();
        for (name, queue) in &mut self.queues {
            let Some(oldest) = queue.arrivals.front().filter(|_| !queue.told) else { continue };
            let due = oldest.at + after;
            if due > now {
                look.next = Some(look.next.map_or(due, |next| next.min(due)));
                continue;
            }
            queue.told = true;
            look.old.extend(queue.lying(name, &|at| at + after <= now));
        }
        look.old = sorted(look.old);
        look
    }

    /// All entries, in the order of their arrival. (Their small payloads are left behind.)
    pub(crate) fn into_entries(self) -> VecDeque<Envelope> {
        let queues = self.queues.into_values();
        let mut all: Vec<(u64, Envelope)> = queues
            .flat_map(|queue| {
                let numbers = queue.arrivals.into_iter().map(|arrival| arrival.number);
                numbers.zip(queue.inbox.entries)
            })
            .filter(|(_, entry)| !is_lifted(entry))
            .collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// By name: a map's order is not to be seen.
fn sorted(mut lying: Vec<Unreceived>) -> Vec<Unreceived> {
    lying.sort_by(|one, other| one.type_name.cmp(&other.type_name));
    lying
}

impl Queue {
    fn lying(&self, name: &Arc<str>, is_old: &dyn Fn(Instant) -> bool) -> Option<Unreceived> {
        let oldest = self.arrivals.front()?;
        Some(Unreceived {
            type_name: name.clone(),
            count: self.arrivals.len(),
            since: oldest.at,
            // They were passed over in their order, but for those that were looked at longer.
            old: self.arrivals.partition_point(|arrival| is_old(arrival.at)),
        })
    }

    /// Where the first entry with this number or a later one lies.
    fn place(&self, least: u64) -> usize {
        self.arrivals.partition_point(|arrival| arrival.number < least)
    }

    fn first(&self, least: u64) -> Option<u64> {
        let oldest = self.arrivals.front()?.number;
        if oldest >= least {
            return Some(oldest);
        }
        self.arrivals.get(self.place(least)).map(|arrival| arrival.number)
    }

    fn find(&self, number: u64) -> Option<usize> {
        if self.arrivals.front()?.number == number {
            return Some(0);
        }
        let at = self.place(number);
        self.arrivals.get(at).filter(|arrival| arrival.number == number).map(|_| at)
    }

    fn put(&mut self, arrival: Arrival, entry: Envelope, segment: &[u8]) {
        let newest = self.arrivals.back().is_none_or(|last| last.number < arrival.number);
        let at = if newest { self.arrivals.len() } else { self.place(arrival.number) };
        self.arrivals.insert(at, arrival);
        match entry {
            Envelope::Small { from, ty, start, len, .. } => {
                let bytes = &segment[start as usize..start as usize + len as usize];
                self.inbox.insert_small(at, from, ty, bytes);
            }
            entry => self.inbox.entries.insert(at, entry),
        }
    }
}

const fn is_lifted(entry: &Envelope) -> bool {
    matches!(entry, Envelope::Small { ty: TypeNo(u32::MAX), .. })
}
