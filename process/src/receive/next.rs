//! Taking a message out to be looked at: off the shelf, where what was passed over lies, or off the inbox;
//! and putting it back.

#[cfg(test)]
use std::cell::Cell;
use std::sync::Arc;

use midflight_runtime::Instant;

use super::clause::{Clauses, Span, Wanted};
use super::held::Held;
use super::letter::Letter;
use super::shelf::{Arrival, Shelf};
use super::{Receive, SCRATCH};
use crate::mailbox::envelope::{Envelope, Parcel, Sender};
use crate::mailbox::value::Value;
use crate::scheduler::function::Arrived;
use crate::types::TypeNo;

/// A message that a clause may take.
pub(super) struct Found {
    pub(super) clause: usize,
    pub(super) arrival: Arrival,
    /// The type's name, when it was only lifted off the shelf.
    pub(super) lifted: Option<Arc<str>>,
    pub(super) what: What,
}

/// A message that was taken out.
pub(super) enum What {
    Value { from: Sender, value: Box<dyn Value>, weight: (u32, u32) },
    Small { from: Sender, ty: TypeNo, bytes: Vec<u8> },
    Parcel { from: Sender, parcel: Box<Parcel> },
}

impl What {
    const fn from(&self) -> Sender {
        match self {
            Self::Value { from, .. } | Self::Small { from, .. } | Self::Parcel { from, .. } => {
                *from
            }
        }
    }
}

#[expect(private_bounds, reason = "clauses are made by `on` and its like alone")]
impl<T, C: Clauses<T>> Receive<'_, T, C> {
    /// Takes the oldest message out that has not been seen and that a clause may take.
    #[inline]
    pub(super) fn next(
        &self,
        of: Span,
        before: u64,
        seen: &mut u64,
        held: Option<&Held>,
    ) -> Option<Found> {
        let inner = &self.context.node.inner;
        let passes = |from| held.is_none_or(|held| !held.holds(from));
        let mut arrived = self.context.shared.lock_all(&inner.table.pool);
        let Arrived { inbox, front, aside, handled, .. } = &mut *arrived;
        if *front > *seen
            && let Some(aside) = aside
            && let Some((found, weight)) =
                self.shelved(of, (*seen, before), &mut aside.shelf, passes)
        {
            handled.add(found.what.from(), weight);
            return Some(found);
        }
        let (mut found, mut unwatched) = (None, false);
        while let Some(inbox) = inbox
            && *front < before
            && let Some(entry) = inbox.entries.front()
        {
            count_examined();
            let subject = entry.subject().filter(|_| passes(entry.from()));
            let clause = subject.and_then(|subject| self.clauses.find(inner, subject, of));
            let arrival = Arrival { number: *front, at: Instant::default() };
            *front += 1;
            let entry = inbox.remove(0)?;
            let Some(clause) = clause else {
                let at = inner.runtime.now();
                let shelf = &mut aside.get_or_insert_default().shelf;
                unwatched |= shelf.put(inner, Arrival { at, ..arrival }, entry, &inbox.segment);
                continue;
            };
            let weight = entry.weight();
            handled.add(entry.from(), weight);
            let what = match entry {
                Envelope::Value { from, value }
                | Envelope::Told { from, value }
                | Envelope::Port { from, value } => What::Value { from, value, weight },
                Envelope::Parcel { from, parcel } => What::Parcel { from, parcel },
                Envelope::Small { from, ty, start, len, .. } => {
                    let mut bytes = SCRATCH.take();
                    bytes.clear();
                    bytes.extend_from_slice(inbox.small(start, len));
                    What::Small { from, ty, bytes }
                }
            };
            found = Some(Found { clause, arrival, lifted: None, what });
            break;
        }
        if found.is_none() {
            *seen = *front;
        }
        drop(arrived);
        if unwatched {
            self.context.watch_shelf();
        }
        found
    }

    /// Takes the oldest entry off the shelf that has not been seen, whose sender `passes`, and that a clause
    /// may take.
    #[inline(never)]
    fn shelved(
        &self,
        of: Span,
        (mut seen, before): (u64, u64),
        shelf: &mut Shelf,
        passes: impl Fn(Sender) -> bool,
    ) -> Option<(Found, (u32, u32))> {
        let (number, name, subject) = loop {
            let (number, name) = self.oldest_shelved(of, seen, shelf)?;
            if number >= before {
                return None;
            }
            count_examined();
            let entry = shelf.get(&name, number)?;
            if passes(entry.from()) {
                break (number, name, entry.subject()?);
            }
            seen = number + 1;
        };
        let clause = self.clauses.find(&self.context.node.inner, subject, of)?;
        let mut bytes = SCRATCH.take();
        let taken = if C::LOOKS {
            shelf.lift(&name, number, &mut bytes)
        } else {
            shelf.take(&name, number, &mut bytes)
        };
        let (arrival, entry) = taken?;
        let weight = entry.weight();
        let what = match entry {
            Envelope::Small { from, ty, .. } => What::Small { from, ty, bytes },
            Envelope::Value { from, value }
            | Envelope::Told { from, value }
            | Envelope::Port { from, value } => What::Value { from, value, weight },
            Envelope::Parcel { from, parcel } => What::Parcel { from, parcel },
        };
        Some((Found { clause, arrival, lifted: C::LOOKS.then_some(name), what }, weight))
    }

    /// The number and the type's name of that entry.
    fn oldest_shelved(&self, of: Span, seen: u64, shelf: &Shelf) -> Option<(u64, Arc<str>)> {
        let mut oldest: Option<(u64, Arc<str>)> = None;
        self.clauses.wanted(of, &mut |wanted| {
            let first = match wanted {
                Wanted::Called(name) => shelf.first(name, seen),
                Wanted::Any => shelf.first_of_any(seen),
            };
            if let Some((number, name)) = first
                && oldest.as_ref().is_none_or(|(before, _)| number < *before)
            {
                oldest = Some((number, name));
            }
        });
        oldest
    }

    /// Puts the letter that was taken last back into its place.
    pub(super) fn put_back(&self, lifted: Option<Arc<str>>, mut letter: Letter) {
        let inner = &self.context.node.inner;
        if letter.arrival.at == Instant::default() {
            letter.arrival.at = inner.runtime.now();
        }
        let (arrival, from, weight) = (letter.arrival, letter.from, letter.weight);
        let entry = letter.into_entry();
        let mut arrived = self.context.shared.lock();
        arrived.handled.undo(from, weight);
        let shelf = &mut arrived.aside().shelf;
        let unwatched = match lifted {
            Some(name) => {
                shelf.restore(&name, arrival.number, entry);
                false
            }
            None => shelf.put(inner, arrival, entry, &[]),
        };
        drop(arrived);
        if unwatched {
            self.context.watch_shelf();
        }
    }

    /// What was lifted off the shelf is taken for good.
    pub(super) fn forget_lifted(&self, lifted: Option<Arc<str>>, number: u64) {
        if let Some(name) = lifted {
            let mut arrived = self.context.shared.lock();
            let taken = arrived.aside().shelf.take(&name, number, &mut Vec::new());
            drop(arrived);
            drop(taken);
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Entries that receives of this thread have looked at.
    pub(super) static EXAMINED: Cell<u64> = const { Cell::new(0) };
}

/// Counts an entry that is looked at.
#[inline]
fn count_examined() {
    #[cfg(test)]
    EXAMINED.set(EXAMINED.get() + 1);
}
