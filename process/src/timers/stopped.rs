//! Timers that do not run: the process that has set them is about to move.

use std::sync::Arc;

use midflight_runtime::Instant;

use super::Entry;
use super::expiry::{Timer, What};
use crate::destination::OwnedAddress;
use crate::mailbox::envelope::Content;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::relocation::baggage;
use crate::relocation::moving::NotPacked;
use crate::scheduler::contain::discard;

/// Timers of one process that were taken off their wheel, in the order in which they are due.
#[derive(Default)]
pub(crate) struct Stopped(Vec<(Instant, Box<Timer>)>);

impl Inner {
    /// Takes the timers that the process at `place` has set off their wheel.
    pub(crate) fn stop_timers(&self, place: Place) -> Stopped {
        if self.held(place, |held| held.set).unwrap_or_default() == 0 {
            return Stopped::default();
        }
        let mut stopped = Vec::new();
        {
            let mut state = self.timers.shard(place.index).state.lock();
            let state = &mut *state;
            let is_its =
                |entry: &Entry| matches!(entry, Entry::Timer(t) if t.ticket.set_by == place);
            let mut its: Vec<_> = (state.timers.iter())
                .filter(|(_, key)| state.wheel.get(**key).is_some_and(|(_, it)| is_its(it)))
                .map(|(id, key)| (*id, *key))
                .collect();
            its.sort_unstable_by_key(|(id, _)| *id);
            for (id, key) in its {
                state.timers.remove(&id);
                if let Some((at, Entry::Timer(timer))) = state.wheel.remove(key) {
                    stopped.push((at, timer));
                }
            }
        }
        stopped.sort_by_key(|(at, _)| *at);
        Stopped(stopped)
    }

    /// Puts timers back: their process goes on where it is.
    pub(crate) fn resume_timers(&self, place: Place, Stopped(stopped): Stopped) {
        for (at, timer) in stopped {
            let id = timer.ticket.id();
            self.timers.change(place, at, |state| {
                let key = state.wheel.insert(at, Entry::Timer(timer));
                state.timers.insert(id, key);
                Some(())
            });
        }
    }

    /// The process of these goes on elsewhere, and so do they.
    pub(crate) fn let_go_of_timers(&self, Stopped(stopped): Stopped) {
        for (_, timer) in stopped {
            self.let_go(timer.ticket);
            discard(timer);
        }
    }

    /// Whom a timer that has come is for: a name of this node's is found here.
    fn come_home(&self, to: OwnedAddress) -> OwnedAddress {
        match to {
            OwnedAddress::NameOn(name, node) if node == self.id => OwnedAddress::Name(name),
            to => to,
        }
    }

    /// Sets what a process that has come had set for later where it was.
    pub(crate) fn set_packed_timers(self: &Arc<Self>, place: Place, timers: Vec<baggage::Timer>) {
        for timer in timers {
            let baggage::Timer { number, left, to, name, version, fingerprint, bytes } = timer;
            let Ok(ty) = self.types.announced(&name, version, fingerprint) else {
                tracing::warn!(%name, "the node knows too many types: a timer that has moved is lost");
                continue;
            };
            let what = What::Send(Content::Bytes { ty, bytes: bytes.into() });
            let after = std::time::Duration::from_nanos(left);
            let to = self.come_home(to);
            if let Err(why) = self.set_timer_at(place, number, after, to, what) {
                tracing::warn!(%why, "a timer that has moved is lost");
            }
        }
    }
}

impl Stopped {
    /// As they travel.
    pub(crate) fn pack(
        &self,
        inner: &Inner,
        now: Instant,
    ) -> Result<Vec<baggage::Timer>, NotPacked> {
        self.0.iter().map(|(at, timer)| pack(inner, at.since(now).as_nanos(), timer)).collect()
    }
}

/// Whom a timer's message is for, wherever it is set: a name is one of this node's, also when its process has gone.
fn addressed(inner: &Inner, to: &OwnedAddress) -> OwnedAddress {
    match to {
        OwnedAddress::Name(name) => OwnedAddress::NameOn(name.clone(), inner.id),
        other => other.clone(),
    }
}

fn pack(inner: &Inner, left: u128, timer: &Timer) -> Result<baggage::Timer, NotPacked> {
    let What::Send(content) = &timer.what else { return Err(NotPacked::Timer) };
    let ty = inner.type_of(content).ok_or(NotPacked::Timer)?;
    let mut bytes = Vec::new();
    match content {
        Content::Value(value) => value.encode(&mut bytes).map_err(|_fails| NotPacked::Timer)?,
        Content::Bytes { bytes: encoded, .. } => bytes.extend_from_slice(encoded),
    }
    let entry = inner.types.entry(ty);
    Ok(baggage::Timer {
        number: timer.ticket.number,
        left: u64::try_from(left).unwrap_or(u64::MAX),
        to: addressed(inner, &timer.to),
        name: entry.name.to_string(),
        version: entry.version,
        fingerprint: entry.fingerprint,
        bytes,
    })
}
