//! How timers are set, counted and taken back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use midflight_message::Pid;
use rustc_hash::FxHashSet;

use super::expiry::{Timer, What};
use super::timer::{TimerError, TimerRef};
use super::{Entry, TimerId};
use crate::destination::OwnedAddress;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::send::Route;

/// A timer as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(super) number: u64,
    pub(super) set_by: Place,
    /// The other process of this node with which it ends.
    other: Option<Place>,
}

impl Ticket {
    pub(super) const fn id(self) -> TimerId {
        (self.set_by, self.number)
    }
}

/// A process's timers, in its cell.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// How many it has set that have not expired.
    pub(crate) set: usize,
    /// Those that end with it.
    ending: FxHashSet<TimerId>,
}

impl Inner {
    /// Sets a timer.
    pub(crate) fn set_timer(
        self: &Arc<Self>,
        set_by: Place,
        delay: Duration,
        to: OwnedAddress,
        what: impl FnOnce(TimerRef) -> What,
    ) -> Result<TimerRef, TimerError> {
        let timer = self.new_timer(self.local_pid(set_by));
        self.set_named_timer(timer, delay, to, what(timer))?;
        Ok(timer)
    }

    /// A name for a timer that none has which the process has set here, or has brought along.
    pub(crate) fn new_timer(&self, set_by: Pid) -> TimerRef {
        loop {
            let timer = TimerRef { set_by, number: self.next() };
            if self.read_timer(timer).is_none() {
                return timer;
            }
        }
    }

    /// Sets a timer under a name that nothing has had.
    pub(crate) fn set_named_timer(
        self: &Arc<Self>,
        TimerRef { set_by, number }: TimerRef,
        delay: Duration,
        to: OwnedAddress,
        what: What,
    ) -> Result<(), TimerError> {
        let set_by = self.local_place(set_by).ok_or(TimerError::Ended)?;
        self.set_timer_at(set_by, number, delay, to, what)
    }

    /// As [`Inner::set_named_timer`], for the process in that cell.
    pub(crate) fn set_timer_at(
        self: &Arc<Self>,
        set_by: Place,
        number: u64,
        delay: Duration,
        to: OwnedAddress,
        what: What,
    ) -> Result<(), TimerError> {
        let at = self.runtime.now() + delay;
        let target = match &to {
            OwnedAddress::Pid(pid) => match self.route_from(set_by, *pid) {
                Route::Local(place) => Some(place),
                _ => None,
            },
            OwnedAddress::Name(_) | OwnedAddress::NameOn(..) => None,
        };
        let ends = target == Some(set_by) || matches!(what, What::Tick(_));
        let ticket = Ticket { number, set_by, other: target.filter(|target| *target != set_by) };
        self.hold(ticket, ends)?;
        if let Some(other) = ticket.other
            && self.held(other, |held| held.ending.insert(ticket.id())).is_none()
        {
            // As one that has ended with its process.
            self.let_go(ticket);
            return Ok(());
        }
        let set = Entry::Timer(Box::new(Timer { ticket, to, what }));
        self.timers.change(set_by, at, |state| {
            let key = state.wheel.insert(at, set);
            state.timers.insert(ticket.id(), key);
            Some(())
        });
        Ok(())
    }

    pub(crate) fn cancel_timer(&self, timer: TimerRef) -> Option<Duration> {
        self.cancel_timer_at(self.local_place(timer.set_by)?, timer.number)
    }

    fn cancel_timer_at(&self, set_by: Place, number: u64) -> Option<Duration> {
        let (at, set) = {
            let mut state = self.timers.shard(set_by.index).state.lock();
            let key = state.timers.remove(&(set_by, number))?;
            state.wheel.remove(key)?
        };
        if let Entry::Timer(set) = &set {
            self.let_go(set.ticket);
        }
        Some(at.since(self.runtime.now()))
    }

    pub(crate) fn read_timer(&self, timer: TimerRef) -> Option<Duration> {
        let set_by = self.local_place(timer.set_by)?;
        let state = self.timers.shard(set_by.index).state.lock();
        let (at, _) = state.wheel.get(*state.timers.get(&(set_by, timer.number))?)?;
        Some(at.since(self.runtime.now()))
    }

    pub(crate) fn reset_timer(&self, timer: TimerRef, delay: Duration) -> bool {
        let Some(set_by) = self.local_place(timer.set_by) else { return false };
        let at = self.runtime.now() + delay;
        let reset = self.timers.change(set_by, at, |state| {
            let key = *state.timers.get(&(set_by, timer.number))?;
            state.wheel.set(key, at).then_some(())
        });
        reset.is_some()
    }

    /// A process has ended, and with it the timers that end with it.
    pub(crate) fn end_timers(&self, held: Held) {
        for (set_by, number) in held.ending {
            self.cancel_timer_at(set_by, number);
        }
    }

    /// Counts a timer for its process and the node.
    fn hold(&self, ticket: Ticket, ends: bool) -> Result<(), TimerError> {
        let set_by = ticket.set_by;
        let limits = &self.limits;
        if self.timers.count.fetch_add(1, Ordering::Relaxed) >= limits.timers {
            self.timers.count.fetch_sub(1, Ordering::Relaxed);
            return Err(TimerError::NodeFull);
        }
        let counted = self.held(set_by, |held| {
            if held.set >= limits.timers_per_process {
                return Err(TimerError::TooMany);
            }
            held.set += 1;
            if ends {
                held.ending.insert(ticket.id());
            }
            Ok(())
        });
        let counted = counted.unwrap_or(Err(TimerError::Ended));
        if counted.is_err() {
            self.timers.count.fetch_sub(1, Ordering::Relaxed);
        }
        counted
    }

    /// A timer is no more.
    pub(super) fn let_go(&self, ticket: Ticket) {
        let Ticket { set_by, other, .. } = ticket;
        self.timers.count.fetch_sub(1, Ordering::Relaxed);
        self.held(set_by, |held| {
            held.set = held.set.saturating_sub(1);
            held.ending.remove(&ticket.id());
        });
        if let Some(other) = other {
            self.held(other, |held| held.ending.remove(&ticket.id()));
        }
    }

    /// Looks at the timers in a living process's cell.
    pub(super) fn held<T>(&self, place: Place, look: impl FnOnce(&mut Held) -> T) -> Option<T> {
        let mut slot = self.table.slot(place.index)?.lock();
        slot.is(place.generation).then(|| look(&mut slot.rare().timers))
    }
}
