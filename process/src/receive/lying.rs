//! What lies unreceived is told of once it is old (V3): a message that no clause can ever take would be hoarded in
//! silence otherwise.
//!
//! A process has one entry in its wheel for it, and only while something lies there that may become old. It is set
//! when a type of which nothing lay there is passed over; a look finds what is old and when the next will be.

use std::sync::{Arc, Weak};

use midflight_runtime::Instant;

use crate::context::Context;
use crate::info::Unreceived;
use crate::metrics::count;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::function::Shared;
use crate::timers::Entry;
use crate::timers::wheel::Key;

/// An entry in a process's wheel, which goes with it.
pub(super) struct Watch {
    inner: Arc<Inner>,
    place: Place,
    key: Key,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.inner.remove_entry(self.place, self.key);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Context {
    /// Something new was passed over that nobody looks after. Called with nothing in hand of what arrived.
    #[cold]
    pub(super) fn watch_shelf(&self) {
        let inner = &self.node.inner;
        if let Some(after) = inner.limits.unreceived_after {
            inner.watch_shelf(self.place, &self.shared, inner.runtime.now() + after);
        }
    }
}

impl Inner {
    fn watch_shelf(self: &Arc<Self>, place: Place, shared: &Arc<Shared>, at: Instant) {
        let look = Entry::Look(Arc::downgrade(shared), place);
        let key = self.timers.change(place, at, |state| Some(state.wheel.insert(at, look)));
        let key = key.unwrap_or(Key::NONE);
        let watch = Watch { inner: self.clone(), place, key };
        let before = shared.lock().aside().shelf.watch.replace(watch);
        drop(before);
    }

    /// Tells of what is old by now of what the process at `place` has passed over.
    pub(crate) fn look_at_shelf(self: &Arc<Self>, place: Place, shared: &Weak<Shared>) {
        let Some(shared) = shared.upgrade() else { return };
        let Some(after) = self.limits.unreceived_after else { return };
        let look = {
            let mut arrived = shared.lock();
            let Some(aside) = &mut arrived.aside else { return };
            let look = aside.shelf.look(self.runtime.now(), after);
            // Its entry has gone: what is passed over from now on is looked after by another.
            let over = look.next.is_none().then(|| aside.shelf.watch.take());
            drop(arrived);
            drop(over);
            look
        };
        if let Some(next) = look.next {
            self.watch_shelf(place, &shared, next);
        }
        for kind in look.old {
            count(&self.counts.unreceived);
            self.tell_old(place, &kind);
        }
    }

    fn tell_old(&self, place: Place, kind: &Unreceived) {
        let info = self.info(place, 0);
        let (label, names) = info.map(|info| (info.label, info.names)).unwrap_or_default();
        let runs = label.map(|label| label.name).unwrap_or_default();
        let Unreceived { type_name, count, since, .. } = kind;
        tracing::warn!(
            pid = %self.local_pid(place), runs, ?names, %type_name, count,
            age = ?self.runtime.now().since(*since),
            "messages lie in a process that nobody has received: give a receive of it a clause for their type, or \
             for any, or mend who sends them",
        );
    }
}
